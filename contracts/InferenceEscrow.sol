// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IDataShare} from "./interfaces/IDataShare.sol";
import {
    Answer,
    IInferenceCallback,
    IInferenceEscrow,
    Outcome,
    Query,
    Request,
    RequestState,
    RequestStatus
} from "./interfaces/IInferenceEscrow.sol";
import {IModelRegistry, Offer} from "./interfaces/IModelRegistry.sol";
import {Commitments} from "./libraries/Commitments.sol";
import {Payload} from "./libraries/Payload.sol";
import {RequestWord, RequestWordLibrary} from "./libraries/RequestWord.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Terms} from "./libraries/Terms.sol";

/// @title InferenceEscrow
/// @notice See `IInferenceEscrow`, which is the specification.
contract InferenceEscrow is IInferenceEscrow, EIP712, ReentrancyGuardTransient {
    using Payload for bytes;
    using SafeERC20 for IERC20;
    using Terms for Offer;
    using Terms for Request;

    /// @dev What a request in a token holds; never cleared.
    struct TokenAmount {
        address token;
        uint96 amount;
    }

    /// @inheritdoc IInferenceEscrow
    uint256 public constant MAX_HOLD = 30 days;

    uint8 private constant INLINE_ONLY = 1;
    uint8 private constant SERVE = 4;
    uint256 private constant MAX_CALLBACK_GAS = 1_000_000;
    /// @dev What the call itself costs before the callback's own gas begins to run.
    uint256 private constant CALLBACK_OVERHEAD = 5_000;
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
    mapping(bytes32 id => TokenAmount) private _tokenAmounts;

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
        // Check, Effect
        (Offer memory offer, uint256 maxDelay, bool open) = registry.quote(modelId, versionId);
        Request memory terms = Request({requester: msg.sender, payer: msg.sender, query: query});
        id = _idOf(offer.hash(), terms);
        _place(id, offer, terms, maxDelay, input);

        // Interaction
        if (!open) dataShare.consume(offer.owner, msg.sender, modelId, 1);
        _collect(offer.token, offer.fee);
    }

    /// @inheritdoc IInferenceEscrow
    function requestMany(bytes32 modelId, bytes32 versionId, Query[] calldata queries, bytes[] calldata inputs)
        external
        payable
        returns (bytes32[] memory ids)
    {
        // Check, Effect
        uint256 count = queries.length;
        if (inputs.length != count) revert LengthMismatch(count, inputs.length);
        (Offer memory offer, uint256 maxDelay, bool open) = registry.quote(modelId, versionId);
        bytes32 offerHash = offer.hash();
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            Request memory terms = Request({requester: msg.sender, payer: msg.sender, query: queries[i]});
            ids[i] = _idOf(offerHash, terms);
            _place(ids[i], offer, terms, maxDelay, inputs[i]);
        }

        // Interaction
        if (!open) dataShare.consume(offer.owner, msg.sender, modelId, count);
        _collect(offer.token, offer.fee * count);
    }

    /// @inheritdoc IInferenceEscrow
    function requestFor(
        bytes32 modelId,
        bytes32 versionId,
        Request calldata terms,
        bytes calldata input,
        bytes calldata signature
    ) external payable returns (bytes32 id) {
        // Check, Effect
        if (terms.payer != msg.sender) revert NotPayer(terms.payer, msg.sender);
        (Offer memory offer, uint256 maxDelay, bool open) = registry.quote(modelId, versionId);
        Request memory signed = terms;
        id = _idOf(offer.hash(), signed);
        Signatures.requireSigned(signed.requester, id, signature);
        _place(id, offer, signed, maxDelay, input);

        // Interaction
        if (!open) dataShare.consume(offer.owner, terms.requester, modelId, 1);
        _collect(offer.token, offer.fee);
    }

    /// @inheritdoc IInferenceEscrow
    function cancel(Offer calldata offer, Request calldata terms) external {
        // Check
        if (terms.requester != msg.sender) revert NotRequester(terms.requester, msg.sender);
        bytes32 id = _idOf(offer.hash(), terms);
        _requireNew(id);

        // Effect
        _requests[id] = RequestWordLibrary.ended(RequestStatus.Cancelled, 0);
        emit RequestCancelled(id, msg.sender);
    }

    // --- answering --------------------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function fulfil(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata output)
        external
    {
        // Check
        _requireAnswer(terms, commitment, output);
        bytes32 id = _requireMayEnd(offer, terms);

        // Effect
        _deliver(id, offer, msg.sender, commitment, output);
    }

    /// @inheritdoc IInferenceEscrow
    function fulfilMany(Offer calldata offer, Answer[] calldata answers)
        external
        returns (Outcome[] memory outcomes)
    {
        // Check
        if (offer.verifier != address(0)) revert NotVerifier(offer.verifier, msg.sender);
        dataShare.requireAccess(offer.owner, msg.sender, offer.modelId, SERVE);

        // Effect
        bytes32 offerHash = offer.hash();
        outcomes = new Outcome[](answers.length);
        uint256 fulfilled = 0;
        for (uint256 i = 0; i < answers.length; ++i) {
            Answer calldata answer = answers[i];
            bytes32 id = _idOf(offerHash, answer.request);
            Outcome outcome = _judge(id, answer);
            outcomes[i] = outcome;
            if (outcome == Outcome.Fulfilled) {
                ++fulfilled;
                _requests[id] = RequestWordLibrary.ended(RequestStatus.Fulfilled, answer.commitment);
                emit InferenceFulfilled(id, offer.modelId, msg.sender, answer.commitment, answer.output);
            } else {
                emit AnswerSkipped(id, msg.sender, outcome);
            }
        }
        _credit(offer, msg.sender, fulfilled);
    }

    /// @inheritdoc IInferenceEscrow
    function fulfilWithCallback(
        Offer calldata offer,
        Request calldata terms,
        bytes32 resultSalt,
        bytes calldata output
    ) external {
        // Check
        bytes32 id = _requireMayEnd(offer, terms);

        // Effect, Interaction
        _deliverWithCallback(id, offer, terms, msg.sender, resultSalt, output);
    }

    /// @inheritdoc IInferenceEscrow
    function refuse(Offer calldata offer, Request calldata terms, uint8 reason) external {
        // Check
        bytes32 id = _requireMayEnd(offer, terms);

        // Effect
        _requests[id] = RequestWordLibrary.ended(RequestStatus.Refused, 0);
        creditOf[offer.token][terms.payer] += offer.fee;
        emit InferenceRefused(id, msg.sender, terms.payer, reason);
    }

    // --- after the deadline -----------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function refund(bytes32 id) external {
        _refund(id);
    }

    /// @inheritdoc IInferenceEscrow
    function refundMany(bytes32[] calldata ids) external returns (uint256 refunded) {
        for (uint256 i = 0; i < ids.length; ++i) {
            RequestWord word = _requests[ids[i]];
            if ((word.isOpen() || word.isHeld()) && block.timestamp > word.deadline()) {
                _refund(ids[i]);
                ++refunded;
            }
        }
    }

    /// @inheritdoc IInferenceEscrow
    function refundAndWithdraw(bytes32 id, address to) external returns (uint256 amount) {
        amount = withdraw(_refund(id), to);
    }

    // --- for verifiers ----------------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function hold(Offer calldata offer, Request calldata terms, address worker, uint40 until)
        external
        returns (bytes32 id)
    {
        // Check
        id = _requireVerifier(offer, terms);
        RequestWord word = _requireOpen(id);
        _requireInTime(terms.query.deadline);
        _requireEligible(offer, terms, worker);
        uint256 latest = block.timestamp + MAX_HOLD;
        if (until <= block.timestamp || until > latest) revert HoldOutOfBounds(until, block.timestamp, latest);

        // Effect
        _requests[id] = word.held(until);
        emit InferenceHeld(id, worker, until);
    }

    /// @inheritdoc IInferenceEscrow
    function settle(
        Offer calldata offer,
        Request calldata terms,
        address worker,
        bytes32 commitment,
        bytes calldata output
    ) external {
        // Check
        _requireAnswer(terms, commitment, output);
        bytes32 id = _requireMaySettle(offer, terms, worker);

        // Effect
        _deliver(id, offer, worker, commitment, output);
    }

    /// @inheritdoc IInferenceEscrow
    function settleWithCallback(
        Offer calldata offer,
        Request calldata terms,
        address worker,
        bytes32 resultSalt,
        bytes calldata output
    ) external {
        // Check
        bytes32 id = _requireMaySettle(offer, terms, worker);

        // Effect, Interaction
        _deliverWithCallback(id, offer, terms, worker, resultSalt, output);
    }

    /// @inheritdoc IInferenceEscrow
    function correct(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata output)
        external
    {
        // Check
        if (commitment == 0) revert CommitmentIsZero();
        if (output.length > MAX_OUTPUT_LENGTH) revert OutputTooLong(output.length, MAX_OUTPUT_LENGTH);
        bytes32 id = _requireVerifier(offer, terms);
        RequestWord word = _requests[id];
        if (!word.isHeld()) revert NotHeld(id, word.status());
        _requireInTime(word.deadline());

        // Effect
        _requests[id] = RequestWordLibrary.ended(RequestStatus.Corrected, commitment);
        creditOf[offer.token][terms.payer] += offer.fee;
        emit InferenceCorrected(id, offer.modelId, terms.payer, commitment, output);
    }

    // --- money ------------------------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function withdraw(address token, address to) public nonReentrant returns (uint256 amount) {
        // Check
        if (to == address(0)) revert ReceiverIsZero();
        amount = creditOf[token][msg.sender];
        if (amount == 0) revert NothingToWithdraw(msg.sender, token);

        // Effect
        creditOf[token][msg.sender] = 0;
        emit Withdrawn(msg.sender, token, to, amount);

        // Interaction
        if (token == ETH) {
            (bool sent,) = to.call{value: amount}("");
            if (!sent) revert TransferFailed(to, amount);
        } else {
            IERC20(token).safeTransfer(to, amount);
        }
    }

    // --- reading ----------------------------------------------------------------------------------

    /// @inheritdoc IInferenceEscrow
    function idOf(Offer calldata offer, Request calldata terms) external view returns (bytes32) {
        return _idOf(offer.hash(), terms);
    }

    /// @inheritdoc IInferenceEscrow
    function requestOf(bytes32 id) external view returns (RequestState memory state) {
        RequestWord word = _requests[id];
        state.status = word.status();
        if (word.isOpen() || word.isHeld()) {
            state.payer = word.payer();
            state.deadline = word.deadline();
            (state.token, state.fee) = _held(id, word);
        } else {
            state.commitment = word.commitment();
        }
    }

    /// @inheritdoc IInferenceEscrow
    function resultOf(bytes32 id) external view returns (RequestStatus status, bytes31 commitment) {
        RequestWord word = _requests[id];
        status = word.status();
        if (!word.isOpen() && !word.isHeld()) commitment = word.commitment();
    }

    // --- internal: requests -----------------------------------------------------------------------

    function _place(
        bytes32 id,
        Offer memory offer,
        Request memory terms,
        uint256 maxDelay,
        bytes calldata input
    ) private {
        // Check
        Query memory query = terms.query;
        uint256 latest = block.timestamp + maxDelay;
        if (query.deadline <= block.timestamp || query.deadline > latest) {
            revert DeadlineOutOfBounds(query.deadline, block.timestamp, latest);
        }
        if (query.flags & ~INLINE_ONLY != 0) revert UnknownFlags(query.flags, INLINE_ONLY);
        if (query.callbackGas != 0) {
            if (query.callbackGas > MAX_CALLBACK_GAS) revert CallbackGasTooHigh(query.callbackGas, MAX_CALLBACK_GAS);
            if (query.replyKey != 0) revert CallbackNeedsClearOutput(query.replyKey);
        }
        _requireNew(id);

        // Effect
        if (offer.token == ETH) {
            _requests[id] = RequestWordLibrary.open(RequestStatus.Open, terms.payer, offer.fee, query.deadline);
        } else {
            _requests[id] = RequestWordLibrary.open(RequestStatus.OpenErc20, terms.payer, 0, query.deadline);
            _tokenAmounts[id] = TokenAmount({token: offer.token, amount: uint96(offer.fee)});
        }
        emit InferenceRequested(id, offer.modelId, terms.requester, offer, terms, input);
    }

    function _collect(address token, uint256 amount) private {
        uint256 expected = token == ETH ? amount : 0;
        if (msg.value != expected) revert WrongFee(msg.value, expected);
        if (token != ETH) _pull(IERC20(token), amount);
    }

    function _pull(IERC20 token, uint256 amount) private nonReentrant {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert InexactDeposit(address(token), received, amount);
    }

    function _refund(bytes32 id) private returns (address token) {
        // Check
        RequestWord word = _requests[id];
        if (!word.isOpen() && !word.isHeld()) revert NotOpen(id, word.status());
        uint40 deadline = word.deadline();
        if (block.timestamp <= deadline) revert DeadlineNotPassed(deadline, block.timestamp);

        // Effect
        uint256 amount;
        (token, amount) = _held(id, word);
        address payer = word.payer();
        _requests[id] = RequestWordLibrary.ended(RequestStatus.Refunded, 0);
        creditOf[token][payer] += amount;
        emit InferenceRefunded(id, payer, token, amount);
    }

    /// @dev What is held for a request that is open or held.
    function _held(bytes32 id, RequestWord word) private view returns (address token, uint256 amount) {
        if (!word.isErc20()) return (ETH, word.fee());
        TokenAmount storage held = _tokenAmounts[id];
        return (held.token, held.amount);
    }

    // --- internal: answers ------------------------------------------------------------------------

    function _deliver(
        bytes32 id,
        Offer calldata offer,
        address worker,
        bytes32 commitment,
        bytes memory output
    ) private {
        _requests[id] = RequestWordLibrary.ended(RequestStatus.Fulfilled, commitment);
        _credit(offer, worker, 1);
        emit InferenceFulfilled(id, offer.modelId, worker, commitment, output);
    }

    function _deliverWithCallback(
        bytes32 id,
        Offer calldata offer,
        Request calldata terms,
        address worker,
        bytes32 resultSalt,
        bytes calldata output
    ) private {
        // Check
        uint256 callbackGas = terms.query.callbackGas;
        if (callbackGas == 0) revert CallbackMismatch(0);
        if (output.length >= MAX_OUTPUT_LENGTH) revert OutputTooLong(output.length + 1, MAX_OUTPUT_LENGTH);

        // Effect
        _deliver(id, offer, worker, Commitments.ofResult(id, output, resultSalt), Payload.clear(output));

        // Interaction
        bytes memory data = abi.encodeCall(IInferenceCallback.onInference, (id, output));
        address requester = terms.requester;
        // A call passes on at most 63/64 of the gas that is left (EIP-150).
        uint256 needed = callbackGas * 64 / 63 + CALLBACK_OVERHEAD;
        if (gasleft() < needed) revert CallbackGasMissing(gasleft(), needed);
        bool succeeded;
        // Not a Solidity call, which would copy whatever is returned.
        assembly ("memory-safe") {
            succeeded := call(callbackGas, requester, 0, add(data, 32), mload(data), 0, 0)
        }
        emit CallbackRun(id, succeeded && requester.code.length != 0);
    }

    /// @dev Pays for `count` answers.
    function _credit(Offer calldata offer, address worker, uint256 count) private {
        uint256 payeeShare = offer.fee * offer.payeeBps / WHOLE_BPS;
        uint256 workerShare = offer.fee - payeeShare;
        if (payeeShare * count != 0) creditOf[offer.token][offer.payee] += payeeShare * count;
        if (workerShare * count != 0) creditOf[offer.token][worker] += workerShare * count;
    }

    // --- internal: checks -------------------------------------------------------------------------

    function _idOf(bytes32 offerHash, Request memory terms) private view returns (bytes32) {
        return _hashTypedDataV4(terms.hash(offerHash));
    }

    function _requireNew(bytes32 id) private view {
        RequestWord word = _requests[id];
        if (RequestWord.unwrap(word) != 0) revert RequestExists(id, word.status());
    }

    function _requireOpen(bytes32 id) private view returns (RequestWord word) {
        word = _requests[id];
        if (!word.isOpen()) revert NotOpen(id, word.status());
    }

    function _requireInTime(uint256 deadline) private view {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline, block.timestamp);
    }

    function _requireEligible(Offer calldata offer, Request calldata terms, address worker) private view {
        address named = terms.query.worker;
        if (named != address(0) && named != worker) revert NotNamedWorker(named, worker);
        dataShare.requireAccess(offer.owner, worker, offer.modelId, SERVE);
    }

    function _requireAnswer(Request calldata terms, bytes32 commitment, bytes calldata output) private pure {
        if (commitment == 0) revert CommitmentIsZero();
        if (output.length > MAX_OUTPUT_LENGTH) revert OutputTooLong(output.length, MAX_OUTPUT_LENGTH);
        if (terms.query.flags & INLINE_ONLY != 0 && !output.isInline()) revert OutputNotInline();
        if (terms.query.callbackGas != 0) revert CallbackMismatch(terms.query.callbackGas);
    }

    /// @dev That these are the terms of an open request, in time, with no verifier, and that the caller is
    /// eligible to answer it.
    function _requireMayEnd(Offer calldata offer, Request calldata terms) private view returns (bytes32 id) {
        id = _idOf(offer.hash(), terms);
        _requireOpen(id);
        _requireInTime(terms.query.deadline);
        if (offer.verifier != address(0)) revert NotVerifier(offer.verifier, msg.sender);
        _requireEligible(offer, terms, msg.sender);
    }

    /// @dev That the caller is the verifier, of whatever request these are the terms.
    function _requireVerifier(Offer calldata offer, Request calldata terms) private view returns (bytes32 id) {
        if (offer.verifier != msg.sender) revert NotVerifier(offer.verifier, msg.sender);
        id = _idOf(offer.hash(), terms);
    }

    /// @dev That the caller is the verifier of a request that it holds, or that `worker` could answer.
    function _requireMaySettle(Offer calldata offer, Request calldata terms, address worker)
        private
        view
        returns (bytes32 id)
    {
        id = _requireVerifier(offer, terms);
        RequestWord word = _requests[id];
        if (word.isHeld()) {
            _requireInTime(word.deadline());
        } else {
            _requireOpen(id);
            _requireInTime(terms.query.deadline);
            _requireEligible(offer, terms, worker);
        }
    }

    /// @dev The checks of `fulfil` that concern one answer, as an outcome.
    function _judge(bytes32 id, Answer calldata answer) private view returns (Outcome) {
        Query calldata query = answer.request.query;
        if (!_requests[id].isOpen()) return Outcome.NotOpen;
        if (block.timestamp > query.deadline) return Outcome.DeadlinePassed;
        if (query.worker != address(0) && query.worker != msg.sender) return Outcome.NotNamedWorker;
        if (answer.commitment == 0) return Outcome.CommitmentIsZero;
        if (answer.output.length > MAX_OUTPUT_LENGTH) return Outcome.OutputTooLong;
        if (query.flags & INLINE_ONLY != 0 && !answer.output.isInline()) return Outcome.OutputNotInline;
        if (query.callbackGas != 0) return Outcome.CallbackRequired;
        return Outcome.Fulfilled;
    }
}
