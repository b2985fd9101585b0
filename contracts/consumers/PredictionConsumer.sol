// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IInferenceCallback, IInferenceEscrow, Query, RequestStatus} from "../interfaces/IInferenceEscrow.sol";
import {Offer} from "../interfaces/IModelRegistry.sol";
import {Ask, AwaitedPrediction, IPredictionConsumer, PredictionStatus} from "../interfaces/IPredictionConsumer.sol";
import {Commitments} from "../libraries/Commitments.sol";
import {Output} from "../libraries/Output.sol";

/// @title PredictionConsumer
/// @notice What a contract inherits to request predictions and act on them; see `IPredictionConsumer`.
///
/// An application places requests with `_request` or `_requestFromCaller`, and says what follows from an
/// answer in `_onPrediction` and from none in `_onCleared`. Both are called after this contract has noted
/// that the request is over, so that they may call out and place further requests.
///
/// WARNING: `_onPrediction` runs on the callback's gas. If it reverts, the answer stays to be delivered;
/// if it always reverts, the request can only be cleared once it is stale.
///
/// WARNING: ETH and tokens that came back for funders lie in this contract until they are withdrawn, or
/// in the escrow to its credit. An application must not take its balance for its own money.
abstract contract PredictionConsumer is IPredictionConsumer {
    using SafeERC20 for IERC20;

    address internal constant ETH = address(0);
    uint8 private constant INLINE_ONLY = 1;

    /// @inheritdoc IPredictionConsumer
    IInferenceEscrow public immutable escrow;

    /// @inheritdoc IPredictionConsumer
    mapping(address token => mapping(address account => uint256)) public feesOf;

    mapping(bytes32 id => AwaitedPrediction) private _predictions;

    constructor(IInferenceEscrow escrow_) {
        escrow = escrow_;
    }

    /// @notice Takes the fees that the escrow returns, and nothing else.
    receive() external payable {
        if (msg.sender != address(escrow)) revert NotEscrow(address(escrow), msg.sender);
    }

    // --- answers ----------------------------------------------------------------------------------

    /// @inheritdoc IInferenceCallback
    function onInference(bytes32 id, bytes calldata output) external {
        // Check
        if (msg.sender != address(escrow)) revert NotEscrow(address(escrow), msg.sender);

        // Effect, Interaction
        _use(id, _awaited(id), output);
    }

    /// @inheritdoc IPredictionConsumer
    function deliver(bytes32 id, bytes calldata output, bytes32 resultSalt) external {
        // Check
        AwaitedPrediction storage prediction = _awaited(id);
        (RequestStatus status, bytes31 recorded) = escrow.resultOf(id);
        if (!_hasResult(status)) revert NoResult(id, status);
        bytes31 given = bytes31(Commitments.ofResult(id, output, resultSalt));
        if (given != recorded) revert WrongResult(recorded, given);

        // Effect, Interaction
        if (status == RequestStatus.Corrected) _creditFee(prediction);
        _use(id, prediction, output);
    }

    /// @inheritdoc IPredictionConsumer
    function clear(bytes32 id) external {
        // Check
        AwaitedPrediction storage prediction = _awaited(id);
        (RequestStatus status,) = escrow.resultOf(id);
        if (_hasResult(status)) {
            if (block.timestamp <= prediction.usableUntil) revert NotOver(id, status);
        } else if (status != RequestStatus.Refused && status != RequestStatus.Refunded) {
            if (block.timestamp <= escrow.requestOf(id).deadline) revert NotOver(id, status);
            escrow.refund(id);
            status = RequestStatus.Refunded;
        }

        // Effect
        prediction.status = PredictionStatus.Cleared;
        if (status != RequestStatus.Fulfilled) _creditFee(prediction);
        emit PredictionCleared(id, prediction.context, status);

        // Interaction
        _onCleared(id, prediction.context);
    }

    /// @inheritdoc IPredictionConsumer
    function withdrawFees(address token, address to) external returns (uint256 amount) {
        // Check
        if (to == address(0)) revert ReceiverIsZero();
        amount = feesOf[token][msg.sender];
        if (amount == 0) revert NoFeeToWithdraw(msg.sender, token);

        // Effect
        feesOf[token][msg.sender] = 0;
        emit FeeWithdrawn(msg.sender, token, to, amount);

        // Interaction
        if (escrow.creditOf(token, address(this)) != 0) escrow.withdraw(token, address(this));
        _send(token, to, amount);
    }

    /// @inheritdoc IPredictionConsumer
    function predictionOf(bytes32 id) external view returns (AwaitedPrediction memory) {
        return _predictions[id];
    }

    // --- for applications -------------------------------------------------------------------------

    /// @notice Places a request that the caller pays for: with exactly the price in ETH, or with a fee in a
    /// token that it has approved this contract to take.
    /// @param input The framed input; see `Payload`. Passed on in the escrow's event, never stored.
    /// @return id The request's id.
    function _requestFromCaller(Ask memory ask, bytes memory input) internal returns (bytes32 id) {
        uint256 fee = _feeOf(ask);
        _take(ask.token, fee);
        id = _place(ask, fee, input, msg.sender);
    }

    /// @notice Places a request that this contract pays for out of what it holds; should the fee come
    /// back, it is `funder`'s.
    function _request(Ask memory ask, bytes memory input, address funder) internal returns (bytes32 id) {
        id = _place(ask, _feeOf(ask), input, funder);
    }

    /// @notice What a request on these terms costs now. Reverts unless it is within them, and as
    /// `IModelRegistry.quote`.
    function _feeOf(Ask memory ask) internal view returns (uint256 fee) {
        (Offer memory offer,,) = escrow.registry().quote(ask.modelId, ask.versionId);
        if (offer.token != ask.token) revert WrongToken(offer.token, ask.token);
        fee = offer.fee;
        if (fee > ask.maxFee) revert FeeTooHigh(fee, ask.maxFee);
    }

    /// @notice Takes exactly `amount` from the caller.
    function _take(address token, uint256 amount) internal {
        uint256 value = token == ETH ? amount : 0;
        if (msg.value != value) revert WrongValue(msg.value, value);
        if (token == ETH) return;
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert InexactFee(token, received, amount);
    }

    /// @notice Lets `account` withdraw `amount` more; this contract must hold it for nobody else.
    function _credit(address token, address account, uint256 amount) internal {
        feesOf[token][account] += amount;
    }

    /// @notice What follows from an answer; called once for a request, in time.
    /// @param label The class's index in the manifest; 0 for a regression.
    /// @param scores In units of 10^-decimals, as the manifest says. Their number is for the application
    /// to check.
    function _onPrediction(bytes32 id, bytes32 context, uint256 label, int256[] memory scores) internal virtual;

    /// @notice What follows from there being no answer, or none in time; called once for a request.
    function _onCleared(bytes32 id, bytes32 context) internal virtual;

    // --- internal ---------------------------------------------------------------------------------

    function _place(Ask memory ask, uint256 fee, bytes memory input, address funder) private returns (bytes32 id) {
        // Interaction: it is the escrow that says what the id is. Were it answered before it is noted here,
        // by a token that calls a worker, the callback would fail and `deliver` remain.
        Query memory query = Query({
            worker: ask.worker,
            inputHash: ask.inputHash,
            replyKey: 0,
            deadline: ask.deadline,
            callbackGas: ask.callbackGas,
            flags: INLINE_ONLY
        });
        if (ask.token != ETH) IERC20(ask.token).forceApprove(address(escrow), fee);
        uint256 value = ask.token == ETH ? fee : 0;
        id = escrow.request{value: value}(ask.modelId, ask.versionId, query, input);

        // Effect
        _predictions[id] = AwaitedPrediction({
            status: PredictionStatus.Awaited,
            usableUntil: ask.usableUntil,
            funder: funder,
            context: ask.context,
            token: ask.token,
            fee: uint96(fee)
        });
        emit PredictionRequested(id, ask.context, funder, ask.token, fee);
    }

    function _awaited(bytes32 id) private view returns (AwaitedPrediction storage prediction) {
        prediction = _predictions[id];
        PredictionStatus status = prediction.status;
        if (status != PredictionStatus.Awaited) revert NotAwaited(id, status);
    }

    function _use(bytes32 id, AwaitedPrediction storage prediction, bytes calldata output) private {
        // Check
        uint256 usableUntil = prediction.usableUntil;
        if (block.timestamp > usableUntil) revert PredictionStale(usableUntil, block.timestamp);
        (uint256 label, int256[] memory scores) = Output.decode(output);

        // Effect
        prediction.status = PredictionStatus.Used;
        bytes32 context = prediction.context;
        emit PredictionUsed(id, context, label, scores);

        // Interaction
        _onPrediction(id, context, label, scores);
    }

    function _hasResult(RequestStatus status) private pure returns (bool) {
        return status == RequestStatus.Fulfilled || status == RequestStatus.Corrected;
    }

    function _creditFee(AwaitedPrediction storage prediction) private {
        _credit(prediction.token, prediction.funder, prediction.fee);
    }

    function _send(address token, address to, uint256 amount) private {
        if (token != ETH) {
            IERC20(token).safeTransfer(to, amount);
            return;
        }
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert WithdrawalFailed(to, amount);
    }
}
