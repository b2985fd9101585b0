// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title Commitments
/// @notice What requests and results commit to; the Python twin is `modelward.commitments`.
///
/// The requester picks a secret for each request, which travels in its input. The worker chooses nothing,
/// so that an output has exactly one commitment, which who holds the secret can check and nobody else can
/// guess the output from.
library Commitments {
    /// @notice The hash of an input.
    function ofInput(bytes32 secret, bytes memory canonicalInput) internal pure returns (bytes32) {
        return keccak256(abi.encode(secret, canonicalInput));
    }

    /// @notice What salts the commitment to the result.
    function resultSalt(bytes32 secret) internal pure returns (bytes32) {
        return keccak256(abi.encode(secret, "result"));
    }

    /// @notice The commitment to an output as the answer to request `id`.
    function ofResult(bytes32 id, bytes memory canonicalOutput, bytes32 salt) internal pure returns (bytes32) {
        return keccak256(abi.encode(id, canonicalOutput, salt));
    }
}
