// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Access} from "../../../contracts/interfaces/IDataShare.sol";
import {
    Answer,
    IInferenceEscrow,
    Outcome,
    Query,
    RequestStatus
} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {ModelTerms} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Listing, Market, Placed} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

contract FulfilManyTest is Market {
    uint256 private constant FLAWS = 10;

    /// @dev Whatever is wrong with some of them, the others stand and are paid.
    function testFuzz_eachAnswerIsJudgedByItself(uint256 flaws, uint256 fee, uint16 payeeBps, bool inCoin) external {
        ModelTerms memory terms = _terms();
        terms.fee = inCoin ? fee % 2 ** 96 : fee % 2 ** 48 * 1 gwei;
        if (inCoin) terms.token = address(coin);
        terms.payeeBps = payeeBps % 10_001;
        Listing memory listing = _list(terms, address(0));

        Answer[] memory answers = new Answer[](1 + flaws % 8);
        Outcome[] memory expected = new Outcome[](answers.length);
        Placed memory placed;
        uint256 good = 0;
        for (uint256 i = 0; i < answers.length; ++i) {
            (placed, answers[i], expected[i]) = _answer(listing, (flaws >> 8 * i) % FLAWS);
            if (expected[i] == Outcome.Fulfilled) ++good;
        }
        vm.warp(block.timestamp + 10 minutes);
        for (uint256 i = 0; i < answers.length; ++i) {
            bytes32 id = _idOf(placed.offer, answers[i].request);
            _announces(address(escrow));
            if (expected[i] == Outcome.Fulfilled) {
                emit IInferenceEscrow.InferenceFulfilled(
                    id, listing.modelId, worker, answers[i].commitment, answers[i].output
                );
            } else {
                emit IInferenceEscrow.AnswerSkipped(id, worker, expected[i]);
            }
        }
        vm.prank(worker);
        Outcome[] memory outcomes = escrow.fulfilMany(placed.offer, answers);

        vm.assertEq(outcomes.length, answers.length, "an outcome for each");
        for (uint256 i = 0; i < answers.length; ++i) {
            vm.assertEq(uint256(outcomes[i]), uint256(expected[i]), "outcome");
            if (expected[i] == Outcome.Fulfilled) {
                (RequestStatus status, bytes31 commitment) = escrow.resultOf(_idOf(placed.offer, answers[i].request));
                vm.assertTrue(status == RequestStatus.Fulfilled, "status");
                vm.assertEq(commitment, bytes31(answers[i].commitment), "commitment");
            }
        }
        uint256 share = terms.fee * terms.payeeBps / 10_000;
        vm.assertEq(escrow.creditOf(terms.token, payee), good * share, "the payee's shares");
        vm.assertEq(escrow.creditOf(terms.token, worker), good * (terms.fee - share), "the worker's");
    }

    function test_anAnswerGivenTwiceCountsOnce() external {
        Placed memory placed = _place(_list());
        Answer[] memory answers = new Answer[](2);
        answers[0] = answers[1] = Answer(placed.terms, COMMITMENT, OUTPUT);
        vm.prank(worker);
        Outcome[] memory outcomes = escrow.fulfilMany(placed.offer, answers);
        vm.assertTrue(outcomes[0] == Outcome.Fulfilled && outcomes[1] == Outcome.NotOpen, "outcomes");
        vm.assertEq(escrow.creditOf(ETH, worker) + escrow.creditOf(ETH, payee), FEE, "paid once");
    }

    function test_theWorkerMustBeOneAndThereMustBeNoVerifier() external {
        Listing memory listing = _list();
        Placed memory placed = _place(listing);
        Answer[] memory answers = new Answer[](1);
        answers[0] = Answer(placed.terms, COMMITMENT, OUTPUT);
        _refusesAccess(outsider, listing.modelId, SERVE, Access.NotGranted);
        vm.prank(outsider);
        escrow.fulfilMany(placed.offer, answers);

        placed = _place(_list(_terms(), verifier));
        answers[0].request = placed.terms;
        _refuses(abi.encodeWithSelector(IInferenceEscrow.NotVerifier.selector, verifier, worker));
        vm.prank(worker);
        escrow.fulfilMany(placed.offer, answers);
    }

    function test_termsOfAnotherOfferAreThoseOfNoRequest() external {
        Placed memory placed = _place(_list());
        Answer[] memory answers = new Answer[](1);
        answers[0] = Answer(placed.terms, COMMITMENT, OUTPUT);
        placed.offer.fee *= 2;
        vm.prank(worker);
        Outcome[] memory outcomes = escrow.fulfilMany(placed.offer, answers);
        vm.assertTrue(outcomes[0] == Outcome.NotOpen, "outcome");
        vm.assertEq(escrow.creditOf(ETH, worker), 0, "nothing is paid");
    }

    /// @dev An answer that is good but for one flaw, by number.
    function _answer(Listing memory listing, uint256 flaw)
        private
        returns (Placed memory placed, Answer memory answer, Outcome expected)
    {
        Query memory query = _query();
        answer.commitment = keccak256(abi.encode(query.inputHash));
        answer.output = OUTPUT;
        if (flaw == 2) query.deadline = uint40(block.timestamp + 10 minutes - 1);
        if (flaw == 8) query.deadline = uint40(block.timestamp + 10 minutes);
        if (flaw == 3) query.worker = otherWorker;
        if (flaw == 9) query.worker = worker;
        if (flaw == 6) query.flags = 1;
        if (flaw == 7) query.callbackGas = 30_000;
        placed = _place(listing, query);
        answer.request = placed.terms;
        if (flaw == 1) {
            vm.prank(otherWorker);
            escrow.refuse(placed.offer, placed.terms, 0);
        }
        if (flaw == 4) answer.commitment = 0;
        if (flaw == 5) answer.output = new bytes(1025);
        if (flaw == 8) answer.output = new bytes(1024);
        if (flaw == 6 || flaw == 9) answer.output = hex"02";
        expected = flaw < 8 ? Outcome(flaw) : Outcome.Fulfilled;
    }
}
