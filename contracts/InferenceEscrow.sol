// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IDataShare} from "./interfaces/IDataShare.sol";
import {
    IInferenceEscrow,
    Offer,
    Request,
    RequestState,
    RequestStatus
} from "./interfaces/IInferenceEscrow.sol";
import {IModelRegistry, Quote} from "./interfaces/IModelRegistry.sol";
import {Payload} from "./libraries/Payload.sol";
import {RequestWord, RequestWordLibrary} from "./libraries/RequestWord.sol";
import {Terms} from "./libraries/Terms.sol";

/// @title InferenceEscrow
/// @notice See `IInferenceEscrow`, which is the specification.
contract InferenceEscrow is IInferenceEscrow, EIP712 {
    using Payload for bytes;
    using Terms for Offer;
    using Terms for Request;

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
    function request(bytes32 modelId, bytes32 versionId, Request calldata terms, bytes calldata input)
        external
        payable
        returns (bytes32 id)
    {
        // Check
        if (terms.requester != msg.sender) revert NotRequester(terms.requester, msg.sender);
        if (terms.payer != msg.sender) revert NotPayer(terms.payer, msg.sender);
        if (terms.callbackGas > MAX_CALLBACK_GAS) revert CallbackGasTooHigh(terms.callbackGas, MAX_CALLBACK_GAS);
        if (terms.flags & ~INLINE_ONLY != 0) revert UnknownFlags(terms.flags, INLINE_ONLY);

        Quote memory quote = registry.quote(modelId, versionId);
        Offer memory offer = Offer({
            modelId: modelId,
            versionId: versionId,
            owner: quote.owner,
            payee: quote.payee,
            payeeBps: quote.payeeBps,
            token: quote.token,
            fee: quote.fee,
            verifier: quote.verifier
        });
        if (msg.value != quote.fee) revert WrongFee(msg.value, quote.fee);
        bytes32 offerHash = offer.hash();
        if (terms.offerHash != offerHash) revert OfferMismatch(terms.offerHash, offerHash);
        uint256 latest = block.timestamp + quote.maxDelay;
        if (terms.deadline <= block.timestamp || terms.deadline > latest) {
            revert DeadlineOutOfBounds(terms.deadline, block.timestamp, latest);
        }
        id = idOf(terms);
        RequestStatus status = _requests[id].status();
        if (status != RequestStatus.None) revert RequestExists(id, status);

        // Effect
        _requests[id] = RequestWordLibrary.open(msg.sender, quote.fee, terms.deadline);
        emit InferenceRequested(id, modelId, msg.sender, offer, terms, input);

        // Interaction
        if (!quote.open) dataShare.consume(quote.owner, msg.sender, modelId);
    }

    // --- answering --------------------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function fulfil(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata output)
        external
    {
        // Check
        if (commitment == 0) revert CommitmentIsZero();
        if (output.length > MAX_OUTPUT_LENGTH) revert OutputTooLong(output.length, MAX_OUTPUT_LENGTH);
        if (terms.flags & INLINE_ONLY != 0 && !output.isInline()) revert OutputNotInline();
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
    function idOf(Request calldata terms) public view returns (bytes32) {
        return _hashTypedDataV4(terms.hash());
    }

    /// @inheritdoc IInferenceEscrow
    function offerHashOf(Offer calldata offer) external pure returns (bytes32) {
        return offer.hash();
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

    function _requireOpen(bytes32 id) private view returns (RequestWord word) {
        word = _requests[id];
        RequestStatus status = word.status();
        if (status != RequestStatus.Open) revert NotOpen(id, status);
    }

    /// @dev That these are the terms of an open request, and that the caller may still answer or refuse it.
    function _requireMayEnd(Offer calldata offer, Request calldata terms) private view returns (bytes32 id) {
        bytes32 offerHash = offer.hash();
        if (terms.offerHash != offerHash) revert OfferMismatch(terms.offerHash, offerHash);
        id = idOf(terms);
        _requireOpen(id);
        if (block.timestamp > terms.deadline) revert DeadlinePassed(terms.deadline, block.timestamp);
        if (offer.verifier != address(0)) revert NotVerifier(offer.verifier, msg.sender);
        if (terms.worker != address(0) && terms.worker != msg.sender) {
            revert NotNamedWorker(terms.worker, msg.sender);
        }
        dataShare.requireAccess(offer.owner, msg.sender, offer.modelId, SERVE);
    }
}
