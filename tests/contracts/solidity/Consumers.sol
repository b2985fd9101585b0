// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {PredictionConsumer} from "../../../contracts/consumers/PredictionConsumer.sol";
import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Ask} from "../../../contracts/interfaces/IPredictionConsumer.sol";

/// @notice Notes what it is told, and fails when it is told to.
contract RecordingConsumer is PredictionConsumer {
    error NotNow();

    bool public failing;
    uint256 public answers;
    uint256 public clearances;
    bytes32 public lastContext;
    uint256 public lastLabel;
    int256[] private _lastScores;

    constructor(IInferenceEscrow escrow_) PredictionConsumer(escrow_) {}

    function fail(bool failing_) external {
        failing = failing_;
    }

    function ask(Ask calldata terms, bytes calldata input) external payable returns (bytes32) {
        return _requestFromCaller(terms, input);
    }

    function fund() external payable {}

    function askFromOwnMoney(Ask calldata terms, bytes calldata input, address funder) external returns (bytes32) {
        return _request(terms, input, funder);
    }

    function lastScores() external view returns (int256[] memory) {
        return _lastScores;
    }

    function _onPrediction(bytes32, bytes32 context, uint256 label, int256[] memory scores) internal override {
        if (failing) revert NotNow();
        ++answers;
        (lastContext, lastLabel, _lastScores) = (context, label, scores);
    }

    function _onCleared(bytes32, bytes32 context) internal override {
        ++clearances;
        lastContext = context;
    }
}
