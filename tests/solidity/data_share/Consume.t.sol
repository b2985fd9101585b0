// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access, Grant, GrantTerms, IDataShare} from "../../../contracts/interfaces/IDataShare.sol";
import {Market} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract ConsumeTest is Market {
    bytes32 private constant RESOURCE = keccak256("resource");
    address private immutable meter = vm.addr(77);

    function testFuzz_usesAreConsumedDownToZeroAndNoFurther(uint24 uses, uint256 count) external {
        uses = uint24(_within(uses, 1, UNLIMITED - 1));
        _give(uses, NEVER);
        if (count > uses) _refusesAccess(outsider, RESOURCE, Access.QuotaExhausted);
        _consume(count);

        uint256 left = count > uses ? uses : uses - count;
        Grant memory stored = dataShare.grantOf(owner, outsider, RESOURCE);
        vm.assertEq(stored.uses, left, "uses");
        vm.assertTrue(
            stored.meter == meter && stored.expiry == NEVER && stored.rights == INFER && stored.generation == 0,
            "nothing else"
        );
        if (left != 0) _consume(left);
        _refusesAccess(outsider, RESOURCE, Access.QuotaExhausted);
        _consume(1);
        _refusesAccess(outsider, RESOURCE, Access.QuotaExhausted);
        _consume(0);
    }

    function test_theLastUseIsConsumed() external {
        _give(2, NEVER);
        _consume(2);
        vm.assertEq(dataShare.grantOf(owner, outsider, RESOURCE).uses, 0, "uses");
    }

    function testFuzz_anUnlimitedGrantIsNotConsumed(uint24 count) external {
        _give(UNLIMITED, NEVER);
        _consume(count);
        vm.assertEq(dataShare.grantOf(owner, outsider, RESOURCE).uses, UNLIMITED, "uses");
    }

    function testFuzz_nobodyButTheMeterConsumes(address caller, uint24 uses) external {
        vm.assume(caller != meter && uses != 0);
        _give(uses, NEVER);
        _refuses(abi.encodeWithSelector(IDataShare.NotMeter.selector, meter, caller));
        vm.prank(caller);
        dataShare.consume(owner, outsider, RESOURCE, 1);
    }

    function testFuzz_anOwnersUseOfItsOwnConsumesNothing(address account, uint256 count) external {
        vm.prank(account);
        dataShare.consume(account, account, RESOURCE, count);
        vm.assertEq(dataShare.grantOf(account, account, RESOURCE).uses, 0, "uses");
    }

    function test_whatIsNotGrantedNowIsNotConsumed() external {
        _refusesAccess(outsider, RESOURCE, Access.NotGranted);
        _consume(1);
        _give(5, uint40(block.timestamp));
        vm.warp(block.timestamp + 1);
        _refusesAccess(outsider, RESOURCE, Access.Expired);
        _consume(1);
        _give(5, NEVER);
        vm.prank(owner);
        dataShare.revokeAccess(outsider);
        _refusesAccess(outsider, RESOURCE, Access.Revoked);
        _consume(1);
        vm.prank(owner);
        dataShare.grant(outsider, RESOURCE, GrantTerms(READ | SERVE, NEVER, 5, meter), "");
        _refusesAccess(outsider, RESOURCE, Access.RightMissing);
        _consume(1);
    }

    function _give(uint24 uses, uint40 expiry) private {
        vm.prank(owner);
        dataShare.grant(outsider, RESOURCE, GrantTerms(INFER, expiry, uses, meter), "");
    }

    function _consume(uint256 count) private {
        vm.prank(meter);
        dataShare.consume(owner, outsider, RESOURCE, count);
    }
}
