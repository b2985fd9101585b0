// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IInferenceEscrow, Query, Request, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {ModelTerms, Offer} from "../../../contracts/interfaces/IModelRegistry.sol";
import {vm} from "../market/Vm.sol";
import {Stage} from "./Stage.sol";

/// @notice Fees and deadlines of requests, for all amounts and moments.
contract RequestsProof is Stage {
    uint40 private constant DEADLINE = uint40(START) + 1 hours;

    function check_aDeadlineIsTakenWithinItsBoundOnly(uint40 deadline) external {
        Offer memory offer = _list(_terms(), address(0));
        Request memory terms = _request(deadline);
        bool placed = _places(offer, terms, FEE);
        assert(placed == (deadline > START && deadline <= START + MAX_DELAY));
        if (placed) assert(escrow.requestOf(escrow.idOf(offer, terms)).deadline == deadline);
    }

    function check_exactlyTheFeeIsTaken(uint128 value) external {
        Offer memory offer = _list(_terms(), address(0));
        assert(_places(offer, _request(DEADLINE), value) == (value == FEE));
    }

    function check_atEveryMomentOneOfAnswerAndRefund(uint40 moment, bool answerFirst) external {
        vm.assume(moment >= START);
        Offer memory offer = _list(_terms(), address(0));
        Request memory terms = _request(DEADLINE);
        assert(_places(offer, terms, FEE));
        bytes32 id = escrow.idOf(offer, terms);
        vm.warp(moment);
        bool answered = answerFirst && _fulfils(offer, terms);
        bool refunded = _refunds(id);
        answered = answered || (!answerFirst && _fulfils(offer, terms));
        assert(answered == (moment <= DEADLINE) && refunded == (moment > DEADLINE));
    }

    function check_aRefundIsTheWholeFee(uint48 feeGwei) external {
        ModelTerms memory prices = _terms();
        prices.fee = uint256(feeGwei) * 1 gwei;
        Offer memory offer = _list(prices, address(0));
        Request memory terms = _request(DEADLINE);
        assert(_places(offer, terms, offer.fee));
        vm.warp(DEADLINE + 1);
        assert(_refunds(escrow.idOf(offer, terms)));
        assert(escrow.creditOf(address(0), REQUESTER) == offer.fee);
    }

    function check_whatHasEndedEndsNotAgain(address caller, uint40 moment) external {
        vm.assume(moment >= START);
        Offer memory offer = _list(_terms(), address(0));
        Request memory terms = _request(DEADLINE);
        assert(_places(offer, terms, FEE) && _fulfils(offer, terms));
        bytes32 id = escrow.idOf(offer, terms);
        vm.warp(moment);
        assert(!_calls(caller, abi.encodeCall(IInferenceEscrow.refund, (id))));
        assert(!_calls(caller, abi.encodeCall(IInferenceEscrow.fulfil, (offer, terms, bytes32(uint256(8)), ""))));
        assert(!_calls(caller, abi.encodeCall(IInferenceEscrow.refuse, (offer, terms, 1))));
        assert(!_calls(caller, abi.encodeCall(IInferenceEscrow.cancel, (offer, terms))));
        assert(!_places(offer, terms, FEE));
        assert(_statusOf(id) == RequestStatus.Fulfilled);
    }

    function check_onlyTheRequesterCancelsAndThenForAll(address caller) external {
        Offer memory offer = _list(_terms(), address(0));
        Request memory terms = _request(DEADLINE);
        bool cancelled = _calls(caller, abi.encodeCall(IInferenceEscrow.cancel, (offer, terms)));
        assert(cancelled == (caller == REQUESTER));
        assert(_places(offer, terms, FEE) == !cancelled);
    }

    function check_onlyWhoServesAnswers(address caller) external {
        Offer memory offer = _list(_terms(), address(0));
        Request memory terms = _request(DEADLINE);
        assert(_places(offer, terms, FEE));
        bool answered =
            _calls(caller, abi.encodeCall(IInferenceEscrow.fulfil, (offer, terms, bytes32(uint256(9)), "")));
        assert(answered == (caller == WORKER));
    }

    function check_aVerifierHoldsNoLongerThanItMay(address caller, uint40 until) external {
        Offer memory offer = _list(_terms(), VERIFIER);
        Request memory terms = _request(DEADLINE);
        assert(_places(offer, terms, FEE));
        bool held = _calls(caller, abi.encodeCall(IInferenceEscrow.hold, (offer, terms, WORKER, until)));
        assert(held == (caller == VERIFIER && until > START && until <= START + 30 days));
    }

    function check_anIdIsOfOneSetOfTerms(
        address[2] memory workers,
        bytes32[2] memory inputHashes,
        uint40[2] memory deadlines,
        uint256[2] memory fees
    ) external view {
        bytes32[2] memory ids;
        for (uint256 i = 0; i < 2; ++i) {
            Offer memory offer;
            offer.fee = fees[i];
            ids[i] = escrow.idOf(
                offer, Request(REQUESTER, REQUESTER, Query(workers[i], inputHashes[i], 0, deadlines[i], 0, 0))
            );
        }
        vm.assume(ids[0] == ids[1]);
        assert(workers[0] == workers[1] && inputHashes[0] == inputHashes[1]);
        assert(deadlines[0] == deadlines[1] && fees[0] == fees[1]);
    }

    function _statusOf(bytes32 id) private view returns (RequestStatus status) {
        (status,) = escrow.resultOf(id);
    }
}
