// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Offer, Request} from "../interfaces/IInferenceEscrow.sol";

/// @title Terms
/// @notice EIP-712 struct hashes of what is offered and requested; the Python twin is
/// `modelward.commitments`.
///
/// The typed data nests the offer in the request, so that a wallet shows a signer all of it. Since
/// EIP-712 encodes a nested struct as its hash, `Request.offerHash` takes the offer's place.
library Terms {
    bytes32 internal constant OFFER_TYPEHASH = keccak256(
        "Offer(bytes32 modelId,bytes32 versionId,address owner,address payee,uint16 payeeBps,address token,uint256 fee,address verifier)"
    );

    bytes32 internal constant REQUEST_TYPEHASH = keccak256(
        "Request(Offer offer,address requester,address payer,address worker,bytes32 inputHash,bytes32 replyKey,uint40 deadline,uint32 callbackGas,uint8 flags,bytes32 salt)"
        "Offer(bytes32 modelId,bytes32 versionId,address owner,address payee,uint16 payeeBps,address token,uint256 fee,address verifier)"
    );

    /// @notice The struct hash of an offer.
    function hash(Offer memory offer) internal pure returns (bytes32) {
        return keccak256(abi.encode(OFFER_TYPEHASH, offer));
    }

    /// @notice The struct hash of a request.
    function hash(Request calldata request) internal pure returns (bytes32) {
        return keccak256(abi.encode(REQUEST_TYPEHASH, request));
    }
}
