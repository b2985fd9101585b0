// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice Tests that fail. The suite is worth nothing unless forge says so.
contract RedTest {
    uint256 private _calls;

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(this);
    }

    function call() external {
        ++_calls;
    }

    function test_fails() external pure {
        revert("as it must");
    }

    function testFuzz_failsForOneByteOf256(uint8 value) external pure {
        require(value != 77, "as it must");
    }

    function invariant_failsAtTheThirdCall() external view {
        require(_calls < 3, "as it must");
    }
}
