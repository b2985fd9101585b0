// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IInferenceCallback, IInferenceEscrow, RequestStatus} from "./IInferenceEscrow.sol";

/// @notice What an application asks for, and on which terms.
/// @param modelId The model.
/// @param versionId The version that is to answer.
/// @param worker The only worker that may answer; zero for any eligible one.
/// @param token The currency the application expects the price in; zero for ETH.
/// @param maxFee The most it pays, in wei or in the token's base units.
/// @param inputHash See `Query`; the framed input goes beside this.
/// @param deadline The last second (Unix time) at which a worker's answer counts.
/// @param usableUntil The last second at which the application uses the answer, however it comes.
/// @param callbackGas Gas for the callback, at most 1,000,000; zero for none: then the answer is only
/// ever handed in with `deliver`.
/// @param context What the application wants to be told along with the answer.
struct Ask {
    bytes32 modelId;
    bytes32 versionId;
    address worker;
    address token;
    uint256 maxFee;
    bytes32 inputHash;
    uint40 deadline;
    uint40 usableUntil;
    uint32 callbackGas;
    bytes32 context;
}

/// @notice None -> Awaited -> Used | Cleared.
/// @param None This contract placed no request with this id.
/// @param Awaited It did, and knows no answer yet.
/// @param Used The answer came in time and was used, once.
/// @param Cleared There will be none, or none that is used any more.
enum PredictionStatus {
    None,
    Awaited,
    Used,
    Cleared
}

/// @notice What is remembered of a request.
/// @param usableUntil The last second at which the answer is used.
/// @param funder Whose the fee is, should it come back.
/// @param context The application's own.
/// @param token Currency of the fee; zero for ETH.
/// @param fee In wei or base units.
struct AwaitedPrediction {
    PredictionStatus status;
    uint40 usableUntil;
    address funder;
    bytes32 context;
    address token;
    uint96 fee;
}

/// @title IPredictionConsumer
/// @notice A contract that requests predictions and acts on them.
///
/// An answer comes by the escrow's callback. One whose callback failed, or that a verifier put right,
/// which calls nobody, can be handed in by anyone: `deliver` holds it against the commitment that the
/// escrow keeps. Either way it is used once, if it is the answer to a request of this contract's own that
/// it still awaits, and not after `usableUntil`.
///
/// Fees that the escrow returns belong to who funded the request, and are withdrawn by them.
///
/// WARNING: An answer is as good as its version: with no verifier it is the word of a worker that the
/// model's owner trusts. Name the version, and where it matters the worker.
///
/// WARNING: Answers to contracts are in clear, for everybody to read; inputs may be sealed.
interface IPredictionConsumer is IInferenceCallback {
    /// @notice A request was placed.
    event PredictionRequested(
        bytes32 indexed id, bytes32 indexed context, address indexed funder, address token, uint256 fee
    );

    /// @notice An answer was used.
    /// @param label The class's index in the manifest; 0 for a regression.
    /// @param scores In units of 10^-decimals, as the manifest says.
    event PredictionUsed(bytes32 indexed id, bytes32 indexed context, uint256 label, int256[] scores);

    /// @notice The request is no longer awaited; the escrow has it as `ended`.
    event PredictionCleared(bytes32 indexed id, bytes32 indexed context, RequestStatus ended);

    /// @notice A fee that had come back was withdrawn.
    event FeeWithdrawn(address indexed account, address indexed token, address indexed to, uint256 amount);

    /// @notice Only the escrow calls back, and only it sends ETH here by itself.
    error NotEscrow(address escrow, address caller);

    /// @notice This contract does not await an answer to that request.
    error NotAwaited(bytes32 id, PredictionStatus status);

    /// @notice The answer came too late to be used.
    error PredictionStale(uint256 usableUntil, uint256 timestamp);

    /// @notice The request may still bring a usable answer, or has one that can be delivered.
    error NotOver(bytes32 id, RequestStatus status);

    /// @notice The escrow keeps no result for this request.
    error NoResult(bytes32 id, RequestStatus status);

    /// @notice Output and salt do not give the commitment that the escrow keeps.
    error WrongResult(bytes31 recorded, bytes31 given);

    /// @notice The model is priced in another currency.
    error WrongToken(address token, address expected);

    /// @notice The model is dearer than the application pays.
    error FeeTooHigh(uint256 fee, uint256 most);

    /// @notice The ETH sent along is not the price.
    error WrongValue(uint256 sent, uint256 fee);

    /// @notice The token did not move the fee.
    error InexactFee(address token, uint256 received, uint256 fee);

    /// @notice What is sent to the zero address is lost.
    error ReceiverIsZero();

    /// @notice The account has no fee to take back.
    error NoFeeToWithdraw(address account, address token);

    /// @notice The receiver did not take the money; the account is still owed it.
    error WithdrawalFailed(address to, uint256 amount);

    /// @notice The escrow that requests are placed in, and the only caller of `onInference`.
    function escrow() external view returns (IInferenceEscrow);

    /// @notice Hands in an answer that was recorded, where the callback did not get through. Anyone may.
    /// @param output The canonical output, as the escrow's event has it behind its frame.
    /// @param resultSalt The worker's calldata has it, and who holds the request's secret can compute it.
    function deliver(bytes32 id, bytes calldata output, bytes32 resultSalt) external;

    /// @notice Gives up a request that was refused, refunded, not answered by its deadline or not used
    /// in time. Anyone may. Where the fee comes back, its funder is credited.
    function clear(bytes32 id) external;

    /// @notice Sends all the fees in `token` that came back to the caller's credit to `to`.
    /// @return amount In wei or base units.
    function withdrawFees(address token, address to) external returns (uint256 amount);

    /// @notice What `account` can withdraw.
    function feesOf(address token, address account) external view returns (uint256);

    /// @notice What is remembered of a request.
    function predictionOf(bytes32 id) external view returns (AwaitedPrediction memory);
}
