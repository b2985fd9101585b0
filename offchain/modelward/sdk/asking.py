"""What a contract is handed to request a prediction: it holds no secret and seals nothing."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from modelward.commitments import input_hash, result_salt
from modelward.sdk.connection import Connection
from modelward.sdk.payloads import carry_input, frame_input
from modelward.sdk.requester import Quotation, Requester, deadline_of
from modelward.terms import ETH, ZERO_ADDRESS, ZERO_HASH, Ask

MAX_CALLBACK_GAS = 1_000_000


@dataclass(frozen=True, slots=True)
class PreparedAsk:
    """What a `PredictionConsumer` asks with: its terms, and the framed input.

    Who keeps the `secret` can tell the one commitment that the answer can have. Every secret is for
    one request.
    """

    ask: Ask
    input: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    canonical_input: bytes = field(repr=False)

    @property
    def value(self) -> int:
        """The wei to send along, where the caller pays: the price, unless it is in a token."""
        return self.ask.max_fee if self.ask.token == ETH else 0

    @property
    def result_salt(self) -> bytes:
        """What `deliver` takes beside the output."""
        return result_salt(self.secret)


def prepare_ask(
    connection: Connection,
    model: str | Quotation,
    row: Any,
    *,
    delay: int | None = None,
    usable_for: int | None = None,
    callback_gas: int = MAX_CALLBACK_GAS,
    worker: str | None = None,
    context: bytes = ZERO_HASH,
    clear: bool = False,
) -> PreparedAsk:
    """Prepare a request for a contract to place; nothing is sent.

    `model` and `row` are as for `Requester.send`. The answer must come within `delay` seconds and
    is used within `usable_for`, as long unless given. The input is sealed if the model has a
    service key, unless `clear`; the answer to a contract is in clear in any case.

    Raises as `Requester.quote`, and `InvalidInput` or `InvalidTerms`.
    """
    offered = Requester(connection).quote(model) if isinstance(model, str) else model
    offer = offered.quote.offer
    canonical_input = offered.manifest.canonical_input(offered.manifest.input.row(row))
    secret = secrets.token_bytes(32)
    now = connection.now()
    deadline = deadline_of(now, offered.quote.max_delay, None, delay)
    framed = carry_input(
        connection,
        offer.model_id,
        frame_input(secret, canonical_input),
        None if clear else offered.service_key,
    )
    ask = Ask(
        model_id=offer.model_id,
        version_id=offer.version_id,
        input_hash=input_hash(secret, canonical_input),
        max_fee=offer.fee,
        deadline=deadline,
        usable_until=deadline if usable_for is None else now + usable_for,
        callback_gas=callback_gas,
        worker=connection.addresses.address(worker) if worker else ZERO_ADDRESS,
        token=offer.token,
        context=context,
    )
    return PreparedAsk(ask, framed, secret, canonical_input)
