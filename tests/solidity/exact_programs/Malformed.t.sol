// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IExactPrograms} from "../../../contracts/interfaces/IExactPrograms.sol";
import {ExactMarket} from "../market/ExactMarket.sol";
import {vm} from "../market/Vm.sol";

/// @notice Bytes that are no program are refused for little gas, which bounds memory as well; what passes
/// runs on any input of the right form within the gas announced.
contract MalformedTest is ExactMarket {
    uint256 private constant CHECK_BASE = 60_000;
    uint256 private constant CHECK_BYTE = 400;

    bytes4 private constant INVALID_PROGRAM = bytes4(keccak256("InvalidProgram(uint256)"));
    bytes4 private constant INVALID_INPUT = bytes4(keccak256("InvalidInput(uint256,uint256)"));

    /// @dev A network of 2-2-1, with a logistic function.
    bytes private constant NETWORK = hex"01010201020600020001" hex"02" hex"0002021e02" hex"00000000000000001234" hex"01230456"
        hex"ffffffffffffffff0000" hex"ff23f456" hex"0001011000" hex"00000000000000000001" hex"7f80";
    /// @dev Three shares of two trees of three and one leaves.
    bytes private constant FOREST = hex"01020303030600020003" hex"0001" hex"0002" hex"0000000000000040" hex"00000002"
        hex"000000000000000000000000000000000000000000000000"
        hex"000000000010000000000008000000000008" hex"000000000001000000000002000000000003"
        hex"0014" hex"00120100000100" hex"0009007fffffff" hex"8000" hex"8001" hex"8001" hex"0002" hex"8000";

    function test_theSeedsAreProgramsThemselves() external {
        programs.store(NETWORK);
        programs.store(FOREST);
    }

    function testFuzz_randomBytesAreRefused(bytes calldata data) external {
        _try(data);
    }

    function testFuzz_randomBodiesBehindAHeaderAreRefused(bytes calldata body, uint256 seed) external {
        _try(bytes.concat(_slice(_seedProgram(seed), 0, 10 + seed / 8 % 17), body));
    }

    function testFuzz_damagedProgramsAreRefused(uint256 seed, uint256 damage) external {
        bytes memory program = _seedProgram(seed);
        for (uint256 i = 0; i <= seed / 8 % 4; ++i) {
            uint256 place = damage % program.length;
            program[place] = bytes1(_byte(damage / 65_536));
            damage = uint256(keccak256(abi.encode(damage)));
        }
        if (seed / 32 % 4 == 0) program = _slice(program, 0, damage % program.length);
        if (seed / 32 % 4 == 1) program = bytes.concat(program, bytes32(damage));
        _try(program);
    }

    // --- internal ---------------------------------------------------------------------------------

    /// @dev Stores what may be a program; what can be stored must run.
    function _try(bytes memory program) private {
        uint256 allowed = CHECK_BASE + CHECK_BYTE * program.length;
        uint256 gas = gasleft();
        (bool stored, bytes memory returned) = address(programs).call(abi.encodeCall(programs.store, (program)));
        gas -= gasleft();
        if (!stored) {
            vm.assertTrue(gas <= allowed, "gas of a refusal");
            vm.assertEq(returned.length, 36, "a reason");
            vm.assertEq(bytes4(returned), INVALID_PROGRAM, "the reason");
            return;
        }
        bytes32 programHash = abi.decode(returned, (bytes32));
        uint256 features = uint256(uint8(program[6])) << 8 | uint8(program[7]);
        uint256 width = program[2] == 0x04 ? 8 : 4;
        bytes memory input = new bytes(1 + width * features);
        input[0] = program[2];
        for (uint256 i = 1; i < input.length; ++i) {
            input[i] = bytes1(_byte(uint256(keccak256(abi.encode(programHash, i)))));
        }
        programs.run{gas: programs.MAX_GAS()}(programHash, input);
        (bool ran, bytes memory reason) =
            address(programs).staticcall(abi.encodeCall(programs.run, (programHash, bytes.concat(input, hex"00"))));
        vm.assertTrue(!ran && bytes4(reason) == INVALID_INPUT, "another length");
    }

    function _seedProgram(uint256 seed) private pure returns (bytes memory) {
        if (seed % 8 < 2) return PROGRAM;
        return seed % 8 < 5 ? NETWORK : FOREST;
    }

    /// @dev Often one at a bound.
    function _byte(uint256 seed) private pure returns (uint8) {
        uint8[4] memory special = [0, 0x7f, 0x80, 0xff];
        return seed % 2 == 0 ? special[seed / 2 % 4] : uint8(seed / 2);
    }

    function _slice(bytes memory data, uint256 start, uint256 end) private pure returns (bytes memory part) {
        part = new bytes((end < data.length ? end : data.length) - start);
        for (uint256 i = 0; i < part.length; ++i) {
            part[i] = data[start + i];
        }
    }
}
