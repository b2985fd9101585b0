// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    IInferenceCallback,
    IInferenceEscrow,
    Query,
    RequestStatus
} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {ModelTerms} from "../../../contracts/interfaces/IModelRegistry.sol";
import {GasGauge} from "../actors/GasGauge.sol";
import {Behaviour, HostileAccount} from "../actors/HostileAccount.sol";
import {Digests} from "../market/Digests.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract CallbackTest is Market {
    bytes32 private constant SALT = keccak256("salt");

    HostileAccount private consumer;
    GasGauge private gauge;
    Listing private listing;

    function setUp() public override {
        super.setUp();
        consumer = new HostileAccount();
        gauge = new GasGauge();
        vm.deal(address(consumer), 100 ether);
        vm.deal(address(gauge), 100 ether);
        ModelTerms memory terms = _terms();
        terms.open = true;
        listing = _list(terms, address(0));
    }

    function testFuzz_theAnswerIsRecordedThenDelivered(bytes memory output, bytes32 salt) external {
        vm.assume(output.length < 1024);
        Placed memory placed = _placeWithCallback(1_000_000);
        bytes32 commitment = Digests.ofResult(placed.id, output, salt);

        _announces(address(escrow));
        emit IInferenceEscrow.InferenceFulfilled(
            placed.id, listing.modelId, worker, commitment, bytes.concat(hex"00", output)
        );
        _announces(address(escrow));
        emit IInferenceEscrow.CallbackRun(placed.id, true);
        vm.prank(worker);
        escrow.fulfilWithCallback(placed.offer, placed.terms, salt, output);

        vm.assertEq(consumer.lastCaller(), address(escrow), "called by the escrow");
        vm.assertEq(
            consumer.lastData(), abi.encodeCall(IInferenceCallback.onInference, (placed.id, output)), "with the answer"
        );
        vm.assertEq(consumer.calls(), 1, "once");
        (RequestStatus status, bytes31 recorded) = escrow.resultOf(placed.id);
        vm.assertTrue(status == RequestStatus.Fulfilled && recorded == bytes31(commitment), "recorded");
    }

    /// @dev With whatever gas the worker calls, the callback gets all that was bought or nothing happens.
    function testFuzz_noWorkerStarvesTheCallback(uint256 callbackGas, uint256 given) external {
        callbackGas = _within(callbackGas, 1_000, 1_000_000);
        Placed memory placed = _placeBy(address(gauge), listing, _queryWithCallback(callbackGas));
        given = callbackGas * 64 / 63 + given % 150_000;
        (bool delivered, bytes memory reason) = _deliverWith(placed, given);
        if (delivered) {
            vm.assertEq(gauge.calls(), 1, "called");
            vm.assertEq(gauge.gasAtEntry(), callbackGas - _entryCost(), "with all the gas that was bought");
        } else {
            vm.assertEq(gauge.calls(), 0, "not called");
            vm.assertTrue(_statusOf(placed.id) == RequestStatus.Open, "still open");
            if (reason.length != 0) {
                vm.assertEq(bytes4(reason), IInferenceEscrow.CallbackGasMissing.selector, "reason");
                (uint256 left, uint256 needed) = _two(reason);
                vm.assertTrue(left < needed, "too little was left");
                vm.assertEq(needed, callbackGas * 64 / 63 + 5_000, "needed");
            }
        }
    }

    /// @dev In steps of 16 gas, for requesters whose address the transaction has not touched before.
    function test_theGasThatIsJustEnoughIsEnough() external {
        uint256[3] memory sizes = [uint256(5_000), 100_000, 1_000_000];
        for (uint256 i = 0; i < sizes.length; ++i) {
            Placed memory placed = _placeBy(address(gauge), listing, _queryWithCallback(sizes[i]));
            uint256 calls = gauge.calls();
            uint256 given = sizes[i] * 64 / 63 + 30_000;
            bool delivered = false;
            while (!delivered) {
                vm.cool(address(gauge));
                (delivered,) = _deliverWith(placed, given += 16);
            }
            vm.assertEq(gauge.calls(), calls + 1, "called once, at last");
            vm.assertEq(gauge.gasAtEntry(), sizes[i] - _entryCost(), "with all the gas that was bought");
        }
    }

    function test_whateverTheRequesterDoesTheWorkerIsPaid() external {
        Behaviour[5] memory hostile = [
            Behaviour.Revert,
            Behaviour.RevertWithBomb,
            Behaviour.BurnGas,
            Behaviour.ReturnBomb,
            Behaviour.Reenter
        ];
        for (uint256 i = 0; i < hostile.length; ++i) {
            Placed memory placed = _placeWithCallback(700_000);
            consumer.behave(hostile[i]);
            if (hostile[i] == Behaviour.Reenter) {
                consumer.reenter(address(escrow), abi.encodeCall(escrow.refund, (placed.id)));
            }
            bool harmless = hostile[i] == Behaviour.ReturnBomb || hostile[i] == Behaviour.Reenter;
            _announces(address(escrow));
            emit IInferenceEscrow.CallbackRun(placed.id, harmless);
            uint256 gasBefore = gasleft();
            vm.prank(worker);
            escrow.fulfilWithCallback(placed.offer, placed.terms, SALT, hex"01");
            vm.assertTrue(gasBefore - gasleft() < 900_000, "no more gas than was bought");
            vm.assertTrue(_statusOf(placed.id) == RequestStatus.Fulfilled, "answered");
            vm.assertEq(escrow.creditOf(ETH, worker), (i + 1) * (FEE - FEE * 3_333 / 10_000), "paid");
        }
        vm.assertEq(consumer.succeeded(), false, "nothing to gain by coming back");
    }

    function test_aCallbackMaySpendWhatItWasJustRefunded() external {
        Placed memory late = _placeWithCallback(60_000);
        vm.warp(block.timestamp + 2 hours);
        Placed memory placed = _placeWithCallback(900_000);
        consumer.reenter(
            address(escrow), abi.encodeCall(escrow.refundAndWithdraw, (late.id, address(consumer)))
        );
        uint256 before = address(consumer).balance;
        vm.prank(worker);
        escrow.fulfilWithCallback(placed.offer, placed.terms, SALT, hex"01");
        vm.assertTrue(consumer.succeeded(), "the refund was due");
        vm.assertEq(address(consumer).balance - before, FEE, "and came once");
    }

    function test_aRequesterWithoutCodeIsNotSaidToHaveBeenCalled() external {
        Placed memory placed = _place(listing, _queryWithCallback(30_000));
        _announces(address(escrow));
        emit IInferenceEscrow.CallbackRun(placed.id, false);
        vm.prank(worker);
        escrow.fulfilWithCallback(placed.offer, placed.terms, SALT, hex"01");
    }

    function test_withoutACallbackThereIsNone() external {
        Placed memory placed = _place(listing);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.CallbackMismatch.selector, 0));
        vm.prank(worker);
        escrow.fulfilWithCallback(placed.offer, placed.terms, SALT, hex"01");
    }

    function test_theFramedOutputIsBounded() external {
        Placed memory placed = _placeWithCallback(500_000);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.OutputTooLong.selector, 1025, 1024));
        vm.prank(worker);
        escrow.fulfilWithCallback(placed.offer, placed.terms, SALT, new bytes(1024));
        vm.prank(worker);
        escrow.fulfilWithCallback(placed.offer, placed.terms, SALT, new bytes(1023));
    }

    function _placeWithCallback(uint256 callbackGas) private returns (Placed memory) {
        return _placeBy(address(consumer), listing, _queryWithCallback(callbackGas));
    }

    function _queryWithCallback(uint256 callbackGas) private returns (Query memory query) {
        query = _query();
        query.callbackGas = uint32(callbackGas);
    }

    /// @dev What the gauge spends before it reads its gas.
    function _entryCost() private returns (uint256) {
        GasGauge other = new GasGauge();
        (bool called,) = address(other).call{gas: 100_000}(abi.encodeCall(IInferenceCallback.onInference, (0, "")));
        vm.assertTrue(called, "gauge");
        return 100_000 - other.gasAtEntry();
    }

    function _deliverWith(Placed memory placed, uint256 given) private returns (bool, bytes memory) {
        bytes memory data =
            abi.encodeCall(escrow.fulfilWithCallback, (placed.offer, placed.terms, SALT, hex"0102"));
        vm.prank(worker);
        return address(escrow).call{gas: given}(data);
    }

    function _two(bytes memory reason) private pure returns (uint256 first, uint256 second) {
        assembly {
            first := mload(add(reason, 36))
            second := mload(add(reason, 68))
        }
    }
}
