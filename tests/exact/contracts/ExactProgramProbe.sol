// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ExactProgram} from "../../../contracts/libraries/ExactProgram.sol";

/// @notice The library's functions, to be called from outside.
contract ExactProgramProbe {
    function check(bytes calldata program) external pure returns (uint256 mostGas) {
        return ExactProgram.check(program);
    }

    function run(bytes calldata program, bytes calldata input) external pure returns (bytes memory) {
        return ExactProgram.run(program, input);
    }

    /// @notice What `run` itself takes, the program being in memory.
    function measured(bytes memory program, bytes memory input) external view returns (uint256 gas) {
        gas = gasleft();
        ExactProgram.run(program, input);
        gas -= gasleft();
    }
}
