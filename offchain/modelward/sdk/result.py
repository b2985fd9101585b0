"""Results: decoded only after their commitment was recomputed and found on chain."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelward.chain.encoding import to_hex
from modelward.chain.events import InferenceFulfilled, InferenceRefused
from modelward.commitments import commits_to, result_commitment
from modelward.errors import BadInput, CommitmentMismatch, NotAnswered, RequestRefused
from modelward.models.manifest import Manifest
from modelward.models.output import Prediction, decode_output
from modelward.sdk.catalogue import Catalogue, ListedVersion
from modelward.sdk.connection import Connection
from modelward.sdk.history import RequestHistory, opened_input
from modelward.terms import (
    Address,
    RefusalReason,
    RequestId,
    format_amount,
    parse_clear_output,
)


@dataclass(frozen=True)
class Result:
    """An answer whose commitment, recomputed from output and secret, is the one on chain.

    That the model would give this output is a worker's word, unless it is replayed (`verify`).
    """

    request_id: RequestId
    version: ListedVersion = field(repr=False)
    manifest: Manifest = field(repr=False)
    prediction: Prediction
    canonical_output: bytes = field(repr=False)
    commitment: bytes
    worker: Address
    block_number: int
    transaction_hash: bytes
    fee: int


def read_result(connection: Connection, history: RequestHistory) -> Result:
    """The result of a request that was answered.

    Raises:
        NotAnswered: it is open, or its fee was refunded.
        RequestRefused: a worker declined it.
        CommitmentMismatch: the output delivered is not the one committed to.
        InvalidOutput: it is no output of this model.
    """
    fulfilled = require_answer(connection, history)
    output, commitment = check_commitment(connection, history, fulfilled)
    catalogue = Catalogue(connection)
    offer = history.requested.offer
    version = catalogue.version_by_id(offer.model_id, offer.version_id)
    manifest = catalogue.manifest(version)
    return Result(
        request_id=history.id,
        version=version,
        manifest=manifest,
        prediction=decode_output(manifest.output, output),
        canonical_output=output,
        commitment=commitment,
        worker=fulfilled.worker,
        block_number=fulfilled.block_number,
        transaction_hash=fulfilled.transaction_hash,
        fee=offer.fee,
    )


def require_answer(connection: Connection, history: RequestHistory) -> InferenceFulfilled:
    """The event that answered a request. Raises `NotAnswered` or `RequestRefused`."""
    fee = format_amount(history.requested.offer.fee)
    short = to_hex(history.id)
    match history.ending:
        case InferenceFulfilled() as fulfilled:
            return fulfilled
        case None:
            raise NotAnswered(
                f"The request {short} has no answer yet.",
                hint=f"`modelward request show --wait {short}` waits for it.",
            )
        case InferenceRefused(worker=worker, reason=code, payer=payer):
            raise RequestRefused(
                f"The worker {connection.addresses.name(worker)} declined the request: "
                f"{RefusalReason.of(code).sentence.rstrip('.')}.",
                reason=code,
                hint=f"The fee, {fee}, was credited to {connection.addresses.name(payer)}.",
            )
        case refunded:
            raise NotAnswered(
                f"Nobody answered the request {short} in time.",
                hint=f"The fee, {fee}, was credited to "
                f"{connection.addresses.name(refunded.payer)}.",
            )


def check_commitment(
    connection: Connection, history: RequestHistory, fulfilled: InferenceFulfilled
) -> tuple[bytes, bytes]:
    """The canonical output delivered, and its commitment, recomputed and found on chain.

    Raises `CommitmentMismatch`.
    """
    try:
        output = parse_clear_output(fulfilled.output)
    except BadInput as error:
        raise CommitmentMismatch(f"The answer cannot be opened: {error.message}") from error
    secret = opened_input(connection, history).secret
    commitment = result_commitment(history.id, output, secret)
    stored = connection.escrow.request_of(history.id).commitment
    for recorded, where in ((stored, "the escrow"), (fulfilled.commitment, "the answer")):
        if not commits_to(recorded, commitment):
            raise CommitmentMismatch(
                f"The output delivered has the commitment {to_hex(commitment)}, "
                f"but {where} records {to_hex(recorded)}.",
                hint="The worker delivered something other than what it committed to.",
            )
    return output, commitment
