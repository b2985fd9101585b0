// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Request} from "../interfaces/IInferenceEscrow.sol";
import {Offer} from "../interfaces/IModelRegistry.sol";

/// @title Terms
/// @notice EIP-712 struct hashes of what is offered and requested; the Python twin is
/// `modelward.commitments`.
///
/// The typed data nests the offer in the request and lists the query's fields among the request's, so
/// that a wallet shows a signer all of it, flat.
library Terms {
    bytes32 private constant OFFER_TYPEHASH = keccak256(
        "Offer(bytes32 modelId,bytes32 versionId,address owner,address payee,uint16 payeeBps,address token,uint256 fee,address verifier)"
    );

    bytes32 private constant REQUEST_TYPEHASH = keccak256(
        "Request(Offer offer,address requester,address payer,address worker,bytes32 inputHash,bytes32 replyKey,uint40 deadline,uint32 callbackGas,uint8 flags)"
        "Offer(bytes32 modelId,bytes32 versionId,address owner,address payee,uint16 payeeBps,address token,uint256 fee,address verifier)"
    );

    /// @notice The struct hash of an offer.
    /// @dev `keccak256(abi.encode(OFFER_TYPEHASH, offer))` without a copy: an offer in memory is its own
    /// encoding, so that the type hash need only take the place of the word before it for a moment.
    function hash(Offer memory offer) internal pure returns (bytes32 offerHash) {
        bytes32 typeHash = OFFER_TYPEHASH;
        assembly ("memory-safe") {
            let start := sub(offer, 32)
            let displaced := mload(start)
            mstore(start, typeHash)
            offerHash := keccak256(start, 288)
            mstore(start, displaced)
        }
    }

    /// @notice The struct hash of a request placed under the offer of that hash.
    function hash(Request memory request, bytes32 offerHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(REQUEST_TYPEHASH, offerHash, request));
    }
}
