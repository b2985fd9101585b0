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

    /// @notice The struct hash of a request placed under an offer.
    function hash(Offer memory offer, Request memory request) internal pure returns (bytes32) {
        bytes32 offerHash = keccak256(abi.encode(OFFER_TYPEHASH, offer));
        return keccak256(abi.encode(REQUEST_TYPEHASH, offerHash, request));
    }
}
