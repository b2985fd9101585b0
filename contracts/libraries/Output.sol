// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title Output
/// @notice Reads canonical outputs; the Python twin is `modelward.models.output`.
library Output {
    /// @notice The output is in a form this library does not know.
    error UnknownOutputVersion(uint256 version, uint256 known);

    uint256 private constant VERSION = 1;

    /// @notice The label's index in the manifest's classes (0 for a regression) and the scores, in units
    /// of 10^-decimals as the manifest says.
    /// @dev Reverts without data for bytes that are no ABI encoding of an output.
    function decode(bytes memory output) internal pure returns (uint256 label, int256[] memory scores) {
        uint256 version;
        (version, label, scores) = abi.decode(output, (uint256, uint256, int256[]));
        if (version != VERSION) revert UnknownOutputVersion(version, VERSION);
    }
}
