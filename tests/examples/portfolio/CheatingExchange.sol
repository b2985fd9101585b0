// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Takes what it is approved, says that it gave what was asked for, and gives a unit less.
contract CheatingExchange {
    mapping(address token => uint256) public priceOf;

    function statePrices(address[] calldata tokens, uint256[] calldata prices) external {
        for (uint256 i = 0; i < tokens.length; ++i) {
            priceOf[tokens[i]] = prices[i];
        }
    }

    function swap(address from, address to, uint256 paid, uint256 least) external returns (uint256) {
        require(IERC20(from).transferFrom(msg.sender, address(this), paid));
        require(IERC20(to).transfer(msg.sender, least - 1));
        return least;
    }
}
