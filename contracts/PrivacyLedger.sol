// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPrivacyLedger} from "./interfaces/IPrivacyLedger.sol";

/// @title PrivacyLedger
/// @notice See `IPrivacyLedger`, which is the specification.
contract PrivacyLedger is IPrivacyLedger {
    struct Account {
        uint128 budget;
        uint128 spent;
    }

    mapping(address owner => mapping(address grantee => mapping(bytes32 dataKey => Account))) private _accounts;

    /// @inheritdoc IPrivacyLedger
    function setBudget(address grantee, bytes32 dataKey, uint256 budget) external {
        if (budget > type(uint128).max) revert BudgetTooLarge(budget, type(uint128).max);
        _accounts[msg.sender][grantee][dataKey].budget = uint128(budget);
        emit BudgetSet(msg.sender, grantee, dataKey, budget);
    }

    /// @inheritdoc IPrivacyLedger
    function spend(address owner, bytes32 dataKey, uint256 epsilon, bytes32 run) external {
        // Check
        if (epsilon == 0) revert EpsilonIsZero();
        Account storage account = _accounts[owner][msg.sender][dataKey];
        (uint256 budget, uint256 spent) = (account.budget, account.spent);
        uint256 left = budget > spent ? budget - spent : 0;
        if (epsilon > left) revert OverBudget(epsilon, left);

        // Effect
        spent += epsilon;
        account.spent = uint128(spent); // at most the budget
        emit EpsilonSpent(owner, msg.sender, dataKey, epsilon, spent, run);
    }

    /// @inheritdoc IPrivacyLedger
    function budgetOf(address owner, address grantee, bytes32 dataKey)
        external
        view
        returns (uint256 budget, uint256 spent)
    {
        Account storage account = _accounts[owner][grantee][dataKey];
        return (account.budget, account.spent);
    }
}
