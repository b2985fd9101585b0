"""Terms as bytes: ABI-encoded, as the contracts encode them."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import ColumnElement, LargeBinary, func

from modelward.abi_codec import decode, encode
from modelward.commitments import offer_fields, request_fields
from modelward.terms import Address, ModelId, Offer, Request, VersionId

OFFER_ABI = ("bytes32", "bytes32", "address", "address", "uint16", "address", "uint256", "address")
QUERY_ABI = "(address,bytes32,bytes32,uint40,uint32,uint8)"
REQUEST_ABI = ("address", "address", QUERY_ABI)


@lru_cache(maxsize=256)
def encode_offer(offer: Offer) -> bytes:
    """An offer as bytes."""
    return encode(OFFER_ABI, offer_fields(offer))


@lru_cache(maxsize=256)
def decode_offer(data: bytes) -> Offer:
    """Inverse of `encode_offer`."""
    model_id, version_id, owner, payee, payee_bps, token, fee, verifier = decode(OFFER_ABI, data)
    return Offer(
        model_id=ModelId(model_id),
        version_id=VersionId(version_id),
        owner=Address(owner),
        payee=Address(payee),
        payee_bps=payee_bps,
        token=Address(token),
        fee=fee,
        verifier=Address(verifier),
    )


def version_in(offer: ColumnElement[bytes]) -> ColumnElement[bytes]:
    """The version's id in a column of offers, as the database cuts it out."""
    return func.substr(offer, 33, 32, type_=LargeBinary)


def verifier_in(offer: ColumnElement[bytes]) -> ColumnElement[bytes]:
    """The 20 bytes of the verifier's address in a column of offers."""
    return func.substr(offer, 237, 20, type_=LargeBinary)


def requester_in(request: ColumnElement[bytes]) -> ColumnElement[bytes]:
    """The 20 bytes of the requester in a column of requests, as the database cuts them out."""
    return func.substr(request, 13, 20, type_=LargeBinary)


def encode_request(request: Request) -> bytes:
    """A request's terms as bytes."""
    return encode(REQUEST_ABI, request_fields(request))


@lru_cache(maxsize=4_096)
def decode_request(data: bytes) -> Request:
    """Inverse of `encode_request`."""
    requester, payer, query = decode(REQUEST_ABI, data)
    worker, input_hash, reply_key, deadline, callback_gas, flags = query
    return Request(
        requester=Address(requester),
        payer=Address(payer),
        worker=Address(worker),
        input_hash=input_hash,
        reply_key=reply_key,
        deadline=deadline,
        callback_gas=callback_gas,
        flags=flags,
    )
