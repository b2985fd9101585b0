// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SSTORE2} from "solady/src/utils/SSTORE2.sol";

import {PredictionConsumer} from "../../../contracts/consumers/PredictionConsumer.sol";
import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Ask} from "../../../contracts/interfaces/IPredictionConsumer.sol";
import {Case, Finding, IDiagnosis, Panel, Sample, Stage} from "./IDiagnosis.sol";

/// @title Diagnosis
/// @notice See `IDiagnosis`, which is the specification.
contract Diagnosis is IDiagnosis, PredictionConsumer {
    /// @dev What a second opinion will be asked with: the input lies in code, where it costs least.
    struct KeptSample {
        address input;
        bytes32 inputHash;
    }

    uint256 private constant WHOLE = 1e9;
    uint256 private constant CLASSES = 2;
    uint256 private constant MALIGNANT = 1;
    uint40 private constant ANSWER_WITHIN = 1 hours;
    uint40 private constant USE_WITHIN = 1 days;
    /// @dev To read the kept sample, place a request and note it; or to close the case.
    uint32 private constant FIRST_CALLBACK_GAS = 450_000;
    uint32 private constant SECOND_CALLBACK_GAS = 150_000;

    /// @inheritdoc IDiagnosis
    uint256 public immutable threshold;
    /// @inheritdoc IDiagnosis
    uint256 public immutable margin;

    Panel private _panel;
    Case[] private _cases;
    mapping(uint256 caseId => KeptSample) private _kept;

    constructor(IInferenceEscrow escrow_, Panel memory panel_, uint256 threshold_, uint256 margin_)
        PredictionConsumer(escrow_)
    {
        if (margin_ >= threshold_ || threshold_ + margin_ >= WHOLE) {
            revert MarginTooWide(threshold_, margin_, WHOLE);
        }
        (address first, address second) = (panel_.firstWorker, panel_.secondWorker);
        bool mayBeSameWorker = first == second || first == address(0) || second == address(0);
        if (panel_.firstVersion == panel_.secondVersion && mayBeSameWorker) {
            revert SameOpinionTwice(panel_.firstVersion, first, second);
        }
        (_panel, threshold, margin) = (panel_, threshold_, margin_);
    }

    /// @inheritdoc IDiagnosis
    function open(Sample calldata first, Sample calldata second) external payable returns (uint256 caseId) {
        // Check
        Ask memory ask = _firstAsk();
        uint256 firstFee = _feeOf(ask);
        uint256 secondFee = _feeOf(_secondAsk());
        _take(ETH, firstFee + secondFee);

        // Effect
        caseId = _cases.length;
        Case storage opened = _cases.push();
        (opened.clinician, opened.stage, opened.prepaid) = (msg.sender, Stage.First, uint96(secondFee));
        _kept[caseId] = KeptSample({input: SSTORE2.write(second.input), inputHash: second.inputHash});

        // Interaction
        (ask.inputHash, ask.context) = (first.inputHash, bytes32(caseId));
        bytes32 id = _request(ask, first.input, msg.sender);
        emit CaseOpened(caseId, msg.sender, id);
    }

    /// @inheritdoc IDiagnosis
    function panel() external view returns (Panel memory) {
        return _panel;
    }

    /// @inheritdoc IDiagnosis
    function price() external view returns (uint256) {
        return _feeOf(_firstAsk()) + _feeOf(_secondAsk());
    }

    /// @inheritdoc IDiagnosis
    function caseOf(uint256 caseId) external view returns (Case memory) {
        return _cases[caseId];
    }

    // --- what follows from an opinion -------------------------------------------------------------

    function _onPrediction(bytes32 id, bytes32 context, uint256, int256[] memory scores) internal override {
        uint256 caseId = uint256(context);
        Case storage open_ = _cases[caseId];
        uint256 score = _probability(scores);
        bool isFirst = open_.stage == Stage.First;
        if (isFirst) open_.firstScore = uint32(score);
        else open_.secondScore = uint32(score);

        if (!_inDoubt(score)) {
            _close(caseId, open_, score >= threshold ? Finding.Malignant : Finding.Benign, id);
        } else if (isFirst) {
            _askAgain(caseId, open_);
        } else {
            _close(caseId, open_, Finding.Inconclusive, 0);
        }
    }

    function _onCleared(bytes32, bytes32 context) internal override {
        uint256 caseId = uint256(context);
        _close(caseId, _cases[caseId], Finding.Inconclusive, 0);
    }

    function _askAgain(uint256 caseId, Case storage open_) private {
        // Check
        KeptSample storage kept = _kept[caseId];
        Ask memory ask = _secondAsk();
        (ask.inputHash, ask.context, ask.maxFee) = (kept.inputHash, bytes32(caseId), open_.prepaid);
        uint256 fee = _feeOf(ask);

        // Effect
        address clinician = open_.clinician;
        _credit(ETH, clinician, open_.prepaid - fee);
        (open_.stage, open_.prepaid) = (Stage.Second, 0);

        // Interaction
        bytes32 id = _request(ask, SSTORE2.read(kept.input), clinician);
        emit SecondOpinionAsked(caseId, open_.firstScore, id);
    }

    function _close(uint256 caseId, Case storage open_, Finding finding, bytes32 basis) private {
        emit CaseClosed(caseId, finding, basis == 0 ? Stage.None : open_.stage, basis);
        if (open_.prepaid != 0) _credit(ETH, open_.clinician, open_.prepaid);
        (open_.stage, open_.finding, open_.basis, open_.prepaid) = (Stage.Closed, finding, basis, 0);
    }

    // --- internal ---------------------------------------------------------------------------------

    function _firstAsk() private view returns (Ask memory) {
        return _ask(_panel.firstVersion, _panel.firstWorker, FIRST_CALLBACK_GAS);
    }

    function _secondAsk() private view returns (Ask memory) {
        return _ask(_panel.secondVersion, _panel.secondWorker, SECOND_CALLBACK_GAS);
    }

    function _ask(bytes32 versionId, address worker, uint32 callbackGas) private view returns (Ask memory ask) {
        uint40 timestamp = uint40(block.timestamp);
        ask.modelId = _panel.modelId;
        (ask.versionId, ask.worker, ask.callbackGas) = (versionId, worker, callbackGas);
        (ask.deadline, ask.usableUntil) = (timestamp + ANSWER_WITHIN, timestamp + USE_WITHIN);
        ask.maxFee = type(uint96).max;
    }

    function _probability(int256[] memory scores) private pure returns (uint256) {
        if (scores.length != CLASSES) revert WrongScoreCount(scores.length, CLASSES);
        int256 score = scores[MALIGNANT];
        if (score < 0 || score > int256(WHOLE)) revert ScoreOutOfRange(score, WHOLE);
        return uint256(score);
    }

    function _inDoubt(uint256 score) private view returns (bool) {
        return score > threshold - margin && score < threshold + margin;
    }
}
