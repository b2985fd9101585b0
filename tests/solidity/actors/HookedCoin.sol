// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Coin} from "./Coin.sol";

interface ICoinHooks {
    function coinsToSend(uint256 amount) external;
    function coinsReceived(uint256 amount) external;
}

/// @notice An exact token that calls who sends it before, and who receives it after it has moved.
contract HookedCoin is Coin {
    function _update(address from, address to, uint256 amount) internal override {
        if (from.code.length != 0 && to != address(0)) _call(from, abi.encodeCall(ICoinHooks.coinsToSend, (amount)));
        super._update(from, to, amount);
        if (to.code.length != 0 && from != address(0)) _call(to, abi.encodeCall(ICoinHooks.coinsReceived, (amount)));
    }

    function _call(address account, bytes memory data) private {
        (bool called,) = account.call{gas: 1_000_000}(data);
        called; // whether the account has hooks is its own affair
    }
}
