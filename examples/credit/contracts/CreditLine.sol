// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {PredictionConsumer} from "../../../contracts/consumers/PredictionConsumer.sol";
import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Ask} from "../../../contracts/interfaces/IPredictionConsumer.sol";
import {Signatures} from "../../../contracts/libraries/Signatures.sol";
import {ICreditLine, Lending, Line, LineStatus, Report} from "./ICreditLine.sol";

/// @title CreditLine
/// @notice See `ICreditLine`, which is the specification.
contract CreditLine is ICreditLine, PredictionConsumer, EIP712 {
    using SafeERC20 for IERC20;

    bytes32 private constant REPORT_TYPEHASH =
        keccak256("Report(address borrower,bytes32 inputHash,uint40 validUntil)");
    uint256 private constant WHOLE = 1e9;
    uint256 private constant WHOLE_BPS = 10_000;
    uint256 private constant CLASSES = 2;
    uint256 private constant REPAID = 1;
    uint40 private constant ANSWER_WITHIN = 1 hours;
    uint40 private constant USE_WITHIN = 1 days;
    uint32 private constant CALLBACK_GAS = 200_000;

    /// @inheritdoc ICreditLine
    address public immutable lender;
    /// @inheritdoc ICreditLine
    uint256 public available;

    Lending private _lending;
    mapping(address borrower => Line) private _lines;
    mapping(bytes32 inputHash => bool) private _used;

    modifier onlyLender() {
        if (msg.sender != lender) revert NotLender(lender, msg.sender);
        _;
    }

    constructor(IInferenceEscrow escrow_, Lending memory lending_)
        PredictionConsumer(escrow_)
        EIP712("modelward CreditLine", "1")
    {
        if (lending_.cutoff >= WHOLE) revert CutoffTooHigh(lending_.cutoff, WHOLE);
        (lender, _lending) = (msg.sender, lending_);
    }

    // --- applying ---------------------------------------------------------------------------------

    /// @inheritdoc ICreditLine
    function applyForCredit(Report calldata report, bytes calldata input, bytes calldata signature)
        external
        payable
        returns (bytes32 id)
    {
        // Check
        if (report.borrower != msg.sender) revert NotBorrower(report.borrower, msg.sender);
        if (block.timestamp > report.validUntil) revert ReportExpired(report.validUntil, block.timestamp);
        if (_used[report.inputHash]) revert ReportUsed(report.inputHash);
        Line storage line = _lines[msg.sender];
        LineStatus status = line.status;
        if (status == LineStatus.Applied || line.owed != 0) revert CannotApply(status, line.owed);
        Signatures.requireSigned(_lending.bureau, reportDigest(report), signature);

        // Effect
        _used[report.inputHash] = true;
        (line.status, line.limit) = (LineStatus.Applied, 0);

        // Interaction
        id = _requestFromCaller(_ask(report.inputHash), input);
        emit Applied(msg.sender, id);
    }

    /// @inheritdoc ICreditLine
    function reportDigest(Report calldata report) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REPORT_TYPEHASH, report)));
    }

    /// @inheritdoc ICreditLine
    function limitFor(uint256 score) public view returns (uint256) {
        uint256 cutoff = _lending.cutoff;
        return score < cutoff ? 0 : _lending.maxLimit * (score - cutoff) / (WHOLE - cutoff);
    }

    function _onPrediction(bytes32 id, bytes32 context, uint256, int256[] memory scores) internal override {
        // Check
        if (scores.length != CLASSES) revert WrongScoreCount(scores.length, CLASSES);
        int256 probability = scores[REPAID];
        if (probability < 0 || probability > int256(WHOLE)) revert ScoreOutOfRange(probability, WHOLE);

        // Effect
        uint256 score = uint256(probability);
        address borrower = _borrowerOf(context);
        Line storage line = _lines[borrower];
        (line.score, line.basis) = (uint32(score), id);
        uint256 limit = limitFor(score);
        if (limit == 0) {
            line.status = LineStatus.Declined;
            emit LineDeclined(borrower, id, score, _lending.cutoff);
            return;
        }
        uint40 expiry = uint40(block.timestamp) + _lending.term;
        uint40 due = expiry + _lending.grace;
        (line.status, line.limit, line.expiry, line.due) = (LineStatus.Open, uint128(limit), expiry, due);
        emit LineOpened(borrower, id, score, limit, expiry, due);
    }

    function _onCleared(bytes32 id, bytes32 context) internal override {
        address borrower = _borrowerOf(context);
        _lines[borrower].status = LineStatus.None;
        emit ApplicationLapsed(borrower, id);
    }

    // --- borrowing --------------------------------------------------------------------------------

    /// @inheritdoc ICreditLine
    function draw(uint128 amount, address to) external {
        // Check
        Line storage line = _lines[msg.sender];
        if (to == address(0)) revert ReceiverIsZero();
        if (line.status != LineStatus.Open) revert LineNotOpen(line.status);
        if (block.timestamp > line.expiry) revert LineExpired(line.expiry, block.timestamp);
        if (amount > available) revert NotEnoughFunds(amount, available);
        uint256 fee = (uint256(amount) * _lending.feeBps + WHOLE_BPS - 1) / WHOLE_BPS;
        uint256 owed = line.owed + amount + fee;
        if (owed > line.limit) revert OverLimit(owed, line.limit);

        // Effect
        line.owed = uint128(owed);
        available -= amount;
        emit Drawn(msg.sender, to, amount, fee);

        // Interaction
        IERC20(_lending.token).safeTransfer(to, amount);
    }

    /// @inheritdoc ICreditLine
    function repay(address borrower, uint128 amount) external returns (uint256 paid) {
        // Check
        Line storage line = _lines[borrower];
        uint256 owed = line.owed;
        if (owed == 0) revert NothingOwed(borrower);
        paid = amount < owed ? amount : owed;

        // Effect
        owed -= paid;
        line.owed = uint128(owed);
        if (owed == 0 && line.status == LineStatus.Defaulted) line.status = LineStatus.None;
        available += paid;
        emit Repaid(borrower, msg.sender, paid, owed);

        // Interaction
        _take(_lending.token, paid);
    }

    /// @inheritdoc ICreditLine
    function declareDefault(address borrower) external {
        // Check
        Line storage line = _lines[borrower];
        if (line.status != LineStatus.Open) revert LineNotOpen(line.status);
        if (line.owed == 0) revert NothingOwed(borrower);
        if (block.timestamp <= line.due) revert NotDue(line.due, block.timestamp);

        // Effect
        (line.status, line.limit) = (LineStatus.Defaulted, 0);
        ++line.defaults;
        emit DefaultDeclared(borrower, line.owed);
    }

    /// @inheritdoc ICreditLine
    function lineOf(address borrower) external view returns (Line memory) {
        return _lines[borrower];
    }

    // --- lending ----------------------------------------------------------------------------------

    /// @inheritdoc ICreditLine
    function lending() external view returns (Lending memory) {
        return _lending;
    }

    /// @inheritdoc ICreditLine
    function fund(uint256 amount) external onlyLender {
        // Effect
        available += amount;
        emit Funded(amount);

        // Interaction
        _take(_lending.token, amount);
    }

    /// @inheritdoc ICreditLine
    function unfund(uint256 amount, address to) external onlyLender {
        // Check
        if (to == address(0)) revert ReceiverIsZero();
        if (amount > available) revert NotEnoughFunds(amount, available);

        // Effect
        available -= amount;
        emit Unfunded(to, amount);

        // Interaction
        IERC20(_lending.token).safeTransfer(to, amount);
    }

    // --- internal ---------------------------------------------------------------------------------

    function _ask(bytes32 inputHash) private view returns (Ask memory) {
        uint40 timestamp = uint40(block.timestamp);
        return Ask({
            modelId: _lending.modelId,
            versionId: _lending.versionId,
            worker: _lending.worker,
            token: _lending.feeToken,
            maxFee: type(uint96).max,
            inputHash: inputHash,
            deadline: timestamp + ANSWER_WITHIN,
            usableUntil: timestamp + USE_WITHIN,
            callbackGas: CALLBACK_GAS,
            context: bytes32(uint256(uint160(msg.sender)))
        });
    }

    function _borrowerOf(bytes32 context) private pure returns (address) {
        return address(uint160(uint256(context)));
    }
}
