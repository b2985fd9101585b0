// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access} from "../../../contracts/interfaces/IDataShare.sol";
import {
    IInferenceEscrow,
    Query,
    RequestState,
    RequestStatus
} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {ModelTerms} from "../../../contracts/interfaces/IModelRegistry.sol";
import {HostileVerifier, Referee} from "../actors/Verifiers.sol";
import {Digests} from "../market/Digests.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract VerifierTest is Market {
    // --- hold -------------------------------------------------------------------------------------

    function testFuzz_aHoldMovesTheDeadlineAndNothingElse(uint256 fee, uint256 until, bool inCoin) external {
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        if (inCoin) terms.token = address(coin);
        Placed memory placed = _place(_list(terms, verifier));
        until = _within(until, block.timestamp + 1, block.timestamp + 30 days);

        _announces(address(escrow));
        emit IInferenceEscrow.InferenceHeld(placed.id, worker, uint40(until));
        _hold(placed, worker, until);

        RequestState memory state = escrow.requestOf(placed.id);
        vm.assertTrue(state.status == (inCoin ? RequestStatus.HeldErc20 : RequestStatus.Held), "status");
        vm.assertEq(state.payer, requester, "payer");
        vm.assertEq(state.token, terms.token, "token");
        vm.assertEq(state.fee, terms.fee, "fee");
        vm.assertEq(state.deadline, until, "until");
        (, bytes31 commitment) = escrow.resultOf(placed.id);
        vm.assertEq(commitment, bytes31(0), "no result yet");
    }

    function test_aHoldIsBounded() external {
        Placed memory placed = _place(_list(_terms(), verifier));
        vm.assertEq(escrow.MAX_HOLD(), 30 days, "MAX_HOLD");
        uint256 latest = block.timestamp + 30 days;
        uint256[3] memory refused = [block.timestamp - 1, block.timestamp, latest + 1];
        for (uint256 i = 0; i < refused.length; ++i) {
            _refuses(
                abi.encodeWithSelector(
                    IInferenceEscrow.HoldOutOfBounds.selector, refused[i], block.timestamp, latest
                )
            );
            _hold(placed, worker, refused[i]);
        }
        _hold(placed, worker, latest);
        _hold(_place(_list(_terms(), verifier)), worker, block.timestamp + 1);
    }

    function test_onlyTheVerifierNamedInTheOfferHolds() external {
        Placed memory placed = _place(_list(_terms(), verifier));
        _refusesCaller(verifier, outsider);
        vm.prank(outsider);
        escrow.hold(placed.offer, placed.terms, worker, uint40(block.timestamp + 1));

        placed = _place(_list());
        _refusesCaller(address(0), verifier);
        _hold(placed, worker, block.timestamp + 1);

        placed = _place(_list(_terms(), verifier));
        placed.offer.verifier = outsider;
        _refusesStatus(_idOf(placed.offer, placed.terms), RequestStatus.None);
        vm.prank(outsider);
        escrow.hold(placed.offer, placed.terms, worker, uint40(block.timestamp + 1));
    }

    function test_aHoldIsForAnEligibleWorkerInTime() external {
        Listing memory listing = _list(_terms(), verifier);
        Query memory query = _query();
        query.worker = otherWorker;
        Placed memory placed = _place(listing, query);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotNamedWorker.selector, otherWorker, worker));
        _hold(placed, worker, block.timestamp + 1);

        placed = _place(listing);
        _refusesAccess(outsider, listing.modelId, SERVE, Access.NotGranted);
        _hold(placed, outsider, block.timestamp + 1);

        uint40 deadline = placed.terms.query.deadline;
        vm.warp(deadline + 1);
        _refusesLate(deadline);
        _hold(placed, worker, block.timestamp + 1);
        vm.warp(deadline);
        _hold(placed, worker, block.timestamp + 1);
    }

    function test_aHoldIsNotProlonged() external {
        Placed memory placed = _place(_list(_terms(), verifier));
        _hold(placed, worker, block.timestamp + 1);
        _refusesStatus(placed.id, RequestStatus.Held);
        _hold(placed, worker, block.timestamp + 2);
    }

    function test_aHeldRequestIsRefundedOnceTheHoldHasPassed() external {
        Placed memory placed = _place(_list(_terms(), verifier));
        uint256 until = placed.terms.query.deadline + 3 hours;
        _hold(placed, worker, until);
        vm.warp(until);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.DeadlineNotPassed.selector, until, until));
        escrow.refund(placed.id);
        vm.warp(until + 1);
        escrow.refund(placed.id);
        vm.assertEq(escrow.creditOf(ETH, requester), FEE, "credit");
    }

    // --- settle -----------------------------------------------------------------------------------

    function testFuzz_aSettlementPaysAsAnAnswerDoes(uint256 fee, uint16 payeeBps, bool inCoin, bool held) external {
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        if (inCoin) terms.token = address(coin);
        terms.payeeBps = payeeBps % 10_001;
        Placed memory placed = _place(_list(terms, verifier));
        if (held) _hold(placed, worker, block.timestamp + 1 days);

        _announces(address(escrow));
        emit IInferenceEscrow.InferenceFulfilled(placed.id, placed.offer.modelId, worker, COMMITMENT, OUTPUT);
        _settle(placed);

        uint256 share = terms.fee * terms.payeeBps / 10_000;
        vm.assertEq(escrow.creditOf(terms.token, payee), share, "the payee's share");
        vm.assertEq(escrow.creditOf(terms.token, worker), terms.fee - share, "the worker's");
        (RequestStatus status, bytes31 commitment) = escrow.resultOf(placed.id);
        vm.assertTrue(status == RequestStatus.Fulfilled && commitment == bytes31(COMMITMENT), "recorded");
    }

    function test_withoutAHoldAnEligibleWorkerIsSettledInTime() external {
        Listing memory listing = _list(_terms(), verifier);
        Query memory query = _query();
        query.worker = otherWorker;
        Placed memory placed = _place(listing, query);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotNamedWorker.selector, otherWorker, worker));
        _settle(placed);

        placed = _place(listing);
        vm.warp(placed.terms.query.deadline + 1);
        _refusesLate(placed.terms.query.deadline);
        _settle(placed);
        vm.warp(placed.terms.query.deadline);
        _settle(placed);
        _refusesStatus(placed.id, RequestStatus.Fulfilled);
        _settle(placed);

        placed = _place(listing);
        vm.prank(owner);
        dataShare.revokeAccess(worker);
        _refusesAccess(worker, listing.modelId, SERVE, Access.Revoked);
        _settle(placed);
    }

    function test_aHeldAnswerIsSettledUntilTheHoldEndsWhateverBecomesOfTheWorker() external {
        Placed memory placed = _place(_list(_terms(), verifier));
        uint256 until = placed.terms.query.deadline + 3 hours;
        _hold(placed, worker, until);
        vm.prank(owner);
        dataShare.revokeAccess(worker);
        vm.warp(until + 1);
        _refusesLate(until);
        _settle(placed);
        vm.warp(until);
        _settle(placed);
        _refusesStatus(placed.id, RequestStatus.Fulfilled);
        escrow.refund(placed.id);
    }

    function test_aShortHoldEndsBeforeTheDeadlineWould() external {
        Placed memory placed = _place(_list(_terms(), verifier));
        _hold(placed, worker, block.timestamp + 60);
        vm.warp(block.timestamp + 61);
        _refusesLate(block.timestamp - 1);
        _settle(placed);
        escrow.refund(placed.id);
    }

    function test_onlyTheVerifierSettles() external {
        Placed memory placed = _place(_list(_terms(), verifier));
        _refusesCaller(verifier, worker);
        vm.prank(worker);
        escrow.settle(placed.offer, placed.terms, worker, COMMITMENT, OUTPUT);
        _refusesCaller(verifier, worker);
        vm.prank(worker);
        escrow.settleWithCallback(placed.offer, placed.terms, worker, 0, OUTPUT);
    }

    function test_aSettlementIsCheckedAsAnAnswerIs() external {
        Listing memory listing = _list(_terms(), verifier);
        Query memory query = _query();
        query.flags = 1;
        Placed memory placed = _place(listing, query);
        vm.startPrank(verifier);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.CommitmentIsZero.selector));
        escrow.settle(placed.offer, placed.terms, worker, 0, OUTPUT);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.OutputTooLong.selector, 1025, 1024));
        escrow.settle(placed.offer, placed.terms, worker, COMMITMENT, new bytes(1025));
        _refuses(abi.encodeWithSelector(IInferenceEscrow.OutputNotInline.selector));
        escrow.settle(placed.offer, placed.terms, worker, COMMITMENT, hex"03");
        vm.stopPrank();

        query = _query();
        query.callbackGas = 10_000;
        placed = _place(listing, query);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.CallbackMismatch.selector, 10_000));
        _settle(placed);
    }

    function testFuzz_aSettlementWithACallback(bytes32 salt, bool held) external {
        Listing memory listing = _list(_terms(), verifier);
        Query memory query = _query();
        query.callbackGas = 10_000;
        Placed memory placed = _place(listing, query);
        if (held) _hold(placed, worker, block.timestamp + 1 days);
        bytes32 commitment = Digests.ofResult(placed.id, hex"05", salt);

        _announces(address(escrow));
        emit IInferenceEscrow.InferenceFulfilled(placed.id, listing.modelId, worker, commitment, hex"0005");
        _announces(address(escrow));
        emit IInferenceEscrow.CallbackRun(placed.id, false);
        vm.prank(verifier);
        escrow.settleWithCallback(placed.offer, placed.terms, worker, salt, hex"05");
        vm.assertEq(escrow.creditOf(ETH, worker) + escrow.creditOf(ETH, payee), FEE, "paid");
    }

    // --- correct ----------------------------------------------------------------------------------

    function testFuzz_aCorrectionCreditsThePayer(uint256 fee, bool inCoin, bytes32 commitment) external {
        vm.assume(commitment != 0);
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        if (inCoin) terms.token = address(coin);
        Placed memory placed = _place(_list(terms, verifier));
        _hold(placed, worker, block.timestamp + 1 days);
        vm.warp(block.timestamp + 1 days);

        _announces(address(escrow));
        emit IInferenceEscrow.InferenceCorrected(placed.id, placed.offer.modelId, requester, commitment, OUTPUT);
        vm.prank(verifier);
        escrow.correct(placed.offer, placed.terms, commitment, OUTPUT);

        vm.assertEq(escrow.creditOf(terms.token, requester), terms.fee, "the payer");
        vm.assertEq(escrow.creditOf(terms.token, worker), 0, "and not the worker");
        (RequestStatus status, bytes31 recorded) = escrow.resultOf(placed.id);
        vm.assertTrue(status == RequestStatus.Corrected && recorded == bytes31(commitment), "recorded");
        vm.assertEq(escrow.requestOf(placed.id).commitment, bytes31(commitment), "requestOf");
    }

    function test_onlyAHeldAnswerIsCorrectedByItsVerifierUntilTheHoldEnds() external {
        Placed memory placed = _place(_list(_terms(), verifier));
        _refuses(
            abi.encodeWithSelector(IInferenceEscrow.NotHeld.selector, placed.id, RequestStatus.Open)
        );
        _correct(placed, COMMITMENT, OUTPUT);

        _hold(placed, worker, block.timestamp + 60);
        _refusesCaller(verifier, outsider);
        vm.prank(outsider);
        escrow.correct(placed.offer, placed.terms, COMMITMENT, OUTPUT);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.CommitmentIsZero.selector));
        _correct(placed, 0, OUTPUT);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.OutputTooLong.selector, 1025, 1024));
        _correct(placed, COMMITMENT, new bytes(1025));

        vm.warp(block.timestamp + 61);
        _refusesLate(block.timestamp - 1);
        _correct(placed, COMMITMENT, OUTPUT);
        vm.warp(block.timestamp - 1);
        _correct(placed, COMMITMENT, new bytes(1024));
        _refuses(
            abi.encodeWithSelector(IInferenceEscrow.NotHeld.selector, placed.id, RequestStatus.Corrected)
        );
        _correct(placed, COMMITMENT, OUTPUT);
    }

    // --- verifiers that are contracts -------------------------------------------------------------

    function test_anHonestRefereePaysForRightAnswersOnly() external {
        Referee referee = new Referee(escrow);
        Listing memory listing = _list(_terms(), address(referee));
        Placed memory right = _place(listing);
        vm.prank(worker);
        referee.answer(right.offer, right.terms, COMMITMENT, OUTPUT);
        Placed memory wrong = _place(listing);
        vm.prank(otherWorker);
        referee.answer(wrong.offer, wrong.terms, bytes32(uint256(1)), OUTPUT);
        Placed memory abandoned = _place(listing);
        vm.prank(worker);
        referee.answer(abandoned.offer, abandoned.terms, COMMITMENT, OUTPUT);

        referee.judge(right.offer, right.terms, COMMITMENT, OUTPUT);
        referee.judge(wrong.offer, wrong.terms, COMMITMENT, OUTPUT);
        vm.warp(block.timestamp + 1 days + 1);
        escrow.refund(abandoned.id);

        vm.assertTrue(_statusOf(right.id) == RequestStatus.Fulfilled, "the right one is paid");
        vm.assertTrue(_statusOf(wrong.id) == RequestStatus.Corrected, "the wrong one is put right");
        vm.assertEq(escrow.creditOf(ETH, otherWorker), 0, "and not paid");
        vm.assertEq(escrow.creditOf(ETH, requester), 2 * FEE, "the fees go back");
    }

    function test_aHostileVerifierHarmsNoRequestButThoseThatNameIt() external {
        HostileVerifier hostile = new HostileVerifier(escrow);
        Listing memory listing = _list(_terms(), address(hostile));
        Placed memory own = _place(listing);
        Placed memory foreign = _place(_list());
        Placed memory judged = _place(_list(_terms(), verifier));
        vm.assertEq(hostile.attack(foreign.offer, foreign.terms, worker), 0, "no verifier");
        vm.assertEq(hostile.attack(judged.offer, judged.terms, worker), 0, "another verifier");
        judged.offer.verifier = address(hostile);
        vm.assertEq(hostile.attack(judged.offer, judged.terms, worker), 0, "another's terms");
        vm.assertEq(hostile.attack(own.offer, own.terms, outsider), 0, "in favour of no worker");
        _fulfil(foreign);

        hostile.stall(own.offer, own.terms, worker);
        vm.warp(block.timestamp + 30 days);
        hostile.stall(own.offer, own.terms, worker);
        vm.warp(block.timestamp + 1);
        vm.assertEq(hostile.attack(own.offer, own.terms, worker), 0, "too late");
        escrow.refund(own.id);
    }

    function _hold(Placed memory placed, address of_, uint256 until) private {
        vm.prank(verifier);
        escrow.hold(placed.offer, placed.terms, of_, uint40(until));
    }

    function _settle(Placed memory placed) private {
        vm.prank(verifier);
        escrow.settle(placed.offer, placed.terms, worker, COMMITMENT, OUTPUT);
    }

    function _correct(Placed memory placed, bytes32 commitment, bytes memory output) private {
        vm.prank(verifier);
        escrow.correct(placed.offer, placed.terms, commitment, output);
    }

    function _refusesStatus(bytes32 id, RequestStatus status) private {
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotOpen.selector, id, status));
    }

    function _refusesCaller(address expected, address caller) private {
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotVerifier.selector, expected, caller));
    }

    function _refusesLate(uint256 deadline) private {
        _refuses(abi.encodeWithSelector(IInferenceEscrow.DeadlinePassed.selector, deadline, block.timestamp));
    }
}
