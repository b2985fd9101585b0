// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A token that does what it says.
contract Coin is ERC20("Coin", "COIN") {
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }
}
