// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    Answer,
    IInferenceEscrow,
    Outcome,
    RequestStatus
} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

/// @notice At every moment exactly one of an answer and a refund is possible.
contract DeadlineTest is Market {
    function test_aSecondBeforeAnAnswerAndNoRefund() external {
        Placed memory placed = _place(_list());
        vm.warp(placed.terms.query.deadline - 1);
        _refusesRefund(placed);
        _fulfil(placed);
    }

    function test_atTheDeadlineAnAnswerAndNoRefund() external {
        Placed memory placed = _place(_list());
        vm.warp(placed.terms.query.deadline);
        _refusesRefund(placed);
        _fulfil(placed);
    }

    function test_aSecondAfterARefundAndNoAnswer() external {
        Placed memory placed = _place(_list());
        vm.warp(placed.terms.query.deadline + 1);
        _refusesAnswer(placed);
        escrow.refund(placed.id);
    }

    function test_theSameInBatches() external {
        Listing memory listing = _list();
        for (uint256 i = 0; i < 3; ++i) {
            Placed memory placed = _place(listing);
            bool late = i == 2;
            vm.warp(placed.terms.query.deadline - 1 + i);
            bytes32[] memory ids = new bytes32[](1);
            ids[0] = placed.id;
            if (!late) vm.assertEq(escrow.refundMany(ids), 0, "no refund yet, and no revert");
            Answer[] memory answers = new Answer[](1);
            answers[0] = Answer(placed.terms, COMMITMENT, OUTPUT);

            vm.prank(worker);
            Outcome[] memory outcomes = escrow.fulfilMany(placed.offer, answers);
            vm.assertTrue(outcomes[0] == (late ? Outcome.DeadlinePassed : Outcome.Fulfilled), "answer");
            vm.assertEq(escrow.refundMany(ids), late ? 1 : 0, "refund");
        }
    }

    function testFuzz_alwaysOneOfTheTwo(uint40 moment, bool refundFirst) external {
        Placed memory placed = _place(_list());
        uint256 deadline = placed.terms.query.deadline;
        vm.warp(_within(moment, START, START + 1 days));
        bool late = block.timestamp > deadline;

        if (refundFirst) {
            if (!late) _refusesRefund(placed);
            else escrow.refund(placed.id);
            if (late) _refusesEnded(placed, RequestStatus.Refunded);
            _fulfil(placed);
        } else {
            if (late) _refusesAnswer(placed);
            else _fulfil(placed);
            if (!late) _refusesEnded(placed, RequestStatus.Fulfilled);
            escrow.refund(placed.id);
        }
    }

    function _refusesRefund(Placed memory placed) private {
        _refuses(
            abi.encodeWithSelector(
                IInferenceEscrow.DeadlineNotPassed.selector, placed.terms.query.deadline, block.timestamp
            )
        );
        escrow.refund(placed.id);
    }

    function _refusesAnswer(Placed memory placed) private {
        bytes memory refusal = abi.encodeWithSelector(
            IInferenceEscrow.DeadlinePassed.selector, placed.terms.query.deadline, block.timestamp
        );
        _refuses(refusal);
        _fulfil(placed);
        _refuses(refusal);
        vm.prank(worker);
        escrow.refuse(placed.offer, placed.terms, 1);
    }

    function _refusesEnded(Placed memory placed, RequestStatus status) private {
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotOpen.selector, placed.id, status));
    }
}
