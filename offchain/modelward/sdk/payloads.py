"""Inputs and outputs on their way through events: sealed or in clear, inline or by reference."""

from __future__ import annotations

from modelward.content.references import fetch
from modelward.content.store import ContentStore
from modelward.errors import BadInput, CommitmentMismatch, EnvelopeError, KeyNotGranted
from modelward.sdk.connection import Connection
from modelward.sealing.binding import Binding
from modelward.sealing.keys import DecryptionKey
from modelward.sealing.message import INPUT, OUTPUT, open_message, seal_message
from modelward.terms import (
    MAX_INLINE_BYTES,
    Address,
    ModelId,
    Payload,
    RequestId,
    ServiceKey,
)

MAX_REFERENCED_BYTES = 1 << 20
"""Longest input or output that is fetched from a store."""

OUTPUT_EPOCH = 1
"""The key epoch of every output: a reply key serves one request."""


def frame_input(secret: bytes, canonical_input: bytes) -> bytes:
    """What an input says: 32 bytes of secret, the canonical input."""
    return secret + canonical_input


def carry_input(
    connection: Connection, model: ModelId, content: bytes, service_key: ServiceKey | None
) -> bytes:
    """The framed input for an event; sealed to the model's service key if one is given.

    Raises `StoreUnavailable` when it is too long for an event and cannot be stored, `BadInput` when
    it is too long altogether.
    """
    if len(content) > MAX_REFERENCED_BYTES // 2:
        raise BadInput(f"The input has {len(content)} bytes, too many for a request.")
    if service_key is None:
        return carried(content, sealed=False, store=connection.store)
    binding = Binding(
        connection.chain.chain_id, connection.escrow.address, model, service_key.epoch
    )
    message = seal_message(content, service_key.public_key, binding, INPUT)
    return carried(message, sealed=True, store=connection.store)


def seal_output(
    output: bytes, reply_key: bytes, *, chain_id: int, escrow: Address, request: RequestId
) -> bytes:
    """A canonical output sealed to a request's reply key. Raises `InvalidTerms` if it is none."""
    binding = Binding(chain_id, escrow, request, OUTPUT_EPOCH)
    return seal_message(output, reply_key, binding, OUTPUT)


def carried(
    content: bytes, *, sealed: bool, store: ContentStore, inline_only: bool = False
) -> bytes:
    """The frame around content: inline up to `MAX_INLINE_BYTES`, above by reference to `store`.

    Raises `StoreUnavailable` when it cannot be stored.
    """
    inline = Payload(sealed, content).encoded()
    if len(inline) <= MAX_INLINE_BYTES or inline_only:
        return inline
    return Payload(sealed, content_hash=store.put(content), uri=store.url).encoded()


def received(payload: Payload, store: ContentStore) -> bytes:
    """The content of a payload, fetched and checked where it is by reference.

    Raises `StoreUnavailable`, `HashMismatch` or `ContentTooLarge`.
    """
    if payload.content_hash is None:
        return payload.body
    return fetch(payload.content_hash, payload.uri, store, limit=MAX_REFERENCED_BYTES)


def opened_output(
    connection: Connection, request: RequestId, reply_key: bytes, secret: bytes, framed: bytes
) -> bytes:
    """The canonical output of an answer.

    Raises:
        CommitmentMismatch: it is not framed or sealed as an answer should be.
        KeyNotGranted: it is sealed to a key that does not follow from the request's secret.
        StoreUnavailable: it is in a store that does not give it.
    """
    try:
        payload = Payload.decoded(framed)
        content = received(payload, connection.store)
    except BadInput as error:
        raise CommitmentMismatch(f"The answer cannot be opened: {error.message}") from error
    if not payload.sealed:
        return content
    key = DecryptionKey.of_request(secret)
    if key.public != reply_key:
        raise KeyNotGranted("The answer is sealed to a key of its requester's own.")
    binding = Binding(connection.chain.chain_id, connection.escrow.address, request, OUTPUT_EPOCH)
    try:
        return open_message(content, key, binding, OUTPUT)
    except EnvelopeError as error:
        raise CommitmentMismatch(f"The answer cannot be opened: {error.message}") from error
