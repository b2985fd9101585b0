// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, Grant, GrantTerms} from "../../../contracts/interfaces/IDataShare.sol";
import {vm} from "../market/Vm.sol";
import {Stage} from "./Stage.sol";

/// @notice The arithmetic of grants, for all rights, times and counts.
contract GrantsProof is Stage {
    address private constant GRANTEE = address(0xb1);
    address private constant METER = address(0xb2);
    bytes32 private constant RESOURCE = bytes32(uint256(0xb3));

    function check_aGrantIsStoredAsItWasGiven(uint8 rights, uint40 expiry, uint24 uses, address meter) external {
        vm.assume(_grant(GRANTEE, RESOURCE, GrantTerms(rights, expiry, uses, meter)));
        Grant memory stored = dataShare.grantOf(OWNER, GRANTEE, RESOURCE);
        assert(stored.rights == rights && stored.expiry == expiry && stored.uses == uses && stored.meter == meter);
        assert(rights != 0 && rights <= 7 && expiry >= block.timestamp);
        if (rights & INFER != 0) assert(uses != 0 && meter != address(0));
    }

    function check_accessLastsThroughItsLastSecond(uint40 expiry, uint40 moment) external {
        vm.assume(expiry >= START && moment >= START);
        assert(_grant(GRANTEE, RESOURCE, GrantTerms(READ, expiry, 0, address(0))));
        vm.warp(moment);
        assert((_accessTo(READ) == Access.Granted) == (moment <= expiry));
    }

    function check_accessNeedsEveryRightThatIsAsked(uint8 held, uint8 asked) external {
        vm.assume(held != 0 && held <= 7);
        assert(_grant(GRANTEE, RESOURCE, GrantTerms(held, NEVER, UNLIMITED, METER)));
        assert((_accessTo(asked) == Access.Granted) == (asked != 0 && held & asked == asked));
    }

    function check_consumptionTakesWhatThereIsAndNoMore(uint24 uses, uint256 count, address caller) external {
        vm.assume(uses != 0 && uses != UNLIMITED);
        assert(_grant(GRANTEE, RESOURCE, GrantTerms(INFER, NEVER, uses, METER)));
        bool consumed = _consumes(caller, count);
        assert(consumed == (caller == METER && count <= uses));
        uint24 left = dataShare.grantOf(OWNER, GRANTEE, RESOURCE).uses;
        assert(left == (consumed ? uses - count : uses));
    }

    function check_anUnlimitedQuotaStays(uint24 count) external {
        assert(_grant(GRANTEE, RESOURCE, GrantTerms(INFER, NEVER, UNLIMITED, METER)));
        assert(_consumes(METER, count));
        assert(dataShare.grantOf(OWNER, GRANTEE, RESOURCE).uses == UNLIMITED);
    }

    function check_afterABlanketRevokeThereIsNoAccess(uint8 rights, uint8 asked) external {
        vm.assume(rights != 0 && rights <= 7);
        assert(_grant(GRANTEE, RESOURCE, GrantTerms(rights, NEVER, UNLIMITED, METER)));
        vm.prank(OWNER);
        dataShare.revokeAccess(GRANTEE);
        assert(_accessTo(asked) != Access.Granted);
    }

    function check_nobodyGrantsForAnother(address caller, uint8 rights, uint8 asked) external {
        vm.assume(caller != OWNER);
        vm.prank(caller);
        (bool granted,) = address(dataShare).call(
            abi.encodeCall(dataShare.grant, (GRANTEE, RESOURCE, GrantTerms(rights, NEVER, 1, METER), ""))
        );
        vm.assume(granted);
        assert(_accessTo(asked) == Access.NotGranted);
    }

    function _accessTo(uint8 asked) private view returns (Access) {
        return dataShare.accessOf(OWNER, GRANTEE, RESOURCE, asked);
    }

    function _consumes(address caller, uint256 count) private returns (bool consumed) {
        vm.prank(caller);
        (consumed,) = address(dataShare).call(abi.encodeCall(dataShare.consume, (OWNER, GRANTEE, RESOURCE, count)));
    }
}
