// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @notice A wallet that accepts the digests it was told to, and answers for others as it was told to.
contract Wallet is IERC1271 {
    mapping(bytes32 digest => bool) private _approved;
    uint8 private _manner;

    function approve(bytes32 digest) external {
        _approved[digest] = true;
    }

    /// @notice 0 another value, 1 the right value in too few bytes, 2 nothing, 3 a revert.
    function refuseBy(uint8 manner) external {
        _manner = manner;
    }

    /// @notice Makes a call in this wallet's name; fails as it fails.
    function act(address target, bytes calldata data) external payable {
        (bool done, bytes memory output) = target.call{value: msg.value}(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(output, 32), mload(output))
            }
        }
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        if (_approved[digest]) return IERC1271.isValidSignature.selector;
        bytes32 magic = IERC1271.isValidSignature.selector;
        uint8 manner = _manner;
        if (manner == 3) revert("no");
        assembly ("memory-safe") {
            mstore(0, magic)
            if eq(manner, 1) { return(0, 4) }
            if eq(manner, 2) { return(0, 0) }
        }
        return 0xffffffff;
    }

    receive() external payable {}
}
