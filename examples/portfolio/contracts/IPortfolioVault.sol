// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IPredictionConsumer} from "../../../contracts/interfaces/IPredictionConsumer.sol";
import {ITestExchange} from "./ITestExchange.sol";

/// @notice What the vault may do with its owner's money. Shares of value are in hundredths of a percent.
/// @param maxWeightBps The most of the vault's value that a purchase may bring one asset to.
/// @param maxTurnoverBps The most of the vault's value that one rebalancing may sell and buy, added up.
/// @param maxSlippageBps How much worse than the stated price a trade may be, its fee included.
/// @param minInterval Least seconds between two rebalancings.
/// @param maxAge Most seconds between asking for predictions and trading on them.
/// @param tilt How far a forecast moves a weight: by `tilt` percent of the value for each percent that the
/// asset is predicted to do better than the average of all.
struct Limits {
    uint16 maxWeightBps;
    uint16 maxTurnoverBps;
    uint16 maxSlippageBps;
    uint40 minInterval;
    uint40 maxAge;
    uint16 tilt;
}

/// @notice The model that is followed.
/// @param decimals Its predictions are in units of 10^-decimals.
/// @param callbackGas What storing a prediction takes.
/// @param maxFee The most that is paid for one, in wei.
struct Advice {
    bytes32 modelId;
    bytes32 versionId;
    uint8 decimals;
    uint32 callbackGas;
    uint256 maxFee;
}

/// @notice One time that predictions were asked for.
/// @param number Counts from 1.
/// @param askedAt When, in Unix seconds; zero if never.
/// @param awaited How many predictions have not come.
/// @param over Whether it was traded on, or can no longer be.
struct Round {
    uint40 number;
    uint40 askedAt;
    uint8 awaited;
    bool over;
}

/// @title IPortfolioVault
/// @notice Holds cash and assets of its owner, and shifts them towards the assets that a model predicts to
/// do best, inside limits that the owner sets.
///
/// One round: the strategist asks for a prediction for each asset (`ask`); the escrow calls back with each;
/// anyone has the vault trade (`rebalance`). The weight of an asset is an equal share, plus `tilt` times by
/// how much its prediction is above the average, at least zero and at most `maxWeightBps`; if the weights
/// add up to more than the whole, all are scaled down; what they leave is kept in cash.
///
/// Prices are those stated when the predictions were asked for. They value the vault and bound every trade,
/// so that a price that has moved by more than `maxSlippageBps` against the vault stops the rebalancing.
///
/// Assumptions: the tokens move exactly what they are told to and call no one. The exchange is not trusted:
/// what it gives is measured, and it is approved for no more than each trade.
///
/// WARNING: The strategist chooses what the model is told. It can pick any weights within the limits, and
/// so cost the owner at most the slippage of `maxTurnoverBps` every `minInterval`. Predictions are as good
/// as the model's workers are honest.
///
/// WARNING: An operator that states wrong prices before predictions are asked for makes the vault trade at
/// them.
interface IPortfolioVault is IPredictionConsumer {
    /// @notice The limits were set.
    event LimitsSet(Limits limits);

    /// @notice The owner named who asks for predictions.
    event StrategistSet(address indexed strategist);

    /// @notice Predictions were asked for, at these prices.
    event Asked(uint256 indexed round, uint256[] prices);

    /// @notice A prediction came: how much better than the average the asset will do, in 10^-decimals.
    event Predicted(uint256 indexed round, address indexed asset, int256 value);

    /// @notice The vault traded.
    /// @param value The vault's value before, in base units of cash.
    /// @param turnover The value of what was sold and bought, added up.
    event Rebalanced(uint256 indexed round, uint256 value, uint256 turnover);

    /// @notice The owner took tokens out.
    event TakenOut(address indexed token, address indexed to, uint256 amount);

    /// @notice Only the owner may do this.
    error NotOwner(address owner, address caller);

    /// @notice Only the strategist may ask for predictions.
    error NotStrategist(address strategist, address caller);

    /// @notice The vault holds at least one asset and at most `most`, each once and none of them cash.
    error WrongAssets(uint256 assets, uint256 most);

    /// @notice A limit is out of its bounds.
    error LimitOutOfBounds(uint256 limit, uint256 least, uint256 most);

    /// @notice One input is needed for each asset.
    error WrongInputs(uint256 inputs, uint256 assets);

    /// @notice Too soon after the last rebalancing.
    error TooSoon(uint256 earliest, uint256 timestamp);

    /// @notice The predictions asked for last may still come and be traded on.
    error RoundOpen(uint256 until, uint256 timestamp);

    /// @notice Predictions are missing.
    error PredictionsAwaited(uint256 awaited);

    /// @notice The predictions were traded on, or none were asked for.
    error NothingToTradeOn(uint256 round);

    /// @notice The predictions are too old.
    error PredictionsTooOld(uint256 latest, uint256 timestamp);

    /// @notice The exchange states no price for an asset.
    error NoPrice(address asset);

    /// @notice The exchange gave less than the limits allow.
    error SlippageTooHigh(address from, address to, uint256 received, uint256 least);

    /// @notice The prediction was asked for in an earlier round.
    error WrongRound(uint256 number, uint256 expected);

    /// @notice A prediction is one number.
    error WrongScores(uint256 scores, uint256 expected);

    /// @notice Whose money this is.
    function owner() external view returns (address);

    /// @notice Who asks for predictions.
    function strategist() external view returns (address);

    /// @notice The currency of all values.
    function cash() external view returns (address);

    /// @notice Where the vault trades.
    function exchange() external view returns (ITestExchange);

    /// @notice What the vault may hold beside cash, in the order of predictions.
    function assets() external view returns (address[] memory);

    /// @notice What the owner allows.
    function limits() external view returns (Limits memory);

    /// @notice The model that is followed; it never changes.
    function advice() external view returns (Advice memory);

    /// @notice When the vault last traded, in Unix seconds.
    function rebalancedAt() external view returns (uint256);

    /// @notice The round that predictions were asked for last.
    function round() external view returns (Round memory);

    /// @notice The prices of that round, and its predictions, zero where none came.
    function forecasts() external view returns (uint256[] memory prices, int256[] memory predictions);

    /// @notice The weights that those predictions give, in 10^-18 of the vault's value.
    function targetWeights() external view returns (uint256[] memory);

    /// @notice Sets what the vault may do from now on, in an open round too. Only the owner may.
    function setLimits(Limits calldata limits_) external;

    /// @notice Names who asks for predictions; zero for nobody. Only the owner may.
    function setStrategist(address strategist_) external;

    /// @notice Takes out tokens of any kind. Only the owner may, at any time. To put tokens in, send them.
    function takeOut(address token, address to, uint256 amount) external;

    /// @notice Asks for a prediction for each asset, at the prices that the exchange states now. Only the
    /// strategist may, and sends along the fees exactly; those that come back are the strategist's.
    /// @param secrets 32 random bytes for each asset, never used again.
    /// @param inputs What the model is told of each asset: the canonical input, in clear.
    /// @return ids The requests.
    function ask(bytes32[] calldata secrets, bytes[] calldata inputs) external payable returns (bytes32[] memory ids);

    /// @notice Trades towards the target weights. Anyone may, once all predictions have come and while they
    /// are not too old; a round is traded on once.
    function rebalance() external;
}
