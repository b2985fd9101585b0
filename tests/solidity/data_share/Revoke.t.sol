// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, Grant, GrantTerms, IDataShare, RevokeItem} from "../../../contracts/interfaces/IDataShare.sol";
import {Market} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract RevokeTest is Market {
    bytes32 private constant RESOURCE = keccak256("resource");
    bytes32 private constant OTHER = keccak256("other");

    function testFuzz_oneGrantIsEndedAndNoOther(uint256 which, bool signedGrants) external {
        bytes32[3] memory resources = [bytes32(0), RESOURCE, OTHER];
        for (uint256 i = 0; i < 3; ++i) {
            _give(resources[i]);
        }
        which %= 3;
        vm.startPrank(owner);
        if (signedGrants) dataShare.allowSignedGrants(true);
        _announces(address(dataShare));
        emit IDataShare.AccessRevoked(owner, outsider, resources[which]);
        dataShare.revoke(outsider, resources[which]);
        vm.stopPrank();
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(dataShare.grantOf(owner, outsider, resources[i]).rights, i == which ? 0 : READ, "grants");
        }
        Grant memory gone = dataShare.grantOf(owner, outsider, resources[which]);
        vm.assertTrue(gone.meter == address(0) && gone.expiry == 0 && gone.uses == 0, "no trace");
        vm.assertEq(dataShare.nonceOf(owner, outsider), signedGrants ? 2 ** 32 + 1 : 0, "signatures are void");
        vm.assertEq(dataShare.generationOf(owner, outsider), 0, "generation");
    }

    function testFuzz_revokeAccessEndsEverything(bytes32 resource, uint256 times) external {
        times = 1 + times % 4;
        for (uint256 i = 1; i <= times; ++i) {
            _give(resource);
            _give(0);
            vm.prank(owner);
            dataShare.grantAccess(payee);
            _announces(address(dataShare));
            emit IDataShare.AllAccessRevoked(owner, outsider, uint24(i));
            vm.prank(owner);
            dataShare.revokeAccess(outsider);
            vm.assertEq(dataShare.generationOf(owner, outsider), i, "generation");
            vm.assertTrue(dataShare.accessOf(owner, outsider, resource, READ) == Access.Revoked, "scoped");
            vm.assertTrue(dataShare.accessOf(owner, outsider, OTHER, READ) == Access.Revoked, "blanket");
            vm.assertTrue(dataShare.accessOf(owner, payee, resource, READ) == Access.Granted, "not another's");
        }
        _give(resource);
        vm.assertTrue(dataShare.accessOf(owner, outsider, resource, READ) == Access.Granted, "granted anew");
        vm.assertEq(dataShare.grantOf(owner, outsider, resource).generation, times, "in the new generation");
    }

    function test_grantsSayWhichGenerationTheyAreOf() external {
        vm.startPrank(owner);
        dataShare.revokeAccess(outsider);
        dataShare.revokeAccess(outsider);
        _announces(address(dataShare));
        emit IDataShare.AccessGranted(owner, outsider, RESOURCE, READ, NEVER, 0, address(0), 2, "");
        dataShare.grant(outsider, RESOURCE, GrantTerms(READ, NEVER, 0, address(0)), "");
        vm.stopPrank();
    }

    function testFuzz_nothingNeedBeGrantedToBeRevoked(address grantee, bytes32 resource) external {
        vm.startPrank(owner);
        dataShare.revoke(grantee, resource);
        dataShare.revokeAccess(grantee);
        vm.stopPrank();
    }

    function testFuzz_nobodyRevokesForAnother(address caller) external {
        vm.assume(caller != owner);
        _give(RESOURCE);
        vm.startPrank(caller);
        dataShare.revoke(outsider, RESOURCE);
        dataShare.revokeAccess(outsider);
        vm.stopPrank();
        vm.assertTrue(dataShare.accessOf(owner, outsider, RESOURCE, READ) == Access.Granted, "untouched");
    }

    function testFuzz_manyAreRevokedOneAfterTheOther(uint256 picks, uint256 count) external {
        bytes32[3] memory resources = [bytes32(0), RESOURCE, OTHER];
        RevokeItem[] memory items = new RevokeItem[](count % 5);
        bool[3] memory gone;
        for (uint256 i = 0; i < 3; ++i) {
            _give(resources[i]);
        }
        for (uint256 i = 0; i < items.length; ++i) {
            uint256 pick = (picks >> 8 * i) % 3;
            items[i] = RevokeItem(outsider, resources[pick]);
            gone[pick] = true;
            _announces(address(dataShare));
            emit IDataShare.AccessRevoked(owner, outsider, resources[pick]);
        }
        vm.prank(owner);
        dataShare.revokeMany(items);
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(dataShare.grantOf(owner, outsider, resources[i]).rights, gone[i] ? 0 : READ, "grants");
        }
    }

    function _give(bytes32 resource) private {
        vm.prank(owner);
        dataShare.grant(outsider, resource, GrantTerms(READ, NEVER, 0, address(0)), "");
    }
}
