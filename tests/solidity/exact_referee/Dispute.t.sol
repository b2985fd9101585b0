// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IExactPrograms} from "../../../contracts/interfaces/IExactPrograms.sol";
import {ExactAnswer, IExactReferee} from "../../../contracts/interfaces/IExactReferee.sol";
import {IInferenceEscrow, Query, RequestStatus} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Metric, ModelTerms, Version} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Behaviour, HostileAccount} from "../actors/HostileAccount.sol";
import {Asked, ExactMarket} from "../market/ExactMarket.sol";
import {Listing} from "../market/Market.sol";
import {vm} from "../market/Vm.sol";

/// @notice Disputes from the answer to the last wei. Each run places requests and answers, so that a thousand do.
/// forge-config: ci.fuzz.runs = 1000
contract DisputeTest is ExactMarket {
    uint256 private constant STAKED = 10 ether;
    uint256 private constant PAYER_SHARE = BOND / 2 + 1;
    uint256 private constant CHALLENGER_SHARE = BOND / 2;

    Listing private listing;
    bytes private shown;

    function setUp() public override {
        super.setUp();
        listing = _listExactly();
    }

    // --- wrong and right --------------------------------------------------------------------------

    function testFuzz_aWrongAnswerCostsItsWorkerFeeAndBond(uint32 number, bytes32 commitment) external {
        Asked memory asked = _ask(listing, number);
        vm.assume(commitment != 0 && commitment != _right(asked));
        ExactAnswer memory answer = _answer(worker, asked, commitment, OUTPUT);

        _announces(address(referee));
        emit IExactReferee.AnswerCorrected(
            asked.placed.id, worker, outsider, _right(asked), PAYER_SHARE, CHALLENGER_SHARE
        );
        _announces(address(escrow));
        emit IInferenceEscrow.InferenceCorrected(
            asked.placed.id, listing.modelId, requester, _right(asked), bytes.concat(hex"00", asked.output)
        );
        _challenge(outsider, asked, answer);

        (RequestStatus status, bytes31 recorded) = escrow.resultOf(asked.placed.id);
        vm.assertTrue(status == RequestStatus.Corrected, "status");
        vm.assertEq(recorded, bytes31(_right(asked)), "the right answer stands");
        vm.assertEq(escrow.creditOf(ETH, requester), FEE, "fee");
        vm.assertEq(escrow.creditOf(ETH, worker) + escrow.creditOf(ETH, payee), 0, "no pay");
        vm.assertEq(referee.balanceOf(worker), STAKED - BOND, "bond");
        vm.assertEq(referee.balanceOf(requester), PAYER_SHARE, "payer's half");
        vm.assertEq(referee.balanceOf(outsider), STAKED + CHALLENGER_SHARE, "challenger's half");
        vm.assertEq(referee.pendingOf(asked.placed.id), 0, "over");
    }

    function testFuzz_theRightAnswerCannotBeChallenged(uint32 number) external {
        Asked memory asked = _ask(listing, number);
        ExactAnswer memory answer = _answerRightly(asked);
        _refuses(
            abi.encodeWithSelector(IExactReferee.AnswerIsRight.selector, asked.placed.id, answer.commitment)
        );
        _challenge(outsider, asked, answer);
        vm.assertEq(referee.pendingOf(asked.placed.id), keccak256(abi.encode(answer)), "still examined");
    }

    function testFuzz_anotherInputIsNoChallenge(bytes32 secret, bytes calldata input) external {
        Asked memory asked = _ask(listing, 7);
        ExactAnswer memory answer = _answerWrongly(asked);
        bytes32 given = keccak256(abi.encode(secret, input));
        (asked.secret, asked.input) = (secret, input);
        _refuses(
            abi.encodeWithSelector(
                IExactReferee.InputMismatch.selector, asked.placed.terms.query.inputHash, given
            )
        );
        _challenge(outsider, asked, answer);
    }

    function testFuzz_anInputTheProgramDoesNotTakeHasNoRightAnswer(bytes calldata input, bytes32 commitment) external {
        vm.assume(input.length != 5 || input[0] != 0x02);
        Asked memory asked = _ask(listing, input);
        bytes32 refusal = referee.REFUSAL();
        commitment = commitment == 0 ? refusal : commitment;
        ExactAnswer memory answer = _answer(worker, asked, commitment, OUTPUT);
        _announces(address(escrow));
        emit IInferenceEscrow.InferenceCorrected(asked.placed.id, listing.modelId, requester, refusal, "");
        _challenge(outsider, asked, answer);
        vm.assertEq(escrow.creditOf(ETH, requester), FEE, "fee");
        vm.assertEq(referee.balanceOf(requester), PAYER_SHARE, "payer's half");
    }

    function testFuzz_anAnswerInClearIsTheOutputItself(uint32 number, bytes calldata output) external {
        Query memory query = _query();
        Asked memory asked = _ask(listing, query, _inputOf(number));
        asked.output = _outputOf(number);
        bytes memory clear = bytes.concat(hex"00", asked.output);
        vm.assume(output.length <= 1024 && keccak256(output) != keccak256(clear));
        vm.assume(output.length < 33 || output[0] != 0x02 || bytes32(output[1:]) != keccak256(asked.output));
        ExactAnswer memory answer = _answer(worker, asked, _right(asked), output);
        _challenge(outsider, asked, answer);
        vm.assertEq(referee.balanceOf(worker), STAKED - BOND, "bond");

        _refusesRightly(_inClear(number, clear));
        _refusesRightly(_inClear(number, bytes.concat(hex"02", keccak256(asked.output), "file:///store")));
    }

    /// @dev A right answer shown as `output`; the next challenge must be refused.
    function _inClear(uint32 number, bytes memory output) private returns (Asked memory asked) {
        asked = _ask(listing, _query(), _inputOf(number));
        asked.output = _outputOf(number);
        _answer(worker, asked, _right(asked), output);
        shown = output;
    }

    function _refusesRightly(Asked memory asked) private {
        ExactAnswer memory answer =
            ExactAnswer(worker, uint40(block.timestamp + WINDOW), BOND, _right(asked), 0, shown);
        _refuses(
            abi.encodeWithSelector(IExactReferee.AnswerIsRight.selector, asked.placed.id, answer.commitment)
        );
        _challenge(outsider, asked, answer);
    }

    /// @dev Running out of gas must not pass for an input that the program refuses.
    function testFuzz_noGasLimitMakesARightAnswerWrong(uint256 gas) external {
        Asked memory asked = _ask(listing, 7);
        ExactAnswer memory answer = _answerRightly(asked);
        bytes memory data = abi.encodeCall(
            referee.challenge, (asked.placed.offer, asked.placed.terms, answer, asked.secret, asked.input)
        );
        (bool succeeded,) = address(referee).call{gas: _within(gas, 5_000, 300_000)}(data);
        vm.assertTrue(!succeeded, "challenged by gas");
        vm.assertEq(referee.pendingOf(asked.placed.id), keccak256(abi.encode(answer)), "still examined");
    }

    // --- the seconds that count -------------------------------------------------------------------

    function test_itIsChallengedUpToTheEndOfTheWindowAndNoLonger() external {
        Asked[3] memory asked = [_ask(listing, 1), _ask(listing, 2), _ask(listing, 3)];
        ExactAnswer memory answer = _answerWrongly(asked[0]);
        for (uint256 i = 1; i < 3; ++i) {
            _answerWrongly(asked[i]);
        }
        vm.warp(answer.settleAfter - 1);
        _challenge(outsider, asked[0], answer);
        vm.warp(answer.settleAfter);
        _challenge(outsider, asked[1], answer);
        vm.warp(answer.settleAfter + 1);
        _refuses(
            abi.encodeWithSelector(
                IExactReferee.WindowClosed.selector, answer.settleAfter, answer.settleAfter + 1
            )
        );
        _challenge(outsider, asked[2], answer);
    }

    function test_itIsSettledAfterTheWindowForADay() external {
        Asked[3] memory asked = [_ask(listing, 1), _ask(listing, 2), _ask(listing, 3)];
        ExactAnswer[3] memory answers =
            [_answerRightly(asked[0]), _answerRightly(asked[1]), _answerRightly(asked[2])];
        uint256 settleAfter = answers[0].settleAfter;
        vm.warp(settleAfter);
        _refuses(abi.encodeWithSelector(IExactReferee.WindowOpen.selector, settleAfter, settleAfter));
        _settle(asked[0], answers[0]);
        vm.warp(settleAfter + 1);
        _settle(asked[0], answers[0]);
        uint256 until = settleAfter + referee.SETTLE_TIME();
        vm.assertEq(until, settleAfter + 1 days, "a day");
        vm.warp(until);
        _refuses(abi.encodeWithSelector(IExactReferee.NotLapsed.selector, until, until));
        referee.release(asked[1].placed.id, answers[1]);
        _settle(asked[1], answers[1]);
        vm.warp(until + 1);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.DeadlinePassed.selector, until, until + 1));
        _settle(asked[2], answers[2]);
        escrow.refund(asked[2].placed.id);
        referee.release(asked[2].placed.id, answers[2]);
        vm.assertEq(referee.balanceOf(worker), STAKED, "all bonds are back");
        vm.assertEq(escrow.creditOf(ETH, requester), FEE, "a lapsed answer is not paid");
        vm.assertEq(escrow.creditOf(ETH, worker) + escrow.creditOf(ETH, payee), 2 * FEE, "two were");
    }

    function test_theRefundByIdWorksWhateverTheRefereeHolds() external {
        Asked memory asked = _ask(listing, 1);
        _answerRightly(asked);
        uint256 until = block.timestamp + WINDOW + 1 days;
        vm.warp(until);
        _refuses(abi.encodeWithSelector(IInferenceEscrow.DeadlineNotPassed.selector, until, until));
        escrow.refund(asked.placed.id);
        vm.warp(until + 1);
        escrow.refund(asked.placed.id);
        vm.assertEq(escrow.creditOf(ETH, requester), FEE, "fee");
    }

    // --- who gains --------------------------------------------------------------------------------

    function testFuzz_aWorkerThatChallengesItselfEndsWorseOff(uint128 bond, uint256 fee) external {
        bond = uint128(_within(bond, 1, 5 ether));
        ModelTerms memory terms = _terms();
        terms.fee = _within(fee, 0, 2 ** 48 - 1) * 1 gwei;
        Version memory version = _exactVersion(_register(terms, new Metric[](0)));
        version.verifierSettings = _settings(WINDOW, bond);
        listing = _publish(version);
        referee.admit(version);
        uint256 before = _wealthOf(worker);

        Asked memory asked = _ask(listing, 1);
        vm.prank(worker);
        referee.answer(asked.placed.offer, asked.placed.terms, COMMITMENT, OUTPUT);
        ExactAnswer memory answer =
            ExactAnswer(worker, uint40(block.timestamp + WINDOW), bond, COMMITMENT, 0, OUTPUT);
        _challenge(worker, asked, answer);
        uint256 lying = _wealthOf(worker);
        vm.assertEq(before - lying, bond - bond / 2, "lying to itself costs the payer's half");

        asked = _ask(listing, 1);
        vm.prank(worker);
        referee.answer(asked.placed.offer, asked.placed.terms, _right(asked), OUTPUT);
        answer.commitment = _right(asked);
        _accept(requester, asked, answer);
        uint256 workerShare = terms.fee - terms.fee * terms.payeeBps / 10_000;
        vm.assertEq(_wealthOf(worker) - lying, workerShare, "honesty earns the fee");
        vm.assertTrue(_wealthOf(worker) + bond - bond / 2 >= before + workerShare, "worse off");
    }

    function test_aCopiedChallengeTakesTheChallengersHalfOnly() external {
        Asked memory asked = _ask(listing, 1);
        ExactAnswer memory answer = _answerWrongly(asked);
        _challenge(otherWorker, asked, answer);
        _refuses(
            abi.encodeWithSelector(
                IExactReferee.UnknownAnswer.selector, asked.placed.id, bytes32(0), keccak256(abi.encode(answer))
            )
        );
        _challenge(outsider, asked, answer);
        vm.assertEq(referee.balanceOf(requester), PAYER_SHARE, "payer's half");
        vm.assertEq(referee.balanceOf(otherWorker), STAKED + CHALLENGER_SHARE, "the copier's");
    }

    // --- hostile accounts -------------------------------------------------------------------------

    function test_whoComesBackWhileBeingPaidGetsNothingMore() external {
        HostileAccount thief = new HostileAccount();
        vm.deal(address(thief), 3 ether);
        vm.prank(address(thief));
        referee.deposit{value: 2 ether}();
        thief.reenter(address(referee), abi.encodeCall(referee.withdraw, (2 ether, address(thief))));
        vm.prank(address(thief));
        referee.withdraw(2 ether, address(thief));
        vm.assertEq(thief.successes(), 0, "no second time");
        vm.assertEq(address(thief).balance, 3 ether, "its own");
        vm.assertEq(address(referee).balance, 3 * STAKED, "the others'");
    }

    function test_whoRefusesMoneyKeepsItHere() external {
        HostileAccount refuser = new HostileAccount();
        Behaviour[3] memory ways = [Behaviour.Revert, Behaviour.RevertWithBomb, Behaviour.BurnGas];
        for (uint256 i = 0; i < ways.length; ++i) {
            refuser.behave(ways[i]);
            _refuses(abi.encodeWithSelector(IInferenceEscrow.TransferFailed.selector, address(refuser), 1 ether));
            vm.prank(worker);
            referee.withdraw(1 ether, address(refuser));
        }
        vm.assertEq(referee.balanceOf(worker), STAKED, "still there");
    }

    function test_aCallbackThatComesBackEndsNothingTwice() external {
        HostileAccount consumer = new HostileAccount();
        vm.deal(address(consumer), 1 ether);
        _grantInfer(listing.modelId, address(consumer), 10);
        Query memory query = _query();
        query.callbackGas = 500_000;
        Asked memory asked;
        asked.secret = keccak256("secret");
        asked.input = _inputOf(9);
        asked.output = _outputOf(9);
        query.inputHash = keccak256(abi.encode(asked.secret, asked.input));
        asked.placed = _placeBy(address(consumer), listing, query);
        vm.prank(worker);
        referee.answerWithCallback(
            asked.placed.offer, asked.placed.terms, _resultSalt(asked.secret), asked.output
        );
        ExactAnswer memory answer = ExactAnswer(
            worker,
            uint40(block.timestamp + WINDOW),
            BOND,
            _right(asked),
            _resultSalt(asked.secret),
            bytes.concat(hex"00", asked.output)
        );
        consumer.reenter(
            address(referee), abi.encodeCall(referee.accept, (asked.placed.offer, asked.placed.terms, answer))
        );
        _accept(address(consumer), asked, answer);
        vm.assertEq(consumer.calls(), 1, "called once");
        vm.assertEq(consumer.successes(), 0, "in vain");
        vm.assertEq(referee.balanceOf(worker), STAKED, "one bond");
        vm.assertEq(escrow.creditOf(ETH, worker) + escrow.creditOf(ETH, payee), FEE, "one fee");
    }

    // --- what it may cost -------------------------------------------------------------------------

    function test_theCostliestProgramIsChallengedInOneTransaction() external {
        bytes memory program = _summing(55);
        vm.recordLogs();
        programs.store(program);
        (, uint256 mostGas) = abi.decode(vm.getRecordedLogs()[0].data, (address, uint256));
        vm.assertTrue(mostGas > 8_000_000 && mostGas <= programs.MAX_GAS(), "near the most");

        Version memory version = _exactVersion(_register());
        version.programHash = keccak256(program);
        listing = _publish(version);
        referee.admit(version);
        Asked memory asked = _ask(listing, abi.encodePacked(uint8(3), int32(0)));
        asked.output = programs.run(keccak256(program), asked.input);
        ExactAnswer memory answer = _answerWrongly(asked);
        bytes memory data = abi.encodeCall(
            referee.challenge, (asked.placed.offer, asked.placed.terms, answer, asked.secret, asked.input)
        );
        (bool succeeded,) = address(referee).call{gas: mostGas + 1_000_000}(data);
        vm.assertTrue(succeeded, "no gas is missing");
        (, bytes31 recorded) = escrow.resultOf(asked.placed.id);
        vm.assertEq(recorded, bytes31(_right(asked)), "corrected, though too long for an event");
    }

    function test_whatTakesMoreGasIsNotStored() external {
        bytes memory program = _summing(200);
        (bool stored, bytes memory reason) = address(programs).call(abi.encodeCall(programs.store, (program)));
        vm.assertTrue(!stored, "refused");
        vm.assertEq(bytes4(reason), IExactPrograms.ProgramTooCostly.selector, "for its cost");
    }

    /// @dev Trees of one leaf, which adds to 1,000 outputs: of all programs of a length the costliest.
    function _summing(uint16 trees) private pure returns (bytes memory program) {
        program = abi.encodePacked(
            hex"010203030100", uint16(1), uint16(1000), hex"0001", trees, uint64(1), uint32(1)
        );
        program = bytes.concat(program, new bytes(8 * 1000 + 6 * 1000));
        for (uint256 i = 0; i < trees; ++i) {
            program = bytes.concat(program, hex"00028000");
        }
    }

    function _wealthOf(address account) private view returns (uint256) {
        return referee.balanceOf(account) + escrow.creditOf(ETH, account);
    }
}
