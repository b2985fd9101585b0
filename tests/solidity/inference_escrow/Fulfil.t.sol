// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access} from "../../../contracts/interfaces/IDataShare.sol";
import {
    IInferenceEscrow,
    Query,
    Request,
    RequestState,
    RequestStatus
} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {ModelTerms, Offer} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract FulfilTest is Market {
    function testFuzz_theFeeIsSplitToTheLastUnit(uint256 fee, uint16 payeeBps, bool inCoin) external {
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        if (inCoin) terms.token = address(coin);
        terms.payeeBps = payeeBps % 10_001;
        _fulfil(_place(_list(terms, address(0))));

        uint256 share = terms.fee * terms.payeeBps / 10_000;
        vm.assertEq(escrow.creditOf(terms.token, payee), share, "the payee's share, rounded down");
        vm.assertEq(escrow.creditOf(terms.token, worker), terms.fee - share, "the worker's, the rest");
        vm.assertEq(escrow.creditOf(inCoin ? ETH : address(coin), worker), 0, "in that currency alone");
    }

    function testFuzz_sharesOfOnePartyAddUp(uint16 payeeBps) external {
        ModelTerms memory terms = _terms();
        terms.payee = worker;
        terms.payeeBps = payeeBps % 10_001;
        Listing memory listing = _list(terms, address(0));
        _fulfil(_place(listing));
        _fulfil(_place(listing));
        vm.assertEq(escrow.creditOf(ETH, worker), 2 * FEE, "both shares, of both");
    }

    function test_anEmptyAnswerIsNotInline() external {
        Query memory query = _query();
        query.flags = 1;
        Placed memory placed = _place(_list(), query);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.OutputNotInline.selector));
        vm.prank(worker);
        escrow.fulfil(placed.offer, placed.terms, COMMITMENT, "");
    }

    function testFuzz_anAnswerIsRecordedAndAnnounced(bytes32 commitment, bytes memory output, bool inlineOnly)
        external
    {
        vm.assume(commitment != 0 && output.length <= 1024);
        Query memory query = _query();
        query.flags = inlineOnly ? 1 : 0;
        Listing memory listing = _list();
        Placed memory placed = _place(listing, query);

        if (inlineOnly && (output.length == 0 || uint8(output[0]) & 2 != 0)) {
            _refuses(abi.encodeWithSelector(IInferenceEscrow.OutputNotInline.selector));
            vm.prank(worker);
            escrow.fulfil(placed.offer, placed.terms, commitment, output);
            return;
        }
        _announces(address(escrow));
        emit IInferenceEscrow.InferenceFulfilled(placed.id, listing.modelId, worker, commitment, output);
        vm.prank(worker);
        escrow.fulfil(placed.offer, placed.terms, commitment, output);

        RequestState memory state = escrow.requestOf(placed.id);
        vm.assertTrue(state.status == RequestStatus.Fulfilled, "status");
        vm.assertEq(state.commitment, bytes31(commitment), "commitment");
        vm.assertTrue(state.payer == address(0) && state.fee == 0 && state.deadline == 0, "the rest is gone");
        (RequestStatus status, bytes31 recorded) = escrow.resultOf(placed.id);
        vm.assertTrue(status == RequestStatus.Fulfilled && recorded == bytes31(commitment), "resultOf");
    }

    function testFuzz_termsThatDifferInAnythingAreThoseOfNoRequest(uint256 field, uint256 change) external {
        Placed memory placed = _place(_list());
        field %= 16;
        Offer memory offer = placed.offer;
        Request memory terms = placed.terms;
        if (field == 0) offer.modelId = bytes32(change);
        if (field == 1) offer.versionId = bytes32(change);
        if (field == 2) offer.owner = address(uint160(change));
        if (field == 3) offer.payee = address(uint160(change));
        if (field == 4) offer.payeeBps = uint16(change);
        if (field == 5) offer.token = address(uint160(change));
        if (field == 6) offer.fee = change;
        if (field == 7) offer.verifier = address(uint160(change));
        if (field == 8) terms.requester = address(uint160(change));
        if (field == 9) terms.payer = address(uint160(change));
        if (field == 10) terms.query.worker = address(uint160(change));
        if (field == 11) terms.query.inputHash = bytes32(change);
        if (field == 12) terms.query.replyKey = bytes32(change);
        if (field == 13) terms.query.deadline = uint40(change);
        if (field == 14) terms.query.callbackGas = uint32(change);
        if (field == 15) terms.query.flags = uint8(change);
        bytes32 id = _idOf(offer, terms);
        vm.assume(id != placed.id);

        _refusesStatus(id, RequestStatus.None);
        vm.prank(worker);
        escrow.refuse(offer, terms, 0);
        vm.assertTrue(_statusOf(placed.id) == RequestStatus.Open, "the request itself is untouched");
    }

    function test_aRequestIsAnsweredOnce() external {
        Placed memory placed = _place(_list());
        _fulfil(placed);
        _refusesStatus(placed.id, RequestStatus.Fulfilled);
        _fulfil(placed);
        _refusesStatus(placed.id, RequestStatus.Fulfilled);
        vm.prank(otherWorker);
        escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT);
        _refusesStatus(placed.id, RequestStatus.Fulfilled);
        vm.prank(worker);
        escrow.refuse(placed.offer, placed.terms, 1);
        vm.warp(block.timestamp + 30 days);
        _refusesStatus(placed.id, RequestStatus.Fulfilled);
        escrow.refund(placed.id);
    }

    function test_onlyAWorkerThatMayServeNowAnswers() external {
        Listing memory listing = _list();
        Placed memory placed = _place(listing);

        _refusesAccess(outsider, listing.modelId, SERVE, Access.NotGranted);
        vm.prank(outsider);
        escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT);
        _refusesAccess(owner, listing.modelId, SERVE, Access.NotGranted);
        vm.prank(owner);
        escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT);
        _refusesAccess(requester, listing.modelId, SERVE, Access.RightMissing);
        vm.prank(requester);
        escrow.refuse(placed.offer, placed.terms, 0);

        vm.prank(owner);
        dataShare.revokeAccess(worker);
        _refusesAccess(worker, listing.modelId, SERVE, Access.Revoked);
        _fulfil(placed);
        vm.prank(otherWorker);
        escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT);
    }

    function test_aNamedWorkerAnswersAlone() external {
        Query memory query = _query();
        query.worker = otherWorker;
        Placed memory placed = _place(_list(), query);

        bytes memory refusal =
            abi.encodeWithSelector(IInferenceEscrow.NotNamedWorker.selector, otherWorker, worker);
        _refuses(refusal);
        _fulfil(placed);
        _refuses(refusal);
        vm.prank(worker);
        escrow.refuse(placed.offer, placed.terms, 0);
        vm.prank(otherWorker);
        escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT);
    }

    function test_anAnswerCommitsToSomething() external {
        Placed memory placed = _place(_list());
        _refuses(abi.encodeWithSelector(IInferenceEscrow.CommitmentIsZero.selector));
        vm.prank(worker);
        escrow.fulfil(placed.offer, placed.terms, 0, OUTPUT);
    }

    function testFuzz_anOutputInTheEventIsBounded(uint256 length) external {
        length %= 3_000;
        if (length % 3 == 0) length = 1_023 + length / 3 % 3;
        Placed memory placed = _place(_list());
        if (length > 1024) {
            _refuses(abi.encodeWithSelector(IInferenceEscrow.OutputTooLong.selector, length, 1024));
        }
        vm.prank(worker);
        escrow.fulfil(placed.offer, placed.terms, COMMITMENT, new bytes(length));
    }

    function test_aRequestWithACallbackIsNotAnsweredWithoutIt() external {
        Query memory query = _query();
        query.callbackGas = 50_000;
        Placed memory placed = _place(_list(), query);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.CallbackMismatch.selector, 50_000));
        _fulfil(placed);
    }

    function test_whereAVerifierJudgesNoWorkerAnswers() external {
        Listing memory listing = _list(_terms(), verifier);
        Placed memory placed = _place(listing);
        _grantServe(listing.modelId, verifier);
        address[2] memory callers = [worker, verifier];
        for (uint256 i = 0; i < callers.length; ++i) {
            bytes memory refusal =
                abi.encodeWithSelector(IInferenceEscrow.NotVerifier.selector, verifier, callers[i]);
            _refuses(refusal);
            vm.prank(callers[i]);
            escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT);
            _refuses(refusal);
            vm.prank(callers[i]);
            escrow.refuse(placed.offer, placed.terms, 0);
            _refuses(refusal);
            vm.prank(callers[i]);
            escrow.fulfilWithCallback(placed.offer, placed.terms, 0, OUTPUT);
        }
    }

    /// @dev What the owner does after a request was placed binds later ones only.
    function testFuzz_anOpenRequestKeepsItsTerms(uint256 deeds, uint256 newFee, uint16 newBps) external {
        Listing memory listing = _list();
        Placed memory placed = _place(listing);
        vm.startPrank(owner);
        if (deeds & 1 != 0) {
            ModelTerms memory terms =
                ModelTerms(newFee % 2 ** 96, address(coin), outsider, newBps % 10_001, 1, deeds & 64 != 0);
            registry.setTerms(listing.modelId, terms);
        }
        if (deeds & 2 != 0) dataShare.revokeAccess(requester);
        if (deeds & 4 != 0) registry.offerOwnership(listing.modelId, outsider);
        if (deeds & 8 != 0) registry.retireVersion(listing.modelId, listing.versionId);
        if (deeds & 16 != 0 && deeds & 4 == 0) registry.retireModel(listing.modelId);
        vm.stopPrank();
        if (deeds & 4 != 0) {
            vm.prank(outsider);
            registry.acceptOwnership(listing.modelId);
        }

        if (deeds & 32 != 0) {
            _fulfil(placed);
            uint256 share = FEE * 3_333 / 10_000;
            vm.assertEq(escrow.creditOf(ETH, payee), share, "the payee of then");
            vm.assertEq(escrow.creditOf(ETH, worker), FEE - share, "the price of then");
        } else {
            vm.warp(block.timestamp + 1 hours + 1);
            escrow.refund(placed.id);
            vm.assertEq(escrow.creditOf(ETH, requester), FEE, "the fee of then");
        }
    }

    // --- refusing ---------------------------------------------------------------------------------

    function testFuzz_aRefusalCreditsThePayerAtOnce(uint256 fee, bool inCoin, uint8 reason) external {
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        if (inCoin) terms.token = address(coin);
        Placed memory placed = _place(_list(terms, address(0)));

        _announces(address(escrow));
        emit IInferenceEscrow.InferenceRefused(placed.id, worker, requester, reason);
        vm.prank(worker);
        escrow.refuse(placed.offer, placed.terms, reason);

        vm.assertEq(escrow.creditOf(terms.token, requester), terms.fee, "credit");
        (RequestStatus status, bytes31 commitment) = escrow.resultOf(placed.id);
        vm.assertTrue(status == RequestStatus.Refused && commitment == 0, "no result");
    }

    function test_refusalsAddUp() external {
        Listing memory listing = _list();
        for (uint256 i = 1; i < 4; ++i) {
            Placed memory placed = _place(listing);
            vm.prank(worker);
            escrow.refuse(placed.offer, placed.terms, 0);
            vm.assertEq(escrow.creditOf(ETH, requester), i * FEE, "credit");
        }
    }

    function _refusesStatus(bytes32 id, RequestStatus status) private {
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotOpen.selector, id, status));
    }
}
