// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, GrantTerms, IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {Market} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract DataAndKeysTest is Market {
    bytes32 private constant DATA_KEY = keccak256("data key");

    function testFuzz_contentIsFetchedByWhomItsOwnerGrantedRead(bytes32 first, bytes32 second, string memory uri)
        external
    {
        vm.assume(first != 0 && second != 0);
        vm.startPrank(owner);
        dataShare.grantAccess(outsider);
        _announces(address(dataShare));
        emit IDataShare.DataPublished(owner, DATA_KEY, first, uri);
        dataShare.publishData(DATA_KEY, first, uri);
        vm.assertEq(dataShare.fetchData(owner, DATA_KEY), first, "the owner's own");
        vm.stopPrank();
        vm.prank(outsider);
        vm.assertEq(dataShare.fetchData(owner, DATA_KEY), first, "the grantee's");

        vm.prank(owner);
        dataShare.publishData(DATA_KEY, second, uri);
        vm.prank(outsider);
        vm.assertEq(dataShare.fetchData(owner, DATA_KEY), second, "replaced");
    }

    function testFuzz_nobodyElseFetchesIt(address caller, address other) external {
        vm.assume(caller != owner && other != owner && caller != other);
        vm.prank(owner);
        dataShare.publishData(DATA_KEY, keccak256("content"), "");
        vm.prank(other);
        dataShare.publishData(DATA_KEY, keccak256("other content"), "");
        // the caller granted the owner, which is not the same
        vm.prank(caller);
        dataShare.grantAccess(owner);
        vm.assume(other != address(0));
        _refusesAccess(caller, DATA_KEY, READ, Access.NotGranted);
        vm.prank(caller);
        dataShare.fetchData(owner, DATA_KEY);
    }

    function test_aGrantToInferDoesNotOpenTheData() external {
        vm.prank(owner);
        dataShare.publishData(DATA_KEY, keccak256("content"), "");
        _grantInfer(DATA_KEY, outsider, 1);
        _refusesAccess(outsider, DATA_KEY, READ, Access.RightMissing);
        vm.prank(outsider);
        dataShare.fetchData(owner, DATA_KEY);
    }

    function test_whatIsNotPublishedIsNotFetched() external {
        vm.prank(owner);
        dataShare.grantAccess(outsider);
        _refuses(abi.encodeWithSelector(IDataShare.NotPublished.selector, owner, DATA_KEY));
        vm.prank(outsider);
        dataShare.fetchData(owner, DATA_KEY);
    }

    function test_contentHasAHashAndAKeyOfItsOwn() external {
        _refuses(abi.encodeWithSelector(IDataShare.ResourceIsEverything.selector, 0));
        dataShare.publishData(0, keccak256("content"), "");
        _refuses(abi.encodeWithSelector(IDataShare.ContentHashIsZero.selector));
        dataShare.publishData(DATA_KEY, 0, "");
    }

    function testFuzz_keysAreKeptByIndexFromOneAndNoneIsZero(bytes32[12] memory keys, uint8 length, uint8 zero)
        external
    {
        keys[zero % 12] = 0;
        uint32 count = 0;
        for (uint256 i = 0; i < _within(length, 0, 12); ++i) {
            if (keys[i] == 0) {
                _refuses(abi.encodeWithSelector(IDataShare.KeyIsZero.selector));
            } else {
                ++count;
                _announces(address(dataShare));
                emit IDataShare.KeyRegistered(outsider, count, keys[i]);
            }
            vm.prank(outsider);
            uint32 given = dataShare.registerKey(keys[i]);
            if (keys[i] == 0) continue;
            vm.assertEq(given, count, "index");
            vm.assertEq(dataShare.keyAt(outsider, count), keys[i], "keyAt");
            (uint32 index, bytes32 current) = dataShare.keyOf(outsider);
            vm.assertTrue(index == count && current == keys[i], "keyOf");
        }
        vm.assertEq(dataShare.keyAt(outsider, count + 1), bytes32(0), "no more");
        vm.assertEq(dataShare.keyAt(outsider, 0), bytes32(0), "none before the first");
        (uint32 none, bytes32 nothing) = dataShare.keyOf(owner);
        vm.assertTrue(none == 0 && nothing == 0, "nobody else's");
    }

    function testFuzz_aWrappedKeyNeedsSomebodyToUnwrapIt(uint8 rights, bool hasKey) external {
        rights = 1 + rights % 7;
        if (hasKey) {
            vm.prank(outsider);
            dataShare.registerKey(DATA_KEY);
        }
        if (!hasKey && rights != INFER) {
            _refuses(abi.encodeWithSelector(IDataShare.GranteeHasNoKey.selector, outsider));
        }
        vm.prank(owner);
        dataShare.grant(outsider, DATA_KEY, GrantTerms(rights, NEVER, 1, address(escrow)), hex"01");
        vm.prank(owner);
        dataShare.grant(outsider, DATA_KEY, GrantTerms(rights, NEVER, 1, address(escrow)), "");
    }

    function testFuzz_newEpochKeysAreHandedOnInOneEvent(bytes32 resource, uint256 count, uint256 length) external {
        address[] memory to = new address[](count % 6);
        for (uint256 i = 0; i < to.length; ++i) {
            to[i] = vm.addr(100 + i);
        }
        bytes memory keys = new bytes(length & 1 == 0 ? 80 * to.length : length % 500);
        if (keys.length != 80 * to.length) {
            _refuses(abi.encodeWithSelector(IDataShare.WrappedKeysLength.selector, keys.length, 80 * to.length));
        } else {
            _announces(address(dataShare));
            emit IDataShare.KeysRewrapped(owner, resource, to, keys);
        }
        vm.prank(owner);
        dataShare.rewrapKeys(resource, to, keys);
    }
}
