// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IDataShare} from "./interfaces/IDataShare.sol";
import {
    IInferenceEscrow,
    Query,
    Request,
    RequestState,
    RequestStatus
} from "./interfaces/IInferenceEscrow.sol";
import {IModelRegistry, Offer} from "./interfaces/IModelRegistry.sol";
import {Payload} from "./libraries/Payload.sol";
import {RequestWord, RequestWordLibrary} from "./libraries/RequestWord.sol";
import {Terms} from "./libraries/Terms.sol";

/// @title InferenceEscrow
/// @notice See `IInferenceEscrow`, which is the specification.
contract InferenceEscrow is IInferenceEscrow, EIP712 {
    using Payload for bytes;
    using Terms for Offer;

    uint8 private constant INLINE_ONLY = 1;
    uint8 private constant SERVE = 4;
    uint256 private constant MAX_CALLBACK_GAS = 0;
    uint256 private constant MAX_OUTPUT_LENGTH = 1024;
    uint256 private constant WHOLE_BPS = 10_000;
    address private constant ETH = address(0);

    /// @inheritdoc IInferenceEscrow
    IDataShare public immutable dataShare;
    /// @inheritdoc IInferenceEscrow
    IModelRegistry public immutable registry;

    /// @inheritdoc IInferenceEscrow
    mapping(address token => mapping(address account => uint256)) public creditOf;

    mapping(bytes32 id => RequestWord) private _requests;

    constructor(IDataShare dataShare_, IModelRegistry registry_) EIP712("modelward InferenceEscrow", "1") {
        dataShare = dataShare_;
        registry = registry_;
    }

    // --- requesting -------------------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function request(bytes32 modelId, bytes32 versionId, Query calldata query, bytes calldata input)
        external
        payable
        returns (bytes32 id)
    {
        // Check
        if (query.callbackGas > MAX_CALLBACK_GAS) revert CallbackGasTooHigh(query.callbackGas, MAX_CALLBACK_GAS);
        if (query.flags & ~INLINE_ONLY != 0) revert UnknownFlags(query.flags, INLINE_ONLY);
        (Offer memory offer, uint256 maxDelay, bool open) = registry.quote(modelId, versionId);
        if (msg.value != offer.fee) revert WrongFee(msg.value, offer.fee);
        uint256 latest = block.timestamp + maxDelay;
        if (query.deadline <= block.timestamp || query.deadline > latest) {
            revert DeadlineOutOfBounds(query.deadline, block.timestamp, latest);
        }
        Request memory terms = Request({requester: msg.sender, payer: msg.sender, query: query});
        id = _idOf(offer, terms);
        RequestStatus status = _requests[id].status();
        if (status != RequestStatus.None) revert RequestExists(id, status);

        // Effect
        _requests[id] = RequestWordLibrary.open(msg.sender, offer.fee, query.deadline);
        emit InferenceRequested(id, modelId, msg.sender, offer, terms, input);

        // Interaction
        if (!open) dataShare.consume(offer.owner, msg.sender, modelId);
    }

    // --- answering --------------------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function fulfil(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata output)
        external
    {
        // Check
        if (commitment == 0) revert CommitmentIsZero();
        if (output.length > MAX_OUTPUT_LENGTH) revert OutputTooLong(output.length, MAX_OUTPUT_LENGTH);
        if (terms.query.flags & INLINE_ONLY != 0 && !output.isInline()) revert OutputNotInline();
        bytes32 id = _requireMayEnd(offer, terms);

        // Effect
        uint256 payeeShare = offer.fee * offer.payeeBps / WHOLE_BPS;
        _requests[id] = RequestWordLibrary.ended(RequestStatus.Fulfilled, commitment);
        if (payeeShare != 0) creditOf[ETH][offer.payee] += payeeShare;
        if (payeeShare != offer.fee) creditOf[ETH][msg.sender] += offer.fee - payeeShare;
        emit InferenceFulfilled(id, offer.modelId, msg.sender, commitment, output);
    }

    /// @inheritdoc IInferenceEscrow
    function refuse(Offer calldata offer, Request calldata terms, uint8 reason) external {
        // Check
        bytes32 id = _requireMayEnd(offer, terms);

        // Effect
        _requests[id] = RequestWordLibrary.ended(RequestStatus.Refused, 0);
        creditOf[ETH][terms.payer] += offer.fee;
        emit InferenceRefused(id, msg.sender, terms.payer, reason);
    }

    // --- after the deadline -----------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function refund(bytes32 id) external {
        // Check
        RequestWord word = _requireOpen(id);
        uint40 deadline = word.deadline();
        if (block.timestamp <= deadline) revert DeadlineNotPassed(deadline, block.timestamp);

        // Effect
        address payer = word.payer();
        uint256 fee = word.fee();
        _requests[id] = RequestWordLibrary.ended(RequestStatus.Refunded, 0);
        creditOf[ETH][payer] += fee;
        emit InferenceRefunded(id, payer, fee);
    }

    // --- money ------------------------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function withdraw(address token, address to) external returns (uint256 amount) {
        // Check
        amount = creditOf[token][msg.sender];
        if (amount == 0) revert NothingToWithdraw(msg.sender, token);

        // Effect
        creditOf[token][msg.sender] = 0;
        emit Withdrawn(msg.sender, token, to, amount);

        // Interaction
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert TransferFailed(to, amount);
    }

    // --- reading ----------------------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function idOf(Offer calldata offer, Request calldata terms) external view returns (bytes32) {
        return _idOf(offer, terms);
    }

    /// @inheritdoc IInferenceEscrow
    function requestOf(bytes32 id) external view returns (RequestState memory state) {
        RequestWord word = _requests[id];
        state.status = word.status();
        if (state.status == RequestStatus.Open) {
            state.payer = word.payer();
            state.fee = word.fee();
            state.deadline = word.deadline();
        } else {
            state.commitment = word.commitment();
        }
    }

    /// @inheritdoc IInferenceEscrow
    function resultOf(bytes32 id) external view returns (RequestStatus status, bytes31 commitment) {
        RequestWord word = _requests[id];
        status = word.status();
        if (status != RequestStatus.Open) commitment = word.commitment();
    }

    // --- internal ---------------------------------------------------------------------------------

    function _idOf(Offer memory offer, Request memory terms) private view returns (bytes32) {
        return _hashTypedDataV4(offer.hash(terms));
    }

    function _requireOpen(bytes32 id) private view returns (RequestWord word) {
        word = _requests[id];
        RequestStatus status = word.status();
        if (status != RequestStatus.Open) revert NotOpen(id, status);
    }

    /// @dev That these are the terms of an open request, and that the caller may still answer or refuse it.
    function _requireMayEnd(Offer calldata offer, Request calldata terms) private view returns (bytes32 id) {
        id = _idOf(offer, terms);
        _requireOpen(id);
        if (block.timestamp > terms.query.deadline) revert DeadlinePassed(terms.query.deadline, block.timestamp);
        if (offer.verifier != address(0)) revert NotVerifier(offer.verifier, msg.sender);
        if (terms.query.worker != address(0) && terms.query.worker != msg.sender) {
            revert NotNamedWorker(terms.query.worker, msg.sender);
        }
        dataShare.requireAccess(offer.owner, msg.sender, offer.modelId, SERVE);
    }
}
