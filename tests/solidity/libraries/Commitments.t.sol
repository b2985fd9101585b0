// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Commitments} from "../../../contracts/libraries/Commitments.sol";
import {Digests} from "../market/Digests.sol";
import {vm} from "../market/Vm.sol";

contract CommitmentsTest {
    function testFuzz_commitmentsAreTheHashesOfTheirEncodings(bytes32 id, bytes32 secret, bytes memory content)
        external
        pure
    {
        vm.assertEq(Commitments.ofInput(secret, content), keccak256(abi.encode(secret, content)), "input");
        bytes32 salt = keccak256(abi.encode(secret, "result"));
        vm.assertEq(Commitments.resultSalt(secret), salt, "salt");
        vm.assertEq(Commitments.ofResult(id, content, salt), Digests.ofResult(id, content, salt), "result");
    }
}
