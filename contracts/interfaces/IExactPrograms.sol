// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title IExactPrograms
/// @notice Keeps exact programs as the code of contracts, by their hash, and runs them.
///
/// What is stored was checked first (`ExactProgram.check`), runs on any input of the right form in at most
/// `MAX_GAS`, and gives the bytes that `modelward.models.exact` gives. It can never change. Anyone may
/// store a program, and run one.
///
/// WARNING: A program stored here is public. Whoever reads it has the model.
///
/// Nobody owns this contract.
interface IExactPrograms {
    /// @notice A program was stored.
    /// @param pointer The contract whose code is a zero byte and the program.
    /// @param mostGas What a run takes at most, besides reading the program.
    event ProgramStored(bytes32 indexed programHash, address pointer, uint256 mostGas);

    /// @notice Code holds at most `most` bytes of program.
    error ProgramTooLong(uint256 length, uint256 most);

    /// @notice A run could take more gas than is allowed.
    error ProgramTooCostly(uint256 mostGas, uint256 allowed);

    /// @notice No program of this hash is stored.
    error UnknownProgram(bytes32 programHash);

    /// @notice What a run may take at most, in gas.
    function MAX_GAS() external view returns (uint256);

    /// @notice Longest program, in bytes.
    function MAX_LENGTH() external view returns (uint256);

    /// @notice Stores a program; if it is stored already, nothing happens.
    /// @return programHash Its Keccak-256, as in `Version.programHash`.
    /// @dev Also reverts with `ExactProgram.InvalidProgram`.
    function store(bytes calldata program) external returns (bytes32 programHash);

    /// @notice The canonical output for a canonical input.
    /// @dev Reverts with `UnknownProgram`, or with `ExactProgram.InvalidInput`.
    function run(bytes32 programHash, bytes calldata input) external view returns (bytes memory output);

    /// @notice The contract that holds a program; zero if it is not stored.
    function pointerOf(bytes32 programHash) external view returns (address);

    /// @notice A stored program; reverts with `UnknownProgram`.
    function programOf(bytes32 programHash) external view returns (bytes memory);
}
