"""Ids and commitments: the Python twin of the hashes the contracts compute.

All hashes are Keccak-256 over the ABI encoding, as in Solidity. `tests/contracts` compares every
one of them with its twin on chain.
"""

from __future__ import annotations

from functools import lru_cache

from eth_abi.abi import encode
from eth_utils.address import is_address, to_canonical_address
from eth_utils.crypto import keccak

from modelward.terms import (
    Address,
    ExactAnswer,
    Metric,
    ModelId,
    Offer,
    Request,
    RequestId,
    SignedGrant,
    Version,
    VersionId,
)

DOMAIN_VERSION = "1"

OFFER_TYPE = (
    "Offer(bytes32 modelId,bytes32 versionId,address owner,address payee,uint16 payeeBps,"
    "address token,uint256 fee,address verifier)"
)
REQUEST_TYPE = (
    "Request(Offer offer,address requester,address payer,address worker,bytes32 inputHash,"
    "bytes32 replyKey,uint40 deadline,uint32 callbackGas,uint8 flags)" + OFFER_TYPE
)
SIGNED_GRANT_TYPE = (
    "SignedGrant(address owner,address grantee,bytes32 resource,uint8 rights,uint40 expiry,"
    "uint24 uses,address meter,uint24 generation,uint64 nonce,uint256 deadline,bytes wrappedKey)"
)
ATTESTATION_TYPE = "Attestation(bytes32 modelId,bytes32 versionId)"
DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"

_OFFER_TYPEHASH = keccak(text=OFFER_TYPE)
_REQUEST_TYPEHASH = keccak(text=REQUEST_TYPE)
_SIGNED_GRANT_TYPEHASH = keccak(text=SIGNED_GRANT_TYPE)
_ATTESTATION_TYPEHASH = keccak(text=ATTESTATION_TYPE)
_DOMAIN_TYPEHASH = keccak(text=DOMAIN_TYPE)

VERSION_ABI = (
    "(bytes32,bytes32,bytes32,bytes32,bytes32,bytes32,address,bytes32,address,"
    "(bytes23,bool,int64)[],string)"
)


def model_id(owner: Address, name: str) -> ModelId:
    """The id of `owner`'s model called `name`: `keccak256(abi.encode(owner, name))`."""
    return ModelId(keccak(encode(["address", "string"], [owner, name])))


def metric_fields(metric: Metric) -> tuple[bytes, bool, int]:
    """A metric as the contracts take it; the name padded to 23 bytes."""
    return metric.name.encode("ascii").ljust(23, b"\0"), metric.higher_is_better, metric.ppm


def version_fields(version: Version) -> tuple[object, ...]:
    """A version as the contracts take it."""
    return (
        version.model_id,
        version.bundle_hash,
        version.content_hash,
        version.manifest_hash,
        version.program_hash,
        version.evaluation_hash,
        version.verifier,
        version.verifier_settings,
        version.attestor,
        [metric_fields(metric) for metric in version.metrics],
        version.uri,
    )


def version_id(version: Version) -> VersionId:
    """The id of a version: `keccak256(abi.encode(version))`."""
    return VersionId(keccak(encode([VERSION_ABI], [version_fields(version)])))


@lru_cache(maxsize=8_192)
def canonical_address(address: str) -> bytes | str:
    """The 20 bytes of an address, which encode at once, where the text has to be checked against
    its checksum each time; whatever is no address is given back."""
    return to_canonical_address(address) if is_address(address) else address


def offer_fields(offer: Offer) -> tuple[object, ...]:
    """An offer as the contracts take it."""
    return (
        offer.model_id,
        offer.version_id,
        canonical_address(offer.owner),
        canonical_address(offer.payee),
        offer.payee_bps,
        canonical_address(offer.token),
        offer.fee,
        canonical_address(offer.verifier),
    )


def query_fields(request: Request) -> tuple[object, ...]:
    """What a requester chooses, as the contracts take it."""
    return (
        canonical_address(request.worker),
        request.input_hash,
        request.reply_key,
        request.deadline,
        request.callback_gas,
        request.flags,
    )


def request_fields(request: Request) -> tuple[object, ...]:
    """A request as the contracts take it, its query nested."""
    return (*_parties(request), query_fields(request))


def _parties(request: Request) -> tuple[object, object]:
    return canonical_address(request.requester), canonical_address(request.payer)


@lru_cache(maxsize=64)
def domain_separator(name: str, *, chain_id: int, contract: Address) -> bytes:
    """The EIP-712 domain of one of our contracts: `name` is the contract's, the version is 1."""
    return keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [
                _DOMAIN_TYPEHASH,
                keccak(text=f"modelward {name}"),
                keccak(text=DOMAIN_VERSION),
                chain_id,
                contract,
            ],
        )
    )


def typed_data_digest(domain: bytes, struct_hash: bytes) -> bytes:
    """What is signed: the EIP-712 digest of a struct in a domain."""
    return keccak(b"\x19\x01" + domain + struct_hash)


@lru_cache(maxsize=256)
def offer_hash(offer: Offer) -> bytes:
    """The EIP-712 struct hash of an offer."""
    types = ["bytes32"] * 3 + ["address", "address", "uint16", "address", "uint256", "address"]
    return keccak(encode(types, [_OFFER_TYPEHASH, *offer_fields(offer)]))


def request_id(offer: Offer, request: Request, *, chain_id: int, escrow: Address) -> RequestId:
    """The id of a request: its EIP-712 digest in the domain of this escrow on this chain."""
    domain = domain_separator("InferenceEscrow", chain_id=chain_id, contract=escrow)
    types = ["bytes32", "bytes32", "address", "address"]
    types += ["address", "bytes32", "bytes32", "uint40", "uint32", "uint8"]
    fields = [*_parties(request), *query_fields(request)]
    struct = keccak(encode(types, [_REQUEST_TYPEHASH, offer_hash(offer), *fields]))
    return RequestId(typed_data_digest(domain, struct))


def signed_grant_digest(
    signed: SignedGrant, wrapped_key: bytes, *, chain_id: int, data_share: Address
) -> bytes:
    """What an owner signs to grant off chain, in the domain of this DataShare on this chain."""
    terms = signed.terms
    types = ["bytes32", "address", "address", "bytes32", "uint8", "uint40", "uint24", "address"]
    types += ["uint24", "uint64", "uint256", "bytes32"]
    fields = [
        _SIGNED_GRANT_TYPEHASH,
        signed.owner,
        signed.grantee,
        signed.resource,
        int(terms.rights),
        terms.expiry,
        terms.uses,
        terms.meter,
        signed.generation,
        signed.nonce,
        signed.deadline,
        keccak(wrapped_key),
    ]
    domain = domain_separator("DataShare", chain_id=chain_id, contract=data_share)
    return typed_data_digest(domain, keccak(encode(types, fields)))


def attestation_digest(
    model: ModelId, version: VersionId, *, chain_id: int, registry: Address
) -> bytes:
    """What an evaluator signs to vouch for a version's metrics."""
    struct = encode(["bytes32"] * 3, [_ATTESTATION_TYPEHASH, model, version])
    domain = domain_separator("ModelRegistry", chain_id=chain_id, contract=registry)
    return typed_data_digest(domain, keccak(struct))


def input_hash(secret: bytes, canonical_input: bytes) -> bytes:
    """What a request commits its input with: `keccak256(abi.encode(secret, canonicalInput))`.

    `secret` is 32 random bytes that the requester never uses twice; without it a small input could
    be found by trying.
    """
    return keccak(encode(["bytes32", "bytes"], [secret, canonical_input]))


def result_salt(secret: bytes) -> bytes:
    """The salt of the result's commitment: `keccak256(abi.encode(secret, "result"))`."""
    return keccak(encode(["bytes32", "string"], [secret, "result"]))


def result_commitment(request: RequestId, canonical_output: bytes, secret: bytes) -> bytes:
    """The one commitment to `canonical_output` as the answer to `request`.

    `keccak256(abi.encode(requestId, canonicalOutput, resultSalt))`: the worker chooses nothing in
    it, so who holds the secret can recompute it, and nobody else can guess the output from it.
    """
    return keccak(
        encode(["bytes32", "bytes", "bytes32"], [request, canonical_output, result_salt(secret)])
    )


def exact_answer_hash(answer: ExactAnswer) -> bytes:
    """What the ExactReferee keeps of an answer: `keccak256(abi.encode(answer))`."""
    return keccak(
        encode(
            ["(address,uint40,uint128,bytes32,bytes32,bytes)"],
            [
                (
                    answer.worker,
                    answer.settle_after,
                    answer.bond,
                    answer.commitment,
                    answer.result_salt,
                    answer.output,
                )
            ],
        )
    )


def commits_to(recorded: bytes, commitment: bytes) -> bool:
    """Whether a recorded commitment (31 or 32 bytes) is this one."""
    return len(recorded) in (31, 32) and commitment[: len(recorded)] == recorded
