// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {ITestExchange} from "./ITestExchange.sol";

/// @title TestExchange
/// @notice See `ITestExchange`, which is the specification. Trades out of the tokens it was sent.
contract TestExchange is ITestExchange {
    using SafeERC20 for IERC20;

    uint256 private constant WHOLE_BPS = 10_000;

    address private immutable _operator;

    /// @inheritdoc ITestExchange
    uint16 public immutable feeBps;

    /// @inheritdoc ITestExchange
    mapping(address token => uint256) public priceOf;

    constructor(address cash, uint16 feeBps_) {
        if (feeBps_ >= WHOLE_BPS) revert FeeBpsTooHigh(feeBps_, WHOLE_BPS - 1);
        _operator = msg.sender;
        feeBps = feeBps_;
        _state(cash, 1e18);
    }

    /// @inheritdoc ITestExchange
    function statePrices(address[] calldata tokens, uint256[] calldata prices) external {
        if (msg.sender != _operator) revert NotOperator(_operator, msg.sender);
        if (tokens.length != prices.length) revert WrongPrices(prices.length, tokens.length);
        for (uint256 i = 0; i < tokens.length; ++i) {
            _state(tokens[i], prices[i]);
        }
    }

    /// @inheritdoc ITestExchange
    function swap(address from, address to, uint256 paid, uint256 least) external returns (uint256 received) {
        // Check
        if (priceOf[from] == 0) revert NotListed(from);
        if (priceOf[to] == 0) revert NotListed(to);
        received = paid * priceOf[from] / priceOf[to] * (WHOLE_BPS - feeBps) / WHOLE_BPS;
        if (received < least) revert TooLittle(received, least);

        // Effect
        emit Swapped(msg.sender, from, to, paid, received);

        // Interaction
        IERC20(from).safeTransferFrom(msg.sender, address(this), paid);
        IERC20(to).safeTransfer(msg.sender, received);
    }

    function _state(address token, uint256 price) private {
        priceOf[token] = price;
        emit PriceStated(token, price);
    }
}
