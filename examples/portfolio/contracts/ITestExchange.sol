// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title ITestExchange
/// @notice Sells and buys tokens at prices that its operator states. For demonstrations and tests: nobody
/// should trust such an exchange with more than it can be sued for.
interface ITestExchange {
    /// @notice A price was stated.
    event PriceStated(address indexed token, uint256 price);

    /// @notice A trade was made.
    event Swapped(address indexed trader, address indexed from, address indexed to, uint256 paid, uint256 received);

    /// @notice Only the operator states prices.
    error NotOperator(address operator, address caller);

    /// @notice No price was stated for this token.
    error NotListed(address token);

    /// @notice Less would be received than the caller accepts.
    error TooLittle(uint256 received, uint256 least);

    /// @notice One price is needed for each token.
    error WrongPrices(uint256 prices, uint256 tokens);

    /// @notice A fee takes less than everything.
    error FeeBpsTooHigh(uint256 feeBps, uint256 most);

    /// @notice The price in cash of 1e18 base units of a token, in base units of cash; zero if not listed.
    function priceOf(address token) external view returns (uint256);

    /// @notice What a trade costs, in hundredths of a percent of what is received.
    function feeBps() external view returns (uint16);

    /// @notice States the prices of tokens from now on; zero takes one off the list. Only the operator may.
    function statePrices(address[] calldata tokens, uint256[] calldata prices) external;

    /// @notice Trades `paid` base units of one token, pulled from the caller, for as much of another as the
    /// stated prices give, less the fee.
    /// @param least The trade reverts if it would give less.
    function swap(address from, address to, uint256 paid, uint256 least) external returns (uint256 received);
}
