// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title IPrivacyLedger
/// @notice How much differential privacy the owner of data is willing to spend on whom, and what was spent.
///
/// Amounts are millionths of an epsilon. Runs add up (sequential composition): whoever trained twice with
/// epsilon 1 on the same rows has spent 2. A budget belongs to an owner, a grantee and a data key, whether
/// or not there is a grant.
///
/// WARNING: The ledger counts what grantees record. It cannot see a training run, tell whether one was
/// private, or stop somebody who has the data in clear from using them without recording it. It binds the
/// honest, and is evidence against the others: a model whose card names a run that is not here was not
/// trained as agreed.
///
/// Nobody owns this contract, and it holds no money.
interface IPrivacyLedger {
    /// @notice An owner set what a grantee may spend in all, in millionths of an epsilon.
    event BudgetSet(address indexed owner, address indexed grantee, bytes32 indexed dataKey, uint256 budget);

    /// @notice A grantee recorded a run that spends `epsilon`; `spent` is the sum since the beginning.
    /// @param run Whatever names the run for those concerned, such as the hash of its definition.
    event EpsilonSpent(
        address indexed owner,
        address indexed grantee,
        bytes32 indexed dataKey,
        uint256 epsilon,
        uint256 spent,
        bytes32 run
    );

    /// @notice A run spends something.
    error EpsilonIsZero();

    /// @notice The run would spend `epsilon`, and `left` is left.
    error OverBudget(uint256 epsilon, uint256 left);

    /// @notice A budget is at most `most`.
    error BudgetTooLarge(uint256 budget, uint256 most);

    /// @notice Sets what `grantee` may spend in all on the caller's `dataKey`. What was spent stays spent; a
    /// budget below it allows nothing more.
    function setBudget(address grantee, bytes32 dataKey, uint256 budget) external;

    /// @notice Records, before it begins, a run of the caller's on `owner`'s data.
    /// @dev Reverts with `EpsilonIsZero` or `OverBudget`; nothing is spent then.
    function spend(address owner, bytes32 dataKey, uint256 epsilon, bytes32 run) external;

    /// @notice What `grantee` may spend in all, and what it has spent.
    function budgetOf(address owner, address grantee, bytes32 dataKey)
        external
        view
        returns (uint256 budget, uint256 spent);
}
