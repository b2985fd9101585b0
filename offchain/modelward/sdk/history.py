"""What happened to a request, read from the chain and checked against the request's own id."""

from __future__ import annotations

from dataclasses import dataclass

from modelward.chain.encoding import to_hex
from modelward.chain.events import (
    InferenceCorrected,
    InferenceFulfilled,
    InferenceHeld,
    InferenceRefunded,
    InferenceRefused,
    InferenceRequested,
)
from modelward.commitments import input_hash, request_id
from modelward.errors import CheckFailed, UnknownRequest
from modelward.sdk.connection import Connection
from modelward.sdk.payloads import received
from modelward.terms import ClearInput, Payload, RequestId, split_input

Ending = InferenceFulfilled | InferenceCorrected | InferenceRefused | InferenceRefunded


@dataclass(frozen=True, slots=True)
class RequestHistory:
    """A request as placed, whether its verifier held it, and what ended it; None while pending."""

    requested: InferenceRequested
    held: InferenceHeld | None
    ending: Ending | None

    @property
    def id(self) -> RequestId:
        """The request's id."""
        return self.requested.request_id


def read_history(connection: Connection, request: RequestId) -> RequestHistory:
    """The confirmed history of a request.

    Raises:
        UnknownRequest: no such request was placed, or its block is not confirmed yet.
        CheckFailed: the terms shown are not those the id stands for.
    """
    events = connection.events(
        InferenceRequested,
        InferenceHeld,
        InferenceFulfilled,
        InferenceCorrected,
        InferenceRefused,
        InferenceRefunded,
        about=[request],
    )
    requested = next((event for event in events if isinstance(event, InferenceRequested)), None)
    if requested is None:
        raise UnknownRequest(
            f"No request {to_hex(request)} was placed on {connection.network.name!r}."
        )
    recomputed = request_id(
        requested.offer,
        requested.request,
        chain_id=connection.chain.chain_id,
        escrow=connection.escrow.address,
    )
    if recomputed != request:
        raise CheckFailed(
            f"The terms shown for the request {to_hex(request)} have the id {to_hex(recomputed)}."
        )
    return RequestHistory(
        requested=requested,
        held=next((event for event in events if isinstance(event, InferenceHeld)), None),
        ending=next((event for event in events if isinstance(event, Ending)), None),
    )


def opened_input(connection: Connection, history: RequestHistory) -> ClearInput:
    """The input and secret of a request: as sent in clear, else from its requester's own book,
    else unsealed with a key of the account's.

    Raises:
        CheckFailed: they are not what the request commits to, or do not open.
        BadInput: they are not framed as an input is.
        KeyNotGranted: they are sealed, and neither did this user place the request, nor was the
            account given the model's key.
        StoreUnavailable: they are in a store that does not give them.
    """
    requested = history.requested
    pinned = requested.request.input_hash
    payload = Payload.decoded(requested.input)
    kept = payload.sealed or payload.content_hash is not None
    record = connection.requests.get(pinned) if kept else None
    if record is not None:
        opened = ClearInput(record.secret, record.canonical_input)
    else:
        content = received(payload, connection.store)
        if payload.sealed:
            content = connection.keyring.open_input(
                requested.offer.owner, requested.offer.model_id, content
            )
        opened = split_input(content)
    actual = input_hash(opened.secret, opened.canonical_input)
    if actual != pinned:
        raise CheckFailed(
            f"The input in the request {to_hex(history.id)} has the hash {to_hex(actual)}, "
            f"and the request commits to {to_hex(pinned)}."
        )
    return opened
