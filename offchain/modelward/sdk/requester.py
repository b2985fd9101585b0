"""What a requester does: ask for a price, request predictions, wait, check, be refunded."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelward.chain.encoding import to_hex
from modelward.chain.events import InferenceRefunded, InferenceRequested
from modelward.chain.transactions import Call, Receipt
from modelward.commitments import input_hash
from modelward.errors import (
    InsufficientFunds,
    InvalidTerms,
    RpcError,
    RpcUnavailable,
    TimedOut,
    Underpriced,
    UnknownRequest,
    WrongNonce,
)
from modelward.models.manifest import Manifest
from modelward.models.output import output_bytes
from modelward.models.rows import read_row
from modelward.sdk.catalogue import Catalogue, ListedVersion
from modelward.sdk.connection import Connection
from modelward.sdk.history import RequestHistory, read_history
from modelward.sdk.participant import Participant
from modelward.sdk.payloads import carry_input, frame_input
from modelward.sdk.request_book import RequestBook, RequestRecord
from modelward.sdk.result import Progress, Result, read_result, wait_for_result
from modelward.sealing.keys import DecryptionKey
from modelward.sealing.message import MESSAGE_OVERHEAD_BYTES
from modelward.terms import (
    ETH,
    INLINE_ONLY,
    MAX_INLINE_BYTES,
    ZERO_ADDRESS,
    ZERO_HASH,
    Access,
    Offer,
    Quote,
    Request,
    RequestId,
    RequestStatus,
    Right,
    ServiceKey,
    format_amount,
    format_duration,
)

DEFAULT_DELAY = 900
"""Seconds a request may wait unless its requester says otherwise, or the model allows less."""


@dataclass(frozen=True)
class Quotation:
    """What a request for this version would be placed under now.

    `access` says whether the account may place it, and if not, why not. With a `service_key` the
    request is private unless its requester wants it in clear.
    """

    version: ListedVersion
    quote: Quote
    manifest: Manifest
    access: Access
    service_key: ServiceKey | None


@dataclass(frozen=True, slots=True)
class PlacedRequest:
    """A request that is on chain, its fee held in escrow until `deadline` (Unix seconds).

    `private` says whether its input is sealed, and its output will be.
    """

    id: RequestId
    reference: str
    fee: int
    deadline: int
    private: bool
    receipt: Receipt = field(repr=False)


@dataclass(frozen=True, slots=True)
class RequestStanding:
    """A request of this user as it stands; `id` and `block_number` are None if it was not mined."""

    record: RequestRecord
    id: RequestId | None
    status: RequestStatus
    block_number: int | None


class Requester(Participant):
    """Requests predictions and pays for them."""

    # --- requesting ------------------------------------------------------------------------------

    def quote(self, model: str) -> Quotation:
        """Price, terms and input schema of a model version; nothing is sent.

        Raises `UnknownModel`, `UnknownVersion`, `ContractRefused` for a version that is not
        servable, or what reading its manifest raises.
        """
        catalogue = Catalogue(self.connection)
        version = catalogue.version(model)
        quote = self.connection.registry.quote(version.model_id, version.id)
        access = Access.GRANTED
        if not quote.open:
            access = self.connection.data_share.access_of(
                quote.offer.owner, self.address, version.model_id, Right.INFER
            )
        key = self.connection.registry.service_key_of(version.model_id)
        service_key = key if key.epoch else None
        return Quotation(version, quote, catalogue.manifest(version), access, service_key)

    def send(
        self,
        model: str | Quotation,
        input: Any,  # noqa: A002
        *,
        fee: int | None = None,
        max_fee: int | None = None,
        deadline: int | None = None,
        delay: int | None = None,
        worker: str | None = None,
        clear: bool = False,
        progress: Progress | None = None,
    ) -> PlacedRequest:
        """Place a request and wait until it is confirmed; its fee is then held in escrow.

        `model` is a reference, or a quotation got before. `input` is one row: a mapping by feature
        name, a sequence, an array or one-row DataFrame, or the path of a JSON or CSV file. `fee` is
        the price the caller expects and `max_fee` the most it would pay, in wei. The answer must
        come by `deadline`, in Unix seconds, or within `delay` seconds from now; that is how long
        the fee may be held. Secret and input are on disk before anything is sent.

        Of a model with a service key, input and output are sealed: its owner and workers, those who
        may read it, and the requester can open them. Otherwise, and if `clear`, everybody can read
        them on chain. What does not fit an event goes to the content store.

        Raises:
            InvalidInput: the row does not fit the model.
            InvalidTerms: the price is not the one expected, or the deadline cannot be met.
            AccessDenied: no live grant covers the request.
            ContractRefused: the escrow refused; the price may have changed meanwhile.
            InsufficientFunds: the account cannot pay fee and gas.
            RecordUnavailable: the request could not be recorded; nothing was sent.
            RpcUnavailable: the chain failed. If it was sent nevertheless, it is in `list()`.
        """
        connection = self.connection
        offered = self.quote(model) if isinstance(model, str) else model
        version, quote, schema = offered.version, offered.quote, offered.manifest.input
        row = read_row(input, schema) if isinstance(input, Path) else schema.row(input)
        canonical_input = offered.manifest.canonical_input(row)
        _check_payable(connection, quote.offer)
        _check_price(quote.offer.fee, fee, max_fee)
        secret = secrets.token_bytes(32)
        service_key = None if clear else offered.service_key
        request = Request(
            requester=self.address,
            payer=self.address,
            input_hash=input_hash(secret, canonical_input),
            deadline=deadline_of(connection.now(), quote.max_delay, deadline, delay),
            worker=connection.addresses.address(worker) if worker else ZERO_ADDRESS,
            reply_key=DecryptionKey.of_request(secret).public if service_key else ZERO_HASH,
            flags=INLINE_ONLY if _fits_inline(offered.manifest, service_key) else 0,
        )
        payload = carry_input(
            connection, version.model_id, frame_input(secret, canonical_input), service_key
        )
        call = connection.escrow.request(
            version.model_id, version.id, request, payload, value=quote.offer.fee
        )
        record = RequestRecord(
            chain_id=connection.chain.chain_id,
            genesis_hash=connection.chain.genesis_hash,
            escrow=connection.escrow.address,
            model=version.reference,
            offer=quote.offer,
            request=request,
            secret=secret,
            canonical_input=canonical_input,
            transaction_hash=ZERO_HASH,
            written_at=time.time_ns(),
        )
        receipt = self._send_recorded(call, record, progress)
        requested = connection.event_in(receipt, InferenceRequested)
        return PlacedRequest(
            id=requested.request_id,
            reference=version.reference,
            fee=requested.offer.fee,
            deadline=requested.request.deadline,
            private=service_key is not None,
            receipt=receipt,
        )

    # --- results ---------------------------------------------------------------------------------

    def result(self, request: RequestId) -> Result:
        """The result of a request, decoded once its commitment was found to be the one on chain.

        Raises `UnknownRequest`, `NotAnswered`, `RequestRefused`, `CommitmentMismatch` or
        `InvalidOutput`.
        """
        return read_result(self.connection, read_history(self.connection, request))

    def wait(
        self,
        request: RequestId,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
        standing: bool = False,
    ) -> Result:
        """Wait until a request is answered, declined or too late; then as `result`.

        An answer to an exact model is returned while it can be challenged still, if the program on
        chain gives the same (`CheckFailed` if not); `standing` waits until it stands.
        Raises `TimedOut` after `timeout` seconds; nothing is lost by waiting again.
        """
        return wait_for_result(
            self.connection, request, timeout=timeout, progress=progress, standing=standing
        )

    # --- money back ------------------------------------------------------------------------------

    def refund(self, request: RequestId) -> InferenceRefunded:
        """Have the fee of a request nobody answered credited to its payer; anyone may.

        Raises `UnknownRequest`, or `ContractRefused` before the deadline and after the end.
        """
        escrow = self.connection.escrow
        if escrow.request_of(request).status is RequestStatus.NONE:
            raise UnknownRequest(f"The escrow holds no request {to_hex(request)}.")
        receipt = self.connection.send(escrow.refund(request))
        return self.connection.event_in(receipt, InferenceRefunded)

    # --- looking ---------------------------------------------------------------------------------

    def list(self) -> tuple[RequestStanding, ...]:
        """The requests this account placed on this deployment, oldest first."""
        placed = placed_requests(self.connection)
        return tuple(each for each in placed if each.record.request.payer == self.address)

    def history(self, request: RequestId) -> RequestHistory:
        """The confirmed history of any request. Raises `UnknownRequest`."""
        return read_history(self.connection, request)

    # --- internal --------------------------------------------------------------------------------

    def _send_recorded(
        self, call: Call, record: RequestRecord, progress: Progress | None
    ) -> Receipt:
        """Send a request whose record, with the transaction's hash, is on disk before."""
        sender, book = self.connection.sender, self.connection.requests
        with sender.turn():
            signed = sender.prepare(call)
            record = replace(record, transaction_hash=signed.hash)
            book.write(record)
            with _may_be_placed(book, record):
                sender.broadcast(signed)
        if progress is not None:
            progress("waiting for the transaction to be confirmed", to_hex(signed.hash))
        with _may_be_placed(book, record):
            receipt = sender.wait(signed.hash)
        if not receipt.succeeded:
            book.discard(record)
            raise sender.failure(signed, receipt)
        return receipt


@contextmanager
def _may_be_placed(book: RequestBook, record: RequestRecord) -> Iterator[None]:
    """Keep the record of a request that may be on chain, and drop that of one that cannot be."""
    try:
        yield
    except (WrongNonce, Underpriced, InsufficientFunds):
        book.discard(record)
        raise
    except (RpcError, RpcUnavailable, TimedOut) as error:
        error.hint = "`modelward request list` tells whether the request was placed."
        raise


def placed_requests(connection: Connection) -> tuple[RequestStanding, ...]:
    """The requests of all accounts of this user on this deployment, oldest first."""
    records = connection.requests.records(
        genesis_hash=connection.chain.genesis_hash, escrow=connection.escrow.address
    )
    return tuple(_standing(connection, record) for record in records)


def _standing(connection: Connection, record: RequestRecord) -> RequestStanding:
    receipt = connection.receipt(record.transaction_hash)
    if receipt is None or not receipt.succeeded:
        return RequestStanding(record, None, RequestStatus.NONE, None)
    placed = connection.event_in(receipt, InferenceRequested)
    state = connection.escrow.request_of(placed.request_id)
    return RequestStanding(record, placed.request_id, state.status, placed.block_number)


def _fits_inline(manifest: Manifest, service_key: ServiceKey | None) -> bool:
    """Whether the model's outputs fit into an event, sealed if they are to be."""
    overhead = 1 + (MESSAGE_OVERHEAD_BYTES if service_key else 0)
    return output_bytes(manifest.output.score_count) + overhead <= MAX_INLINE_BYTES


def _check_payable(connection: Connection, offer: Offer) -> None:
    if offer.token != ETH:
        raise InvalidTerms(f"The model is paid in the token {offer.token}; this client pays ETH.")
    if offer.verifier not in (ZERO_ADDRESS, connection.deployment.referee.address):
        raise InvalidTerms(
            f"The verifier {offer.verifier} settles its answers, and this client does not know it."
        )


def _check_price(price: int, fee: int | None, max_fee: int | None) -> None:
    if fee is not None and fee != price:
        side = "below" if fee < price else "above"
        raise InvalidTerms(
            f"The fee of {format_amount(fee)} is {side} the price, {format_amount(price)}."
        )
    if max_fee is not None and max_fee < price:
        raise InvalidTerms(
            f"The price, {format_amount(price)}, is above the {format_amount(max_fee)} "
            "you are willing to pay."
        )


def deadline_of(now: int, max_delay: int, deadline: int | None, delay: int | None) -> int:
    """The deadline somebody means, in Unix seconds; see `Requester.send`. Raises `InvalidTerms`."""
    if deadline is not None and delay is not None:
        raise InvalidTerms("Give either a deadline or a delay, not both.")
    if deadline is None:
        deadline = now + (min(DEFAULT_DELAY, max_delay) if delay is None else delay)
    if deadline <= now:
        raise InvalidTerms(f"The deadline passed {format_duration(now - deadline)} ago.")
    if deadline > now + max_delay:
        raise InvalidTerms(
            f"The deadline is {format_duration(deadline - now)} away, "
            f"and requests to this model may wait {format_duration(max_delay)} at most."
        )
    return deadline
