// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, Grant, GrantItem, GrantTerms, IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {Market} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract GrantTest is Market {
    bytes32 private constant RESOURCE = keccak256("resource");

    function testFuzz_aGrantIsCheckedStoredAndAnnounced(
        address grantee,
        bytes32 resource,
        GrantTerms memory terms,
        bytes memory wrappedKey,
        uint256 shape
    ) external {
        // most grants are to be good ones
        if (shape & 1 != 0) terms.rights = 1 + terms.rights % 7;
        if (shape & 2 != 0) terms.expiry = uint40(_within(terms.expiry, block.timestamp, NEVER));
        if (shape & 12 == 0) resource = 0;
        if (shape & 48 == 0) terms.expiry = uint40(block.timestamp - 1 + (shape >> 16) % 3);
        if (shape & 64 != 0) wrappedKey = "";
        if (shape & 3840 == 0) grantee = address(0);
        if (shape & 128 != 0 && grantee != address(0)) {
            vm.prank(grantee);
            dataShare.registerKey(RESOURCE);
        }

        bytes memory refusal = _refusal(grantee, resource, terms, wrappedKey);
        if (refusal.length != 0) {
            _refuses(refusal);
        } else {
            _announces(address(dataShare));
            emit IDataShare.AccessGranted(
                owner, grantee, resource, terms.rights, terms.expiry, terms.uses, terms.meter, 0, wrappedKey
            );
        }
        vm.prank(owner);
        dataShare.grant(grantee, resource, terms, wrappedKey);

        Grant memory stored = dataShare.grantOf(owner, grantee, resource);
        if (refusal.length != 0) {
            vm.assertEq(stored.rights, 0, "nothing is stored");
        } else {
            vm.assertEq(stored.rights, terms.rights, "rights");
            vm.assertEq(stored.expiry, terms.expiry, "expiry");
            vm.assertEq(stored.uses, terms.uses, "uses");
            vm.assertEq(stored.meter, terms.meter, "meter");
            vm.assertEq(stored.generation, 0, "generation");
        }
    }

    function test_whatCannotBeGrantedIsRefusedForTheReason() external {
        GrantTerms memory good = GrantTerms(READ | INFER, NEVER, 1, address(escrow));
        _refuses(abi.encodeWithSelector(IDataShare.GranteeIsZero.selector));
        _grant(address(0), RESOURCE, good, "");
        _refuses(abi.encodeWithSelector(IDataShare.ResourceIsEverything.selector, READ | INFER));
        _grant(outsider, 0, good, "");
        _refuses(abi.encodeWithSelector(IDataShare.GranteeHasNoKey.selector, outsider));
        _grant(outsider, RESOURCE, good, hex"01");

        GrantTerms memory bad = GrantTerms(0, NEVER, 1, address(escrow));
        _refuses(abi.encodeWithSelector(IDataShare.InvalidRights.selector, 0, 7));
        _grant(outsider, RESOURCE, bad, "");
        bad.rights = 9;
        _refuses(abi.encodeWithSelector(IDataShare.InvalidRights.selector, 9, 7));
        _grant(outsider, RESOURCE, bad, "");
        bad = GrantTerms(INFER, uint40(block.timestamp - 1), 1, address(escrow));
        _refuses(
            abi.encodeWithSelector(IDataShare.ExpiryPassed.selector, block.timestamp - 1, block.timestamp)
        );
        _grant(outsider, RESOURCE, bad, "");
        bad = GrantTerms(INFER, NEVER, 0, address(escrow));
        _refuses(abi.encodeWithSelector(IDataShare.QuotaIsZero.selector));
        _grant(outsider, RESOURCE, bad, "");
        bad = GrantTerms(INFER, NEVER, 1, address(0));
        _refuses(abi.encodeWithSelector(IDataShare.MeterIsZero.selector));
        _grant(outsider, RESOURCE, bad, "");

        GrantTerms memory last = GrantTerms(INFER, uint40(block.timestamp), 1, address(escrow));
        _grant(outsider, RESOURCE, last, hex"01");
        vm.assertTrue(dataShare.accessOf(owner, outsider, RESOURCE, INFER) == Access.Granted, "for this second");
    }

    function test_everyRightIsKnownByItsNumber() external view {
        vm.assertEq(dataShare.READ(), 1, "READ");
        vm.assertEq(dataShare.INFER(), 2, "INFER");
        vm.assertEq(dataShare.SERVE(), 4, "SERVE");
        vm.assertEq(dataShare.EVERYTHING(), bytes32(0), "EVERYTHING");
    }

    function test_grantAccessGivesReadOnEverythingForEver() external {
        _announces(address(dataShare));
        emit IDataShare.AccessGranted(owner, outsider, 0, READ, NEVER, UNLIMITED, address(0), 0, "");
        vm.prank(owner);
        dataShare.grantAccess(outsider);
        vm.assertTrue(dataShare.accessOf(owner, outsider, RESOURCE, READ) == Access.Granted, "any resource");
        vm.warp(NEVER);
        vm.assertTrue(dataShare.accessOf(owner, outsider, 0, READ) == Access.Granted, "everything, for ever");
    }

    function testFuzz_aLaterGrantReplacesTheEarlier(uint24 first, uint24 second) external {
        vm.assume(first != 0 && second != 0);
        _grantInfer(RESOURCE, outsider, first);
        _grantInfer(RESOURCE, outsider, second);
        vm.assertEq(dataShare.grantOf(owner, outsider, RESOURCE).uses, second, "uses");
    }

    function testFuzz_manyGrantsAreOneAfterTheOther(uint256 seed, uint256 count) external {
        GrantItem[] memory items = new GrantItem[](count % 6);
        for (uint256 i = 0; i < items.length; ++i) {
            items[i].grantee = vm.addr(50 + uint256(keccak256(abi.encode(seed, i))) % 3);
            items[i].resource = keccak256(abi.encode(seed >> i & 1));
            items[i].terms = GrantTerms(SERVE, uint40(NEVER - i), uint24(i), address(uint160(i)));
            items[i].wrappedKey = "";
        }
        for (uint256 i = 0; i < items.length; ++i) {
            GrantTerms memory terms = items[i].terms;
            _announces(address(dataShare));
            emit IDataShare.AccessGranted(
                owner, items[i].grantee, items[i].resource, SERVE, terms.expiry, terms.uses, terms.meter, 0, ""
            );
        }
        vm.prank(owner);
        dataShare.grantMany(items);
        for (uint256 i = 0; i < items.length; ++i) {
            uint256 last = i;
            for (uint256 j = i + 1; j < items.length; ++j) {
                if (items[j].grantee == items[i].grantee && items[j].resource == items[i].resource) last = j;
            }
            Grant memory stored = dataShare.grantOf(owner, items[i].grantee, items[i].resource);
            vm.assertEq(stored.expiry, items[last].terms.expiry, "the last one counts");
        }
    }

    function test_allOfManyOrNone() external {
        GrantItem[] memory items = new GrantItem[](2);
        items[0] = GrantItem(outsider, RESOURCE, GrantTerms(SERVE, NEVER, 0, address(0)), "");
        items[1] = GrantItem(outsider, RESOURCE, GrantTerms(READ, NEVER, 0, address(0)), hex"01");
        _refuses(abi.encodeWithSelector(IDataShare.GranteeHasNoKey.selector, outsider));
        vm.prank(owner);
        dataShare.grantMany(items);
        vm.assertEq(dataShare.grantOf(owner, outsider, RESOURCE).rights, 0, "none");

        vm.prank(outsider);
        dataShare.registerKey(RESOURCE);
        _announces(address(dataShare));
        emit IDataShare.AccessGranted(owner, outsider, RESOURCE, SERVE, NEVER, 0, address(0), 0, "");
        _announces(address(dataShare));
        emit IDataShare.AccessGranted(owner, outsider, RESOURCE, READ, NEVER, 0, address(0), 0, hex"01");
        vm.prank(owner);
        dataShare.grantMany(items);
    }

    function _grant(address grantee, bytes32 resource, GrantTerms memory terms, bytes memory wrappedKey) private {
        vm.prank(owner);
        dataShare.grant(grantee, resource, terms, wrappedKey);
    }

    /// @dev Empty if the grant is good.
    function _refusal(address grantee, bytes32 resource, GrantTerms memory terms, bytes memory wrappedKey)
        private
        view
        returns (bytes memory)
    {
        if (grantee == address(0)) return abi.encodeWithSelector(IDataShare.GranteeIsZero.selector);
        if (terms.rights == 0 || terms.rights > 7) {
            return abi.encodeWithSelector(IDataShare.InvalidRights.selector, terms.rights, 7);
        }
        if (resource == 0 && terms.rights != READ) {
            return abi.encodeWithSelector(IDataShare.ResourceIsEverything.selector, terms.rights);
        }
        if (terms.expiry < block.timestamp) {
            return abi.encodeWithSelector(IDataShare.ExpiryPassed.selector, terms.expiry, block.timestamp);
        }
        bool infers = terms.rights == 2 || terms.rights == 3 || terms.rights > 5;
        if (infers && terms.uses == 0) return abi.encodeWithSelector(IDataShare.QuotaIsZero.selector);
        if (infers && terms.meter == address(0)) return abi.encodeWithSelector(IDataShare.MeterIsZero.selector);
        (uint32 keys,) = dataShare.keyOf(grantee);
        if (wrappedKey.length != 0 && terms.rights != INFER && keys == 0) {
            return abi.encodeWithSelector(IDataShare.GranteeHasNoKey.selector, grantee);
        }
        return "";
    }
}
