// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title Payload
/// @notice How inputs and outputs are framed in events: one byte, then the rest.
///
/// | first byte | the rest |
/// |---|---|
/// | 0 | in clear: for an input, 32 bytes of secret and the canonical input; for an output, the canonical output |
/// | 1 | an envelope sealed to its reader |
/// | 2 | in clear, by reference: 32 bytes of content hash and the content store's URI |
/// | 3 | sealed, by reference: likewise |
library Payload {
    uint8 private constant CLEAR = 0;
    uint8 private constant REFERENCE = 2;

    /// @notice Frames content in clear.
    function clear(bytes calldata content) internal pure returns (bytes memory) {
        return bytes.concat(bytes1(CLEAR), content);
    }

    /// @notice Whether there is a payload and it holds the content itself.
    function isInline(bytes calldata payload) internal pure returns (bool) {
        return payload.length != 0 && uint8(payload[0]) & REFERENCE == 0;
    }

    /// @notice Whether a payload holds, in clear, this content or its hash.
    function shows(bytes calldata payload, bytes memory content) internal pure returns (bool) {
        if (payload.length == 0) return false;
        if (uint8(payload[0]) == CLEAR) return keccak256(payload[1:]) == keccak256(content);
        return uint8(payload[0]) == REFERENCE && payload.length >= 33 && bytes32(payload[1:]) == keccak256(content);
    }
}
