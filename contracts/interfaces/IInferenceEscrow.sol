// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IDataShare} from "./IDataShare.sol";
import {IModelRegistry, Offer} from "./IModelRegistry.sol";

/// @notice What the requester of a prediction chooses.
/// @param worker The only worker that may answer; zero for any eligible one.
/// @param inputHash `keccak256(abi.encode(secret, canonicalInput))`, where `secret` is 32 random bytes
/// that the requester never uses again.
/// @param replyKey The X25519 public key the output is to be sealed to; zero for an output in clear.
/// @param deadline The last second (Unix time) at which an answer counts.
/// @param callbackGas Gas for a call to the requester with the answer; zero for none.
/// @param flags `INLINE_ONLY` (1): the output must be in the event itself, not a reference to a store.
struct Query {
    address worker;
    bytes32 inputHash;
    bytes32 replyKey;
    uint40 deadline;
    uint32 callbackGas;
    uint8 flags;
}

/// @notice A request's own terms; with the offer it was placed under, they are all its terms.
/// @param requester Whose grant is used, and who is to read the answer.
/// @param payer Who paid, and is credited if there is no answer.
/// @param query What the requester chose.
struct Request {
    address requester;
    address payer;
    Query query;
}

/// @notice None -> Open -> Fulfilled | Refused | Refunded; Open -> Held -> Fulfilled | Corrected |
/// Refunded; None -> Cancelled. Open and Held come in two forms, for ETH and for a token; the others are
/// final.
/// @param None No request has this id.
/// @param Open The fee is held, in ETH.
/// @param OpenErc20 The fee is held, in a token.
/// @param Held The verifier has an answer under examination; the fee is in ETH.
/// @param HeldErc20 The verifier has an answer under examination; the fee is in a token.
/// @param Fulfilled Answered; worker and payee were credited.
/// @param Corrected The verifier put a wrong answer right; the payer was credited.
/// @param Refused A worker declined; the payer was credited.
/// @param Refunded Nobody answered in time; the payer was credited.
/// @param Cancelled The requester withdrew its signature before it was used.
enum RequestStatus {
    None,
    Open,
    OpenErc20,
    Held,
    HeldErc20,
    Fulfilled,
    Corrected,
    Refused,
    Refunded,
    Cancelled
}

/// @notice A request as stored.
/// @param payer Zero once the request has ended.
/// @param token Currency of `fee`; zero for ETH.
/// @param fee Held for it; zero once the request has ended.
/// @param deadline While held by the verifier, the last second of that; zero once the request has ended.
/// @param commitment First 31 bytes of the result's commitment; zero unless there is a result.
struct RequestState {
    RequestStatus status;
    address payer;
    address token;
    uint256 fee;
    uint40 deadline;
    bytes31 commitment;
}

/// @notice One of several answers under the same offer.
struct Answer {
    Request request;
    bytes32 commitment;
    bytes output;
}

/// @notice What became of one of several answers.
enum Outcome {
    Fulfilled,
    NotOpen,
    DeadlinePassed,
    NotNamedWorker,
    CommitmentIsZero,
    OutputTooLong,
    OutputNotInline,
    CallbackRequired
}

/// @notice What a contract implements to be called with the answer to its request.
interface IInferenceCallback {
    /// @notice Called by the escrow, once, with exactly the gas the request paid for.
    ///
    /// WARNING: Check that the caller is the escrow, and that `id` is one of your own open requests.
    ///
    /// WARNING: Should this run out of gas or revert, the answer stands and is not delivered again.
    /// @param output The canonical output.
    function onInference(bytes32 id, bytes calldata output) external;
}

/// @title IInferenceEscrow
/// @notice Holds the fee of every open request, from the request to its end.
///
/// A request's id is the EIP-712 digest of all its terms, so it cannot be altered, taken by another or
/// come to mean something else after a reorganisation; and who has the terms can compute it.
///
/// Tokens: deposits must arrive exactly, so tokens that take a fee on transfers are refused. Accounts
/// are kept per token, so that one that misbehaves later harms only its own holders.
///
/// A request ends exactly once. An answer counts if and only if `block.timestamp <= deadline`, a refund
/// if and only if `block.timestamp > deadline`. Grant, quota, price and version are checked when the
/// request is placed and bind it to its end; whether the worker may serve is checked when it answers.
///
/// Nothing is ever sent to anyone but by `withdraw`, called by whom it is owed to.
///
/// Nobody owns this contract. Nobody can pause it, take from it, or change what it does.
///
/// Assumptions: `dataShare` and `registry` are the contracts of those names, which call no one.
///
/// Verifiers: where the offer names one, only that contract may answer, hold, settle or correct. It can
/// harm no request but those, and those not beyond `MAX_HOLD`: the refund by id remains.
///
/// WARNING: With no verifier, an answer is a worker's word. Its delivery, too, is not proven: a worker
/// that the model's owner trusts could post garbage and be paid.
///
/// WARNING: `keccak256(abi.encode(id, canonicalOutput, keccak256(abi.encode(secret, "result"))))` is the
/// one commitment that opens to an output; who does not hold the secret cannot check it.
interface IInferenceEscrow {
    /// @notice A request was placed and its fee is held.
    /// @param input The framed input; see `Payload`.
    event InferenceRequested(
        bytes32 indexed id, bytes32 indexed modelId, address indexed requester, Offer offer, Request request, bytes input
    );

    /// @notice A request was answered; `fee * payeeBps / 10_000` was credited to the payee, the rest to
    /// the worker.
    /// @param commitment The result's commitment.
    /// @param output The framed output; see `Payload`.
    event InferenceFulfilled(
        bytes32 indexed id, bytes32 indexed modelId, address indexed worker, bytes32 commitment, bytes output
    );

    /// @notice An eligible worker declined; the whole fee was credited to the payer.
    /// @param reason Why, in the worker's words; see the client's list of reasons.
    event InferenceRefused(bytes32 indexed id, address indexed worker, address indexed payer, uint8 reason);

    /// @notice Nobody answered in time; the whole fee was credited to the payer.
    event InferenceRefunded(bytes32 indexed id, address indexed payer, address token, uint256 amount);

    /// @notice The verifier examines a worker's answer until `until`.
    event InferenceHeld(bytes32 indexed id, address indexed worker, uint40 until);

    /// @notice The verifier put a wrong answer right; the whole fee was credited to the payer.
    event InferenceCorrected(
        bytes32 indexed id, bytes32 indexed modelId, address indexed payer, bytes32 commitment, bytes output
    );

    /// @notice A requester withdrew its signature before it was used.
    event RequestCancelled(bytes32 indexed id, address indexed requester);

    /// @notice One of several answers was passed over.
    event AnswerSkipped(bytes32 indexed id, address indexed worker, Outcome outcome);

    /// @notice The requester was called with the answer.
    /// @param succeeded Whether it has code and did not revert.
    event CallbackRun(bytes32 indexed id, bool succeeded);

    /// @notice An account took out what it was owed.
    event Withdrawn(address indexed account, address indexed token, address indexed to, uint256 amount);

    /// @notice The value sent is not the fee.
    error WrongFee(uint256 sent, uint256 fee);

    /// @notice The deadline is not after `timestamp`, or is after `latest`.
    error DeadlineOutOfBounds(uint256 deadline, uint256 timestamp, uint256 latest);

    /// @notice The request names somebody else to pay for it.
    error NotPayer(address payer, address caller);

    /// @notice Only the requester may do this.
    error NotRequester(address requester, address caller);

    /// @notice As many inputs as queries are needed.
    error LengthMismatch(uint256 queries, uint256 inputs);

    /// @notice The token did not move the amount asked for.
    error InexactDeposit(address token, uint256 received, uint256 expected);

    /// @notice A contract can only be called with an output in clear.
    error CallbackNeedsClearOutput(bytes32 replyKey);

    /// @notice The request asks for a callback, or for none.
    error CallbackMismatch(uint256 callbackGas);

    /// @notice Too little gas is left to give the callback what it paid for.
    error CallbackGasMissing(uint256 left, uint256 needed);

    /// @notice The verifier has not held the request.
    error NotHeld(bytes32 id, RequestStatus status);

    /// @notice The hold is not after `timestamp`, or is after `latest`.
    error HoldOutOfBounds(uint256 until, uint256 timestamp, uint256 latest);

    /// @notice More callback gas than this contract gives.
    error CallbackGasTooHigh(uint256 callbackGas, uint256 most);

    /// @notice A flag that means nothing.
    error UnknownFlags(uint8 flags, uint8 known);

    /// @notice A request with exactly these terms has been placed before.
    error RequestExists(bytes32 id, RequestStatus status);

    /// @notice There is no open request of this id.
    error NotOpen(bytes32 id, RequestStatus status);

    /// @notice Too late to answer.
    error DeadlinePassed(uint256 deadline, uint256 timestamp);

    /// @notice Too early for a refund: the request may still be answered.
    error DeadlineNotPassed(uint256 deadline, uint256 timestamp);

    /// @notice The request can be answered by one worker only.
    error NotNamedWorker(address worker, address caller);

    /// @notice Only the verifier named in the offer may end this request.
    error NotVerifier(address verifier, address caller);

    /// @notice An answer commits to something.
    error CommitmentIsZero();

    /// @notice The output does not fit the event; store it and pass a reference.
    error OutputTooLong(uint256 length, uint256 most);

    /// @notice The request asks for the output itself, and this is none or a reference.
    error OutputNotInline();

    /// @notice What is sent to the zero address is lost.
    error ReceiverIsZero();

    /// @notice The account is owed nothing.
    error NothingToWithdraw(address account, address token);

    /// @notice The receiver did not take the money; the account is still owed it.
    error TransferFailed(address to, uint256 amount);

    /// @notice Longest a verifier may hold a request, in seconds.
    function MAX_HOLD() external view returns (uint256);

    /// @notice The grants this escrow goes by.
    function dataShare() external view returns (IDataShare);

    /// @notice The registry this escrow goes by.
    function registry() external view returns (IModelRegistry);

    // --- requesting -------------------------------------------------------------------------------

    /// @notice Places a request in the caller's name and holds its fee, which must be sent along exactly.
    /// @param input The framed input; passed on in the event, never stored.
    /// @return id The request's id. It depends on the offer that stands when the call is mined.
    /// @dev Also reverts as `IModelRegistry.quote` and, unless the model is open, as `IDataShare.consume`.
    function request(bytes32 modelId, bytes32 versionId, Query calldata query, bytes calldata input)
        external
        payable
        returns (bytes32 id);

    /// @notice `request`, several times over; all of them or none. The fees must be sent along exactly.
    function requestMany(bytes32 modelId, bytes32 versionId, Query[] calldata queries, bytes[] calldata inputs)
        external
        payable
        returns (bytes32[] memory ids);

    /// @notice Places a request that its requester signed and the caller pays for. The requester's quota
    /// is consumed; a refund goes to the payer.
    /// @param terms In the name of the signer; the payer it names must be the caller.
    /// @param signature The requester's, of the request's id. See `IDataShare.redeemGrant`.
    /// @dev Also reverts with the errors of `Signatures`; with `WrongSigner` if the offer has changed since.
    function requestFor(
        bytes32 modelId,
        bytes32 versionId,
        Request calldata terms,
        bytes calldata input,
        bytes calldata signature
    ) external payable returns (bytes32 id);

    /// @notice Withdraws the caller's signature of a request that has not been placed.
    function cancel(Offer calldata offer, Request calldata terms) external;

    // --- answering --------------------------------------------------------------------------------

    /// @notice Answers a request. The caller needs a live SERVE grant of the model's owner.
    /// @param commitment See the second warning above.
    /// @param output The framed output, at most 1,024 bytes.
    /// @dev Also reverts as `IDataShare.requireAccess`.
    function fulfil(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata output)
        external;

    /// @notice Answers several requests under one offer. An answer that cannot be taken is passed over.
    /// Requests with a callback must be answered one by one.
    /// @return outcomes What became of each.
    function fulfilMany(Offer calldata offer, Answer[] calldata answers)
        external
        returns (Outcome[] memory outcomes);

    /// @notice Answers a request that asks for a callback: computes the commitment, pays, then calls
    /// `onInference` of the requester with exactly the gas the request names, whatever comes of it.
    /// @param resultSalt `keccak256(abi.encode(secret, "result"))`.
    /// @param output The canonical output, in clear.
    function fulfilWithCallback(
        Offer calldata offer,
        Request calldata terms,
        bytes32 resultSalt,
        bytes calldata output
    ) external;

    /// @notice Declines a request, so that the payer need not wait for the deadline. The caller needs what
    /// it would need to answer.
    function refuse(Offer calldata offer, Request calldata terms, uint8 reason) external;

    // --- after the deadline -----------------------------------------------------------------------

    /// @notice Credits the whole fee to the payer once the deadline has passed. Anyone may call this.
    function refund(bytes32 id) external;

    /// @notice `refund`, several times over; what cannot be refunded is passed over.
    /// @return refunded How many were.
    function refundMany(bytes32[] calldata ids) external returns (uint256 refunded);

    /// @notice `refund`, then `withdraw` of all that the caller is owed in the request's currency.
    function refundAndWithdraw(bytes32 id, address to) external returns (uint256 amount);

    // --- for verifiers ----------------------------------------------------------------------------

    /// @notice Holds an open request, in time, for the examination of `worker`'s answer. The refund waits
    /// until `until` has passed.
    /// @param worker Must hold a live SERVE grant, and be the one named if one is named.
    /// @param until Unix time, after now and at most `MAX_HOLD` from now.
    /// @return id The request's id.
    function hold(Offer calldata offer, Request calldata terms, address worker, uint40 until)
        external
        returns (bytes32 id);

    /// @notice Records an answer, and credits worker and payee: of an open request in time, as by
    /// `fulfil`, or of a held one until its hold ends.
    ///
    /// WARNING: For a held request, it is for the verifier to remember whose answer it held.
    function settle(
        Offer calldata offer,
        Request calldata terms,
        address worker,
        bytes32 commitment,
        bytes calldata output
    ) external;

    /// @notice `settle` for a request that asks for a callback; see `fulfilWithCallback`.
    function settleWithCallback(
        Offer calldata offer,
        Request calldata terms,
        address worker,
        bytes32 resultSalt,
        bytes calldata output
    ) external;

    /// @notice Records the right answer to a held request, until its hold ends, and credits the payer.
    function correct(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata output)
        external;

    // --- money ------------------------------------------------------------------------------------

    /// @notice Sends all that the caller is owed in `token` to `to`.
    /// @return amount In wei or base units.
    /// @dev Reverts with `TransferFailed`, or as the token does; what is owed stays owed.
    function withdraw(address token, address to) external returns (uint256 amount);

    /// @notice What `account` can withdraw.
    function creditOf(address token, address account) external view returns (uint256);

    // --- reading ----------------------------------------------------------------------------------

    /// @notice The id of a request: its EIP-712 digest.
    function idOf(Offer calldata offer, Request calldata terms) external view returns (bytes32);

    /// @notice A request as it stands.
    function requestOf(bytes32 id) external view returns (RequestState memory);

    /// @notice For contracts: the status and the first 31 bytes of the result's commitment.
    function resultOf(bytes32 id) external view returns (RequestStatus status, bytes31 commitment);
}
