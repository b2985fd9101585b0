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
from modelward.errors import BadInput, CheckFailed, UnknownRequest
from modelward.sdk.connection import Connection
from modelward.terms import ClearInput, RequestId, parse_clear_input

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
    """The input and secret of a request: as sent in clear, else from its requester's own book.

    Raises:
        CheckFailed: they are not what the request commits to.
        BadInput: they are not in clear, and this user did not place the request.
    """
    pinned = history.requested.request.input_hash
    try:
        opened = parse_clear_input(history.requested.input)
    except BadInput:
        record = connection.requests.get(pinned)
        if record is None:
            raise
        opened = ClearInput(record.secret, record.canonical_input)
    actual = input_hash(opened.secret, opened.canonical_input)
    if actual != pinned:
        raise CheckFailed(
            f"The input in the request {to_hex(history.id)} has the hash {to_hex(actual)}, "
            f"and the request commits to {to_hex(pinned)}."
        )
    return opened
