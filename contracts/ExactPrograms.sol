// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SSTORE2} from "solady/src/utils/SSTORE2.sol";

import {IExactPrograms} from "./interfaces/IExactPrograms.sol";
import {ExactProgram} from "./libraries/ExactProgram.sol";

/// @title ExactPrograms
/// @notice See `IExactPrograms`, which is the specification.
contract ExactPrograms is IExactPrograms {
    /// @inheritdoc IExactPrograms
    uint256 public constant MAX_GAS = 10_000_000;
    /// @inheritdoc IExactPrograms
    uint256 public constant MAX_LENGTH = 24_575;

    /// @inheritdoc IExactPrograms
    mapping(bytes32 programHash => address) public pointerOf;

    /// @inheritdoc IExactPrograms
    function store(bytes calldata program) external returns (bytes32 programHash) {
        // Check
        programHash = keccak256(program);
        if (pointerOf[programHash] != address(0)) return programHash;
        if (program.length > MAX_LENGTH) revert ProgramTooLong(program.length, MAX_LENGTH);
        bytes memory copied = program;
        uint256 mostGas = ExactProgram.check(copied);
        if (mostGas > MAX_GAS) revert ProgramTooCostly(mostGas, MAX_GAS);

        // Effect
        address pointer = SSTORE2.write(copied);
        pointerOf[programHash] = pointer;
        emit ProgramStored(programHash, pointer, mostGas);
    }

    /// @inheritdoc IExactPrograms
    function run(bytes32 programHash, bytes calldata input) external view returns (bytes memory) {
        return ExactProgram.run(programOf(programHash), input);
    }

    /// @inheritdoc IExactPrograms
    function programOf(bytes32 programHash) public view returns (bytes memory) {
        address pointer = pointerOf[programHash];
        if (pointer == address(0)) revert UnknownProgram(programHash);
        return SSTORE2.read(pointer);
    }
}
