// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IExactPrograms} from "./IExactPrograms.sol";
import {IInferenceEscrow, Request} from "./IInferenceEscrow.sol";
import {Offer, Version} from "./IModelRegistry.sol";

/// @notice What a version's `verifierSettings` and `programHash` say to the referee.
/// @param programHash Keccak-256 of the program that gives the right answers.
/// @param window How long an answer can be challenged, in seconds.
/// @param bond What a worker stakes on an answer, in wei.
struct ExactTerms {
    bytes32 programHash;
    uint32 window;
    uint128 bond;
}

/// @notice An answer under examination. The referee keeps its hash, the event all of it.
/// @param worker Whose answer it is.
/// @param settleAfter The last second (Unix time) at which it can be challenged.
/// @param bond What the worker staked on it, in wei.
/// @param commitment The result's commitment.
/// @param resultSalt `keccak256(abi.encode(secret, "result"))` where the request asks for a callback,
/// otherwise zero.
/// @param output The framed output; see `Payload`.
struct ExactAnswer {
    address worker;
    uint40 settleAfter;
    uint128 bond;
    bytes32 commitment;
    bytes32 resultSalt;
    bytes output;
}

/// @title IExactReferee
/// @notice The verifier of models whose right answers a program on chain gives: whoever shows the chain an
/// input has it run the program, and a wrong answer costs its worker the fee and a bond.
///
/// An answer: posted with a bond -> settled by anyone once nobody can challenge it any more, or earlier by
/// the requester who accepts it; or challenged, and corrected in the same transaction. While it is
/// examined, the escrow holds the request until `SETTLE_TIME` after the last challenge; an answer that
/// nobody has settled by then is void, the fee can be refunded, and the bond released.
///
/// Up to and including `settleAfter` an answer can be challenged, after it settled; up to and including
/// `settleAfter + SETTLE_TIME` settled, after it released. Every step but `accept` can be taken by
/// anyone, so that nobody can hold another's money up by silence. The refund by id is the escrow's
/// alone.
///
/// Right is an answer that has the one commitment to the program's output and, where it is to be in
/// clear, shows that output or names it by its hash. What a sealed output holds is not judged: the right
/// commitment lets the requester tell.
///
/// An input that the program does not take has no right answer. A worker refuses it; any answer to it is
/// wrong, and a challenge ends the request as a refusal does: with the commitment `REFUSAL`, and the fee
/// returned.
///
/// A wrong answer's bond goes in halves to the payer and the challenger, a last odd wei to the payer. A
/// worker that challenges its own wrong answer still loses the fee and the payer's half.
///
/// The balance of this contract is at least what answers under examination have staked and what
/// `balanceOf` says it owes; exactly that, unless ether was forced in.
///
/// Nobody owns this contract. Nobody can pause it, take from it, or change what it does.
///
/// Assumptions: `escrow` and `programs` are the contracts of those names; somebody who has the input
/// looks, and gets a transaction into a block within the window.
///
/// WARNING: A challenge publishes the request's secret and its input, and in a correction the output.
///
/// WARNING: Whoever copies a challenge and is mined before it gets the challenger's half instead. The
/// payer's half and the fee are safe from that.
///
/// WARNING: An answer can be copied too: another eligible worker that sees it before it is mined can post
/// it first. Its commitment is as right.
interface IExactReferee {
    /// @notice A version was admitted: from now on requests for it can be answered here.
    event VersionAdmitted(
        bytes32 indexed modelId, bytes32 indexed versionId, bytes32 indexed programHash, uint32 window, uint128 bond
    );

    /// @notice An account put in money to stake.
    event BondDeposited(address indexed account, uint256 amount);

    /// @notice An account took out money.
    event BondWithdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice A worker answered, and staked its bond on it.
    event AnswerPosted(bytes32 indexed id, bytes32 indexed modelId, address indexed worker, ExactAnswer answer);

    /// @notice An answer was settled, accepted or let lapse; its bond is free again.
    event BondReleased(bytes32 indexed id, address indexed worker, uint256 amount);

    /// @notice An answer was shown to be wrong; its bond was credited to payer and challenger.
    /// @param commitment The right one; `REFUSAL` where there is none.
    event AnswerCorrected(
        bytes32 indexed id,
        address indexed worker,
        address indexed challenger,
        bytes32 commitment,
        uint256 payerShare,
        uint256 challengerShare
    );

    /// @notice A worker declined; the escrow credited the whole fee to the payer.
    /// @param reason Why, in the worker's words; see the client's list of reasons.
    event RequestRefused(bytes32 indexed id, address indexed worker, uint8 reason);

    /// @notice The version names another verifier.
    error WrongVerifier(address verifier, address referee);

    /// @notice The window is not `least` to `most` seconds.
    error WindowOutOfBounds(uint256 window, uint256 least, uint256 most);

    /// @notice An answer needs a stake.
    error BondIsZero();

    /// @notice The version was not admitted.
    error VersionNotAdmitted(bytes32 versionId);

    /// @notice The account has too little to stake or to take out.
    error BalanceTooLow(address account, uint256 balance, uint256 needed);

    /// @notice Not the answer that is examined for this request.
    /// @param pending The hash of the one that is; zero if there is none.
    error UnknownAnswer(bytes32 id, bytes32 pending, bytes32 given);

    /// @notice The answer can still be challenged.
    error WindowOpen(uint256 settleAfter, uint256 timestamp);

    /// @notice The answer cannot be challenged any more.
    error WindowClosed(uint256 settleAfter, uint256 timestamp);

    /// @notice The answer can still be settled.
    error NotLapsed(uint256 until, uint256 timestamp);

    /// @notice Secret and input are not those of the request.
    error InputMismatch(bytes32 inputHash, bytes32 given);

    /// @notice A challenge of the right answer.
    error AnswerIsRight(bytes32 id, bytes32 commitment);

    /// @notice Shortest window, in seconds.
    function MIN_WINDOW() external view returns (uint256);

    /// @notice Longest window, in seconds: with `SETTLE_TIME`, as long as the escrow holds.
    function MAX_WINDOW() external view returns (uint256);

    /// @notice How long an answer can be settled after its window, in seconds.
    function SETTLE_TIME() external view returns (uint256);

    /// @notice Stands for the commitment where there is no output.
    function REFUSAL() external view returns (bytes32);

    /// @notice The escrow whose requests are judged.
    function escrow() external view returns (IInferenceEscrow);

    /// @notice The programs they are judged by.
    function programs() external view returns (IExactPrograms);

    // --- versions ---------------------------------------------------------------------------------

    /// @notice Admits a version: its program must be stored, so a run of it takes at most
    /// `IExactPrograms.MAX_GAS`. Anyone may call this, once or again.
    /// @param version All of its fields. Their hash is its id, so nobody can admit it on other terms; its
    /// `verifierSettings` are the window in seconds and the bond in wei, 128 bits each.
    /// @dev Also reverts with `IExactPrograms.UnknownProgram`.
    function admit(Version calldata version) external returns (bytes32 versionId);

    /// @notice The terms of an admitted version; reverts with `VersionNotAdmitted`.
    function termsOf(bytes32 versionId) external view returns (ExactTerms memory);

    // --- money ------------------------------------------------------------------------------------

    /// @notice Adds the value sent to what the caller can stake.
    function deposit() external payable;

    /// @notice Sends `amount` wei of what the caller has to `to`.
    /// @dev Reverts with `IInferenceEscrow.TransferFailed` where it is not taken.
    function withdraw(uint256 amount, address to) external;

    /// @notice What an account can stake or withdraw, in wei.
    function balanceOf(address account) external view returns (uint256);

    // --- answering --------------------------------------------------------------------------------

    /// @notice Posts an answer and stakes the version's bond on it. The caller needs what it would need to
    /// fulfil, and the bond in `balanceOf`.
    /// @dev Also reverts as `IInferenceEscrow.hold`, and with the errors of `fulfil` for an answer that
    /// could not be settled.
    function answer(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata output)
        external
        returns (bytes32 id);

    /// @notice `answer` for a request that asks for a callback, which is made when the answer is settled.
    /// @param resultSalt `keccak256(abi.encode(secret, "result"))`.
    /// @param output The canonical output, in clear.
    function answerWithCallback(
        Offer calldata offer,
        Request calldata terms,
        bytes32 resultSalt,
        bytes calldata output
    ) external returns (bytes32 id);

    /// @notice Declines a request, so that the payer need not wait for the deadline; the version need not be
    /// admitted. The caller needs what it would need to fulfil.
    /// @dev Also reverts as `IInferenceEscrow.hold`.
    function refuse(Offer calldata offer, Request calldata terms, uint8 reason) external;

    // --- ending -----------------------------------------------------------------------------------

    /// @notice Takes an answer as it is, at once. Only the requester may.
    /// @dev Also reverts as `IInferenceEscrow.settle` once the hold has ended.
    function accept(Offer calldata offer, Request calldata terms, ExactAnswer calldata answer_) external;

    /// @notice Has the escrow pay for an answer that nobody can challenge any more. Anyone may call this.
    /// @dev Also reverts as `IInferenceEscrow.settle` once the hold has ended.
    function settle(Offer calldata offer, Request calldata terms, ExactAnswer calldata answer_) external;

    /// @notice Runs the program, and has the escrow put a wrong answer right. Anyone may call this; it
    /// reverts, and changes nothing, where the answer is right.
    /// @param secret The request's.
    /// @param input The canonical input.
    /// @dev Takes at most `IExactPrograms.MAX_GAS` more than the bookkeeping, the input's calldata, and the
    /// reading of the program.
    function challenge(
        Offer calldata offer,
        Request calldata terms,
        ExactAnswer calldata answer_,
        bytes32 secret,
        bytes calldata input
    ) external;

    /// @notice Releases the bond of an answer that nobody settled in time. Anyone may call this.
    function release(bytes32 id, ExactAnswer calldata answer_) external;

    /// @notice The hash of the answer under examination, `keccak256(abi.encode(answer))`; zero if there is
    /// none.
    function pendingOf(bytes32 id) external view returns (bytes32);
}
