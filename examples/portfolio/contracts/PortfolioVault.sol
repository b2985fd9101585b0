// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {PredictionConsumer} from "../../../contracts/consumers/PredictionConsumer.sol";
import {IInferenceEscrow} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Ask} from "../../../contracts/interfaces/IPredictionConsumer.sol";
import {Commitments} from "../../../contracts/libraries/Commitments.sol";
import {Advice, IPortfolioVault, Limits, Round} from "./IPortfolioVault.sol";
import {ITestExchange} from "./ITestExchange.sol";

/// @title PortfolioVault
/// @notice See `IPortfolioVault`, which is the specification.
contract PortfolioVault is IPortfolioVault, PredictionConsumer {
    using SafeERC20 for IERC20;

    uint256 private constant WHOLE_BPS = 10_000;
    uint256 private constant WAD = 1e18;
    uint256 private constant MAX_ASSETS = 8;
    uint256 private constant MAX_DECIMALS = 18;
    uint256 private constant MAX_TILT = 1_000;
    uint256 private constant MAX_AGE = 30 days;

    /// @inheritdoc IPortfolioVault
    address public immutable owner;
    /// @inheritdoc IPortfolioVault
    address public immutable cash;
    /// @inheritdoc IPortfolioVault
    ITestExchange public immutable exchange;
    /// @inheritdoc IPortfolioVault
    address public strategist;
    /// @inheritdoc IPortfolioVault
    uint256 public rebalancedAt;

    Advice private _advice;
    Limits private _limits;
    Round private _round;
    address[] private _assets;
    uint256[] private _prices;
    int256[] private _predictions;

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(owner, msg.sender);
        _;
    }

    constructor(
        IInferenceEscrow escrow_,
        address owner_,
        ITestExchange exchange_,
        address cash_,
        address[] memory assets_,
        Advice memory advice_,
        Limits memory limits_
    ) PredictionConsumer(escrow_) {
        uint256 count = assets_.length;
        if (count == 0 || count > MAX_ASSETS) revert WrongAssets(count, MAX_ASSETS);
        for (uint256 i = 0; i < count; ++i) {
            if (assets_[i] == cash_) revert WrongAssets(count, MAX_ASSETS);
            for (uint256 k = 0; k < i; ++k) {
                if (assets_[k] == assets_[i]) revert WrongAssets(count, MAX_ASSETS);
            }
        }
        _requireWithin(advice_.decimals, 0, MAX_DECIMALS);
        (owner, cash, exchange) = (owner_, cash_, exchange_);
        (_assets, _advice) = (assets_, advice_);
        (_prices, _predictions) = (new uint256[](count), new int256[](count));
        _round.over = true;
        _setLimits(limits_);
    }

    // --- owner ------------------------------------------------------------------------------------

    /// @inheritdoc IPortfolioVault
    function setLimits(Limits calldata limits_) external onlyOwner {
        _setLimits(limits_);
    }

    /// @inheritdoc IPortfolioVault
    function setStrategist(address strategist_) external onlyOwner {
        strategist = strategist_;
        emit StrategistSet(strategist_);
    }

    /// @inheritdoc IPortfolioVault
    function takeOut(address token, address to, uint256 amount) external onlyOwner {
        // Check
        if (to == address(0)) revert ReceiverIsZero();

        // Effect
        emit TakenOut(token, to, amount);

        // Interaction
        IERC20(token).safeTransfer(to, amount);
    }

    // --- a round ----------------------------------------------------------------------------------

    /// @inheritdoc IPortfolioVault
    function ask(bytes32[] calldata secrets, bytes[] calldata inputs)
        external
        payable
        returns (bytes32[] memory ids)
    {
        // Check
        if (msg.sender != strategist) revert NotStrategist(strategist, msg.sender);
        uint256 count = _assets.length;
        if (secrets.length != count) revert WrongInputs(secrets.length, count);
        if (inputs.length != count) revert WrongInputs(inputs.length, count);
        _requireInterval();
        uint256 until = uint256(_round.askedAt) + _limits.maxAge;
        if (!_round.over && block.timestamp <= until) revert RoundOpen(until, block.timestamp);

        // Effect
        uint40 number = _round.number + 1;
        _round = Round({number: number, askedAt: uint40(block.timestamp), awaited: uint8(count), over: false});
        for (uint256 i = 0; i < count; ++i) {
            _prices[i] = exchange.priceOf(_assets[i]);
            if (_prices[i] == 0) revert NoPrice(_assets[i]);
            _predictions[i] = 0;
        }
        emit Asked(number, _prices);

        // Interaction
        uint40 latest = uint40(block.timestamp + _limits.maxAge);
        Ask memory terms = Ask({
            modelId: _advice.modelId,
            versionId: _advice.versionId,
            worker: address(0),
            token: ETH,
            maxFee: _advice.maxFee,
            inputHash: 0,
            deadline: latest,
            usableUntil: latest,
            callbackGas: _advice.callbackGas,
            context: 0
        });
        _take(ETH, _feeOf(terms) * count);
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            terms.context = bytes32(uint256(number) << 8 | i);
            terms.inputHash = Commitments.ofInput(secrets[i], inputs[i]);
            ids[i] = _request(terms, bytes.concat(bytes1(0), secrets[i], inputs[i]), msg.sender);
        }
    }

    /// @inheritdoc IPortfolioVault
    function rebalance() external {
        // Check
        if (_round.over) revert NothingToTradeOn(_round.number);
        if (_round.awaited != 0) revert PredictionsAwaited(_round.awaited);
        uint256 latest = uint256(_round.askedAt) + _limits.maxAge;
        if (block.timestamp > latest) revert PredictionsTooOld(latest, block.timestamp);
        _requireInterval();

        // Effect
        _round.over = true;
        rebalancedAt = block.timestamp;
        (uint256 value, uint256 turnover, int256[] memory moves) = _plan();
        emit Rebalanced(_round.number, value, turnover);

        // Interaction: what is sold pays for what is bought
        for (uint256 i = 0; i < moves.length; ++i) {
            if (moves[i] < 0) _trade(_assets[i], cash, uint256(-moves[i]) * WAD / _prices[i], _prices[i], WAD);
        }
        for (uint256 i = 0; i < moves.length; ++i) {
            if (moves[i] <= 0) continue;
            uint256 left = IERC20(cash).balanceOf(address(this));
            uint256 spent = uint256(moves[i]);
            _trade(cash, _assets[i], spent < left ? spent : left, WAD, _prices[i]);
        }
    }

    // --- reading ----------------------------------------------------------------------------------

    /// @inheritdoc IPortfolioVault
    function assets() external view returns (address[] memory) {
        return _assets;
    }

    /// @inheritdoc IPortfolioVault
    function limits() external view returns (Limits memory) {
        return _limits;
    }

    /// @inheritdoc IPortfolioVault
    function advice() external view returns (Advice memory) {
        return _advice;
    }

    /// @inheritdoc IPortfolioVault
    function round() external view returns (Round memory) {
        return _round;
    }

    /// @inheritdoc IPortfolioVault
    function forecasts() external view returns (uint256[] memory prices, int256[] memory predictions) {
        return (_prices, _predictions);
    }

    /// @inheritdoc IPortfolioVault
    function targetWeights() public view returns (uint256[] memory weights) {
        uint256 count = _assets.length;
        int256 size = int256(count);
        int256 sum;
        for (uint256 i = 0; i < count; ++i) {
            sum += _predictions[i];
        }
        int256 most = int256(_limits.maxWeightBps * WAD / WHOLE_BPS);
        int256 tilt = int256(uint256(_limits.tilt) * WAD);
        int256 unit = int256(10 ** _advice.decimals);
        uint256 total;
        weights = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            int256 weight = int256(WAD / count) + tilt * (_predictions[i] * size - sum) / (size * unit);
            if (weight > most) weight = most;
            if (weight > 0) weights[i] = uint256(weight);
            total += weights[i];
        }
        if (total <= WAD) return weights;
        for (uint256 i = 0; i < count; ++i) {
            weights[i] = weights[i] * WAD / total;
        }
    }

    // --- internal ---------------------------------------------------------------------------------

    /// @dev A prediction beyond one hundred percent counts as one hundred percent.
    function _onPrediction(bytes32, bytes32 context, uint256, int256[] memory scores) internal override {
        if (scores.length != 1) revert WrongScores(scores.length, 1);
        uint256 number = uint256(context) >> 8;
        if (number != _round.number) revert WrongRound(number, _round.number);
        uint256 asset = uint8(uint256(context));
        int256 most = int256(10 ** _advice.decimals);
        int256 value = scores[0];
        if (value > most) value = most;
        if (value < -most) value = -most;
        _predictions[asset] = value;
        --_round.awaited;
        emit Predicted(_round.number, _assets[asset], value);
    }

    /// @dev A round that lacks a prediction is over; another can be asked for.
    function _onCleared(bytes32, bytes32 context) internal override {
        if (uint256(context) >> 8 == _round.number) _round.over = true;
    }

    /// @dev The vault's value, and by how much to move each asset's, in base units of cash.
    function _plan() private view returns (uint256 value, uint256 turnover, int256[] memory moves) {
        uint256 count = _assets.length;
        uint256[] memory weights = targetWeights();
        uint256[] memory held = new uint256[](count);
        value = IERC20(cash).balanceOf(address(this));
        for (uint256 i = 0; i < count; ++i) {
            held[i] = IERC20(_assets[i]).balanceOf(address(this)) * _prices[i] / WAD;
            value += held[i];
        }
        moves = new int256[](count);
        for (uint256 i = 0; i < count; ++i) {
            moves[i] = int256(value * weights[i] / WAD) - int256(held[i]);
            turnover += _size(moves[i]);
        }
        uint256 most = value * _limits.maxTurnoverBps / WHOLE_BPS;
        if (turnover <= most) return (value, turnover, moves);
        uint256 wanted = turnover;
        turnover = 0;
        for (uint256 i = 0; i < count; ++i) {
            moves[i] = moves[i] * int256(most) / int256(wanted);
            turnover += _size(moves[i]);
        }
    }

    /// @dev Trades for at least what the prices of the round give, less what the limits leave to slippage.
    function _trade(address from, address to, uint256 paid, uint256 fromPrice, uint256 toPrice) private {
        uint256 least = paid * fromPrice / toPrice * (WHOLE_BPS - _limits.maxSlippageBps) / WHOLE_BPS;
        if (least == 0) return;
        uint256 before = IERC20(to).balanceOf(address(this));
        IERC20(from).forceApprove(address(exchange), paid);
        exchange.swap(from, to, paid, least);
        IERC20(from).forceApprove(address(exchange), 0);
        uint256 received = IERC20(to).balanceOf(address(this)) - before;
        if (received < least) revert SlippageTooHigh(from, to, received, least);
    }

    function _setLimits(Limits memory limits_) private {
        _requireWithin(limits_.maxWeightBps, 1, WHOLE_BPS);
        _requireWithin(limits_.maxTurnoverBps, 1, 2 * WHOLE_BPS);
        _requireWithin(limits_.maxSlippageBps, 0, WHOLE_BPS - 1);
        _requireWithin(limits_.maxAge, 1, MAX_AGE);
        _requireWithin(limits_.tilt, 0, MAX_TILT);
        _limits = limits_;
        emit LimitsSet(limits_);
    }

    function _requireInterval() private view {
        uint256 earliest = rebalancedAt + _limits.minInterval;
        if (block.timestamp < earliest) revert TooSoon(earliest, block.timestamp);
    }

    function _requireWithin(uint256 limit, uint256 least, uint256 most) private pure {
        if (limit < least || limit > most) revert LimitOutOfBounds(limit, least, most);
    }

    function _size(int256 move) private pure returns (uint256) {
        return uint256(move < 0 ? -move : move);
    }
}
