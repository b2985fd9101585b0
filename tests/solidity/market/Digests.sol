// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {SignedGrant} from "../../../contracts/interfaces/IDataShare.sol";
import {Query, Request} from "../../../contracts/interfaces/IInferenceEscrow.sol";
import {Offer} from "../../../contracts/interfaces/IModelRegistry.sol";

/// @notice The EIP-712 digests of the three contracts, computed a second time and the plain way.
library Digests {
    string private constant OFFER =
        "Offer(bytes32 modelId,bytes32 versionId,address owner,address payee,uint16 payeeBps,address token,uint256 fee,address verifier)";
    string private constant REQUEST =
        "Request(Offer offer,address requester,address payer,address worker,bytes32 inputHash,bytes32 replyKey,uint40 deadline,uint32 callbackGas,uint8 flags)";
    string private constant SIGNED_GRANT =
        "SignedGrant(address owner,address grantee,bytes32 resource,uint8 rights,uint40 expiry,uint24 uses,address meter,uint24 generation,uint64 nonce,uint256 deadline,bytes wrappedKey)";
    string private constant ATTESTATION = "Attestation(bytes32 modelId,bytes32 versionId)";

    function ofRequest(address escrow, Offer memory offer, Request memory request) internal view returns (bytes32) {
        bytes32 offerHash = keccak256(
            bytes.concat(
                abi.encode(keccak256(bytes(OFFER)), offer.modelId, offer.versionId, offer.owner, offer.payee),
                abi.encode(offer.payeeBps, offer.token, offer.fee, offer.verifier)
            )
        );
        Query memory query = request.query;
        bytes32 requestHash = keccak256(
            bytes.concat(
                abi.encode(keccak256(bytes(string.concat(REQUEST, OFFER))), offerHash, request.requester, request.payer),
                abi.encode(query.worker, query.inputHash, query.replyKey, query.deadline, query.callbackGas, query.flags)
            )
        );
        return _digest("modelward InferenceEscrow", escrow, requestHash);
    }

    function ofGrant(address dataShare, SignedGrant memory grant, bytes memory wrappedKey)
        internal
        view
        returns (bytes32)
    {
        bytes32 grantHash = keccak256(
            bytes.concat(
                abi.encode(keccak256(bytes(SIGNED_GRANT)), grant.owner, grant.grantee, grant.resource),
                abi.encode(grant.terms.rights, grant.terms.expiry, grant.terms.uses, grant.terms.meter),
                abi.encode(grant.generation, grant.nonce, grant.deadline, keccak256(wrappedKey))
            )
        );
        return _digest("modelward DataShare", dataShare, grantHash);
    }

    function ofAttestation(address registry, bytes32 modelId, bytes32 versionId) internal view returns (bytes32) {
        bytes32 attestationHash = keccak256(abi.encode(keccak256(bytes(ATTESTATION)), modelId, versionId));
        return _digest("modelward ModelRegistry", registry, attestationHash);
    }

    /// @dev The one valid commitment to an output.
    function ofResult(bytes32 id, bytes memory output, bytes32 salt) internal pure returns (bytes32) {
        return keccak256(abi.encode(id, output, salt));
    }

    function _digest(string memory name, address verifyingContract, bytes32 structHash) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                block.chainid,
                verifyingContract
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
