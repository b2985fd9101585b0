// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title TestToken
/// @notice A token for demonstrations and tests: anyone makes as much of it as they like.
contract TestToken is ERC20 {
    constructor(string memory name, string memory symbol) ERC20(name, symbol) {}

    /// @notice Makes `amount` base units (10^-18) and gives them to `account`.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }
}
