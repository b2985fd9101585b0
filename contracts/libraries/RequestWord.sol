// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {RequestStatus} from "../interfaces/IInferenceEscrow.sol";

/// @notice All that is stored of a request.
///
/// | | bits 255..96 | 95..48 | 47..8 | 7..0 |
/// |---|---|---|---|---|
/// | open or held | payer | fee in gwei; 0 for a token | deadline, or end of the hold | status |
/// | ended | commitment, first 31 bytes (255..8) | | | status |
///
/// Zero if and only if there is no request.
type RequestWord is uint256;

using RequestWordLibrary for RequestWord global;

/// @title RequestWordLibrary
/// @notice Packs and unpacks `RequestWord`. Callers see to it that values fit.
library RequestWordLibrary {
    /// @notice The word of an open request; `fee_` in wei, zero for a token.
    function open(RequestStatus status_, address payer_, uint256 fee_, uint40 deadline_)
        internal
        pure
        returns (RequestWord)
    {
        return RequestWord.wrap(
            uint256(uint160(payer_)) << 96 | fee_ / 1 gwei << 48 | uint256(deadline_) << 8 | uint256(status_)
        );
    }

    /// @notice The word of an open request, now held until `until`.
    function held(RequestWord word, uint40 until) internal pure returns (RequestWord) {
        RequestStatus status_ = word.status() == RequestStatus.Open ? RequestStatus.Held : RequestStatus.HeldErc20;
        return open(status_, word.payer(), word.fee(), until);
    }

    /// @notice The word of a request that has ended.
    function ended(RequestStatus status_, bytes32 commitment_) internal pure returns (RequestWord) {
        return RequestWord.wrap(uint256(commitment_) >> 8 << 8 | uint256(status_));
    }

    function status(RequestWord word) internal pure returns (RequestStatus) {
        return RequestStatus(uint8(RequestWord.unwrap(word)));
    }

    /// @notice Whether the fee has not been paid out, and no verifier holds the request.
    function isOpen(RequestWord word) internal pure returns (bool) {
        RequestStatus status_ = word.status();
        return status_ == RequestStatus.Open || status_ == RequestStatus.OpenErc20;
    }

    /// @notice Whether a verifier holds the request.
    function isHeld(RequestWord word) internal pure returns (bool) {
        RequestStatus status_ = word.status();
        return status_ == RequestStatus.Held || status_ == RequestStatus.HeldErc20;
    }

    /// @notice Whether the fee is in a token; meaningful while open or held.
    function isErc20(RequestWord word) internal pure returns (bool) {
        RequestStatus status_ = word.status();
        return status_ == RequestStatus.OpenErc20 || status_ == RequestStatus.HeldErc20;
    }

    /// @notice Meaningful while open or held.
    function payer(RequestWord word) internal pure returns (address) {
        return address(uint160(RequestWord.unwrap(word) >> 96));
    }

    /// @notice In wei; meaningful while open or held, in ETH.
    function fee(RequestWord word) internal pure returns (uint256) {
        return uint256(uint48(RequestWord.unwrap(word) >> 48)) * 1 gwei;
    }

    /// @notice Meaningful while open or held.
    function deadline(RequestWord word) internal pure returns (uint40) {
        return uint40(RequestWord.unwrap(word) >> 8);
    }

    /// @notice Meaningful once ended.
    function commitment(RequestWord word) internal pure returns (bytes31) {
        return bytes31(bytes32(RequestWord.unwrap(word)));
    }
}
