// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, GrantTerms, IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {Market} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract AccessOfTest is Market {
    bytes32 private constant RESOURCE = keccak256("resource");

    /// @dev What the owner did, remembered as the interface tells it.
    struct Told {
        uint8 rights;
        uint40 expiry;
        uint256 uses;
        bool voided;
    }

    Told private _scoped;
    Told private _blanket;

    /// @dev A short life of grants, uses and revocations, then every question about it.
    function testFuzz_theAnswerFollowsFromWhatTheOwnerDid(uint256 deeds, uint40 wait) external {
        for (uint256 i = 0; i < 5; ++i) {
            _do((deeds >> 32 * i) % 2 ** 32);
            if (deeds >> 200 & 1 << i != 0) vm.warp(block.timestamp + wait % 30);
        }
        for (uint256 right = 0; right < 16; ++right) {
            Access expected = _expected(uint8(right));
            Access given = dataShare.accessOf(owner, outsider, RESOURCE, uint8(right));
            vm.assertEq(uint256(given), uint256(expected), "accessOf");
            if (expected != Access.Granted) _refusesAccess(outsider, RESOURCE, uint8(right), expected);
            dataShare.requireAccess(owner, outsider, RESOURCE, uint8(right));
        }
    }

    function testFuzz_anOwnerReadsAndAsksButDoesNotServeUntold(address account, bytes32 resource) external {
        vm.assume(account != address(0));
        for (uint8 right = 1; right < 4; ++right) {
            vm.assertTrue(dataShare.accessOf(account, account, resource, right) == Access.Granted, "its own");
        }
        vm.assertTrue(dataShare.accessOf(account, account, resource, 0) == Access.NotGranted, "nothing at all");
        for (uint8 right = 4; right < 16; ++right) {
            vm.assertTrue(dataShare.accessOf(account, account, resource, right) == Access.NotGranted, "SERVE");
        }
        vm.assume(resource != 0);
        vm.prank(account);
        dataShare.grant(account, resource, GrantTerms(SERVE, NEVER, 0, address(0)), "");
        for (uint8 right = 1; right < 8; ++right) {
            vm.assertTrue(dataShare.accessOf(account, account, resource, right) == Access.Granted, "told");
        }
        vm.assertTrue(dataShare.accessOf(account, account, resource, 8) == Access.RightMissing, "no such right");
        vm.assertTrue(dataShare.accessOf(account, account, resource, 0) == Access.RightMissing, "none");
    }

    function testFuzz_agrantEndsAfterItsLastSecond(uint40 expiry) external {
        expiry = uint40(_within(expiry, block.timestamp + 1, NEVER - 2));
        vm.prank(owner);
        dataShare.grant(outsider, RESOURCE, GrantTerms(READ, expiry, 0, address(0)), "");
        vm.warp(expiry);
        vm.assertTrue(dataShare.accessOf(owner, outsider, RESOURCE, READ) == Access.Granted, "at its last second");
        vm.warp(uint256(expiry) + 1);
        vm.assertTrue(dataShare.accessOf(owner, outsider, RESOURCE, READ) == Access.Expired, "a second later");
    }

    function testFuzz_grantsConcernOneOwnerOneGranteeAndOneResource(address a, address b, bytes32 resource) external {
        vm.assume(a != owner && b != outsider && a != b && resource != RESOURCE);
        _grantServe(RESOURCE, outsider);
        vm.assertTrue(dataShare.accessOf(a, outsider, RESOURCE, SERVE) != Access.Granted, "another owner");
        vm.assertTrue(dataShare.accessOf(owner, b, RESOURCE, SERVE) != Access.Granted, "another grantee");
        vm.assertTrue(dataShare.accessOf(owner, outsider, resource, SERVE) != Access.Granted, "another resource");
    }

    function _do(uint256 deed) private {
        uint256 kind = deed % 8;
        uint256 detail = deed / 8;
        vm.startPrank(owner);
        if (kind < 3) {
            uint8 rights = uint8(1 + detail % 7);
            uint40 expiry = uint40(block.timestamp + detail / 8 % 64);
            uint24 uses = uint24(1 + detail / 512 % 3);
            dataShare.grant(outsider, RESOURCE, GrantTerms(rights, expiry, uses, address(this)), "");
            _scoped = Told(rights, expiry, uses, false);
        } else if (kind == 3) {
            uint40 expiry = uint40(block.timestamp + detail % 64);
            dataShare.grant(outsider, 0, GrantTerms(READ, expiry, 0, address(0)), "");
            _blanket = Told(READ, expiry, 0, false);
        } else if (kind == 4) {
            dataShare.revoke(outsider, RESOURCE);
            delete _scoped;
        } else if (kind == 5) {
            dataShare.revoke(outsider, 0);
            delete _blanket;
        } else if (kind == 6) {
            dataShare.revokeAccess(outsider);
            _scoped.voided = _blanket.voided = true;
        }
        vm.stopPrank();
        if (kind == 7 && _judge(_scoped, INFER) == Access.Granted) {
            dataShare.consume(owner, outsider, RESOURCE, 1);
            --_scoped.uses;
        }
    }

    function _expected(uint8 right) private view returns (Access) {
        Access scoped = _judge(_scoped, right);
        if (right & READ == 0 || scoped == Access.Granted) return scoped;
        Access blanket = _judge(_blanket, READ);
        if (blanket == Access.Granted) return right == READ ? blanket : _judge(_scoped, right - READ);
        return scoped == Access.NotGranted ? blanket : scoped;
    }

    function _judge(Told memory told, uint8 right) private view returns (Access) {
        if (told.rights == 0) return Access.NotGranted;
        if (told.voided) return Access.Revoked;
        if (block.timestamp > told.expiry) return Access.Expired;
        if (right == 0 || told.rights & right != right) return Access.RightMissing;
        if (right & INFER != 0 && told.uses == 0) return Access.QuotaExhausted;
        return Access.Granted;
    }
}
