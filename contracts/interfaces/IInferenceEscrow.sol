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

/// @notice None -> Open -> Fulfilled | Refused | Refunded, all of them final.
/// @param None No request has this id.
/// @param Open The fee is held.
/// @param OpenErc20 Not in use yet.
/// @param Held Not in use yet.
/// @param HeldErc20 Not in use yet.
/// @param Fulfilled Answered; worker and payee were credited.
/// @param Corrected Not in use yet.
/// @param Refused A worker declined; the payer was credited.
/// @param Refunded Nobody answered in time; the payer was credited.
/// @param Cancelled Not in use yet.
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
/// @param fee Held for it, in wei; zero once the request has ended.
/// @param deadline Zero once the request has ended.
/// @param commitment First 31 bytes of the result's commitment; zero unless there is a result.
struct RequestState {
    RequestStatus status;
    address payer;
    uint256 fee;
    uint40 deadline;
    bytes31 commitment;
}

/// @title IInferenceEscrow
/// @notice Holds the fee of every open request, from the request to its end.
///
/// A request's id is the EIP-712 digest of all its terms, so it cannot be altered, taken by another or
/// come to mean something else after a reorganisation; and who has the terms can compute it.
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
    event InferenceRefunded(bytes32 indexed id, address indexed payer, uint256 amount);

    /// @notice An account took out what it was owed.
    event Withdrawn(address indexed account, address indexed token, address indexed to, uint256 amount);

    /// @notice The value sent is not the fee.
    error WrongFee(uint256 sent, uint256 fee);

    /// @notice The deadline is not after `timestamp`, or is after `latest`.
    error DeadlineOutOfBounds(uint256 deadline, uint256 timestamp, uint256 latest);

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

    /// @notice The account is owed nothing.
    error NothingToWithdraw(address account, address token);

    /// @notice The receiver did not take the money; the account is still owed it.
    error TransferFailed(address to, uint256 amount);

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

    // --- answering --------------------------------------------------------------------------------

    /// @notice Answers a request. The caller needs a live SERVE grant of the model's owner.
    /// @param commitment See the second warning above.
    /// @param output The framed output, at most 1,024 bytes.
    /// @dev Also reverts as `IDataShare.requireAccess`.
    function fulfil(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata output)
        external;

    /// @notice Declines a request, so that the payer need not wait for the deadline. The caller needs what
    /// it would need to answer.
    function refuse(Offer calldata offer, Request calldata terms, uint8 reason) external;

    // --- after the deadline -----------------------------------------------------------------------

    /// @notice Credits the whole fee to the payer once the deadline has passed. Anyone may call this.
    function refund(bytes32 id) external;

    // --- money ------------------------------------------------------------------------------------

    /// @notice Sends all that the caller is owed in `token` to `to`.
    /// @return amount In wei.
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
