// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IExactPrograms} from "../interfaces/IExactPrograms.sol";
import {ExactAnswer, ExactTerms, IExactReferee} from "../interfaces/IExactReferee.sol";
import {IInferenceEscrow, Request} from "../interfaces/IInferenceEscrow.sol";
import {Offer, Version} from "../interfaces/IModelRegistry.sol";
import {Commitments} from "../libraries/Commitments.sol";
import {ExactProgram} from "../libraries/ExactProgram.sol";
import {Payload} from "../libraries/Payload.sol";

/// @title ExactReferee
/// @notice See `IExactReferee`, which is the specification.
contract ExactReferee is IExactReferee {
    using Payload for bytes;

    /// @inheritdoc IExactReferee
    uint256 public constant MIN_WINDOW = 1 hours;
    /// @inheritdoc IExactReferee
    uint256 public constant MAX_WINDOW = 29 days;
    /// @inheritdoc IExactReferee
    uint256 public constant SETTLE_TIME = 1 days;
    /// @inheritdoc IExactReferee
    bytes32 public constant REFUSAL = keccak256("modelward ExactReferee refusal");

    uint8 private constant INLINE_ONLY = 1;
    bytes1 private constant CLEAR = 0;
    uint256 private constant MAX_OUTPUT_LENGTH = 1024;

    /// @inheritdoc IExactReferee
    IInferenceEscrow public immutable escrow;
    /// @inheritdoc IExactReferee
    IExactPrograms public immutable programs;

    /// @inheritdoc IExactReferee
    mapping(address account => uint256) public balanceOf;
    /// @inheritdoc IExactReferee
    mapping(bytes32 id => bytes32) public pendingOf;

    mapping(bytes32 versionId => ExactTerms) private _termsOf;

    constructor(IInferenceEscrow escrow_, IExactPrograms programs_) {
        escrow = escrow_;
        programs = programs_;
    }

    // --- versions ---------------------------------------------------------------------------------

    /// @inheritdoc IExactReferee
    function admit(Version calldata version) external returns (bytes32 versionId) {
        // Check
        if (version.verifier != address(this)) revert WrongVerifier(version.verifier, address(this));
        uint256 settings = uint256(version.verifierSettings);
        uint256 window = settings >> 128;
        uint128 bond = uint128(settings);
        if (window < MIN_WINDOW || window > MAX_WINDOW) revert WindowOutOfBounds(window, MIN_WINDOW, MAX_WINDOW);
        if (bond == 0) revert BondIsZero();
        bytes32 programHash = version.programHash;
        if (programs.pointerOf(programHash) == address(0)) revert IExactPrograms.UnknownProgram(programHash);

        // Effect
        versionId = keccak256(abi.encode(version));
        _termsOf[versionId] = ExactTerms({programHash: programHash, window: uint32(window), bond: bond});
        emit VersionAdmitted(version.modelId, versionId, programHash, uint32(window), bond);
    }

    /// @inheritdoc IExactReferee
    function termsOf(bytes32 versionId) external view returns (ExactTerms memory) {
        return _admitted(versionId);
    }

    // --- money ------------------------------------------------------------------------------------

    /// @inheritdoc IExactReferee
    function deposit() external payable {
        // Effect
        balanceOf[msg.sender] += msg.value;
        emit BondDeposited(msg.sender, msg.value);
    }

    /// @inheritdoc IExactReferee
    function withdraw(uint256 amount, address to) external {
        // Check
        if (to == address(0)) revert IInferenceEscrow.ReceiverIsZero();

        // Effect
        _take(amount);
        emit BondWithdrawn(msg.sender, to, amount);

        // Interaction
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert IInferenceEscrow.TransferFailed(to, amount);
    }

    // --- answering --------------------------------------------------------------------------------

    /// @inheritdoc IExactReferee
    function answer(Offer calldata offer, Request calldata terms, bytes32 commitment, bytes calldata output)
        external
        returns (bytes32 id)
    {
        // Check
        if (commitment == 0) revert IInferenceEscrow.CommitmentIsZero();
        if (output.length > MAX_OUTPUT_LENGTH) {
            revert IInferenceEscrow.OutputTooLong(output.length, MAX_OUTPUT_LENGTH);
        }
        if (terms.query.flags & INLINE_ONLY != 0 && !output.isInline()) revert IInferenceEscrow.OutputNotInline();
        if (terms.query.callbackGas != 0) revert IInferenceEscrow.CallbackMismatch(terms.query.callbackGas);

        // Effect, Interaction
        ExactAnswer memory posted;
        (id, posted) = _stake(offer, terms);
        posted.commitment = commitment;
        posted.output = output;
        _post(id, offer.modelId, posted);
    }

    /// @inheritdoc IExactReferee
    function answerWithCallback(
        Offer calldata offer,
        Request calldata terms,
        bytes32 resultSalt,
        bytes calldata output
    ) external returns (bytes32 id) {
        // Check
        if (output.length >= MAX_OUTPUT_LENGTH) {
            revert IInferenceEscrow.OutputTooLong(output.length + 1, MAX_OUTPUT_LENGTH);
        }
        if (terms.query.callbackGas == 0) revert IInferenceEscrow.CallbackMismatch(0);

        // Effect, Interaction
        ExactAnswer memory posted;
        (id, posted) = _stake(offer, terms);
        posted.commitment = Commitments.ofResult(id, output, resultSalt);
        posted.resultSalt = resultSalt;
        posted.output = Payload.clear(output);
        _post(id, offer.modelId, posted);
    }

    /// @inheritdoc IExactReferee
    function refuse(Offer calldata offer, Request calldata terms, uint8 reason) external {
        // Interaction
        bytes32 id = escrow.hold(offer, terms, msg.sender, uint40(block.timestamp + 1));
        escrow.correct(offer, terms, REFUSAL, "");
        emit RequestRefused(id, msg.sender, reason);
    }

    // --- ending -----------------------------------------------------------------------------------

    /// @inheritdoc IExactReferee
    function accept(Offer calldata offer, Request calldata terms, ExactAnswer calldata answer_) external {
        // Check
        if (msg.sender != terms.requester) revert IInferenceEscrow.NotRequester(terms.requester, msg.sender);

        // Check, Effect, Interaction
        _settle(offer, terms, answer_);
    }

    /// @inheritdoc IExactReferee
    function settle(Offer calldata offer, Request calldata terms, ExactAnswer calldata answer_) external {
        // Check
        if (block.timestamp <= answer_.settleAfter) revert WindowOpen(answer_.settleAfter, block.timestamp);

        // Check, Effect, Interaction
        _settle(offer, terms, answer_);
    }

    /// @inheritdoc IExactReferee
    function challenge(
        Offer calldata offer,
        Request calldata terms,
        ExactAnswer calldata answer_,
        bytes32 secret,
        bytes calldata input
    ) external {
        // Check
        bytes32 id = escrow.idOf(offer, terms);
        _requirePending(id, answer_);
        if (block.timestamp > answer_.settleAfter) revert WindowClosed(answer_.settleAfter, block.timestamp);
        bytes32 inputHash = Commitments.ofInput(secret, input);
        if (inputHash != terms.query.inputHash) revert InputMismatch(terms.query.inputHash, inputHash);
        (bytes32 commitment, bytes memory output) = _correction(id, offer, terms, answer_, secret, input);

        // Effect
        delete pendingOf[id];
        uint256 challengerShare = answer_.bond / 2;
        uint256 payerShare = answer_.bond - challengerShare;
        balanceOf[terms.payer] += payerShare;
        balanceOf[msg.sender] += challengerShare;
        emit AnswerCorrected(id, answer_.worker, msg.sender, commitment, payerShare, challengerShare);

        // Interaction
        escrow.correct(offer, terms, commitment, output);
    }

    /// @inheritdoc IExactReferee
    function release(bytes32 id, ExactAnswer calldata answer_) external {
        // Check
        _requirePending(id, answer_);
        uint256 until = answer_.settleAfter + SETTLE_TIME;
        if (block.timestamp <= until) revert NotLapsed(until, block.timestamp);

        // Effect
        _release(id, answer_);
    }

    // --- internal ---------------------------------------------------------------------------------

    function _admitted(bytes32 versionId) private view returns (ExactTerms storage terms) {
        terms = _termsOf[versionId];
        if (terms.bond == 0) revert VersionNotAdmitted(versionId);
    }

    function _requirePending(bytes32 id, ExactAnswer calldata answer_) private view {
        bytes32 pending = pendingOf[id];
        bytes32 given = keccak256(abi.encode(answer_));
        if (given != pending) revert UnknownAnswer(id, pending, given);
    }

    /// @dev Takes money of the caller's, to send or to stake.
    function _take(uint256 amount) private {
        uint256 balance = balanceOf[msg.sender];
        if (amount > balance) revert BalanceTooLow(msg.sender, balance, amount);
        unchecked {
            balanceOf[msg.sender] = balance - amount;
        }
    }

    /// @dev Takes the caller's bond and has the escrow hold the request, which calls nobody back.
    function _stake(Offer calldata offer, Request calldata terms)
        private
        returns (bytes32 id, ExactAnswer memory posted)
    {
        // Check
        ExactTerms storage exact = _admitted(offer.versionId);
        posted.worker = msg.sender;
        posted.settleAfter = uint40(block.timestamp + exact.window);
        posted.bond = exact.bond;

        // Effect
        _take(posted.bond);

        // Interaction
        id = escrow.hold(offer, terms, msg.sender, uint40(posted.settleAfter + SETTLE_TIME));
    }

    function _post(bytes32 id, bytes32 modelId, ExactAnswer memory posted) private {
        pendingOf[id] = keccak256(abi.encode(posted));
        emit AnswerPosted(id, modelId, posted.worker, posted);
    }

    function _settle(Offer calldata offer, Request calldata terms, ExactAnswer calldata answer_) private {
        // Check
        bytes32 id = escrow.idOf(offer, terms);
        _requirePending(id, answer_);

        // Effect
        _release(id, answer_);

        // Interaction
        if (terms.query.callbackGas == 0) {
            escrow.settle(offer, terms, answer_.worker, answer_.commitment, answer_.output);
        } else {
            escrow.settleWithCallback(offer, terms, answer_.worker, answer_.resultSalt, answer_.output[1:]);
        }
    }

    function _release(bytes32 id, ExactAnswer calldata answer_) private {
        delete pendingOf[id];
        balanceOf[answer_.worker] += answer_.bond;
        emit BondReleased(id, answer_.worker, answer_.bond);
    }

    /// @dev What the answer should have been, framed as far as it fits an event; reverts if that is what it
    /// is.
    function _correction(
        bytes32 id,
        Offer calldata offer,
        Request calldata terms,
        ExactAnswer calldata answer_,
        bytes32 secret,
        bytes calldata input
    ) private view returns (bytes32 commitment, bytes memory framed) {
        try programs.run(_termsOf[offer.versionId].programHash, input) returns (bytes memory output) {
            commitment = Commitments.ofResult(id, output, Commitments.resultSalt(secret));
            bool isShown = terms.query.replyKey != 0 || answer_.output.shows(output);
            if (commitment == answer_.commitment && isShown) revert AnswerIsRight(id, commitment);
            if (output.length < MAX_OUTPUT_LENGTH) framed = bytes.concat(CLEAR, output);
        } catch (bytes memory reason) {
            // Running out of gas is no refusal of the input.
            if (bytes4(reason) != ExactProgram.InvalidInput.selector) {
                assembly ("memory-safe") {
                    revert(add(reason, 32), mload(reason))
                }
            }
            commitment = REFUSAL;
        }
    }
}
