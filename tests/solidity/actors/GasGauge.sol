// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice A requester that notes, within the transaction, how often and with how much gas it is called.
contract GasGauge {
    uint256 public transient gasAtEntry;
    uint256 public transient calls;

    fallback() external {
        gasAtEntry = gasleft();
        ++calls;
    }
}
