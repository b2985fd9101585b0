"""Results: decoded only after their commitment was recomputed and found on chain.

An answer to an exact model is one already while it can be challenged, if the program on chain gives
the same: nothing a challenge could change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from modelward.chain.encoding import to_hex
from modelward.chain.events import (
    AnswerPosted,
    InferenceCorrected,
    InferenceFulfilled,
    InferenceRefused,
)
from modelward.commitments import commits_to, result_commitment
from modelward.errors import (
    CheckFailed,
    CommitmentMismatch,
    InvalidTerms,
    NotAnswered,
    NotDeployed,
    RequestRefused,
    TimedOut,
)
from modelward.models.manifest import Manifest
from modelward.models.output import Prediction, decode_output
from modelward.sdk.catalogue import Catalogue, ListedVersion
from modelward.sdk.connection import Connection
from modelward.sdk.disputes import judged, pending_answer
from modelward.sdk.history import RequestHistory, opened_input, read_history
from modelward.sdk.payloads import opened_output
from modelward.terms import (
    Address,
    ExactAnswer,
    RefusalReason,
    RequestId,
    format_duration,
    format_fee,
)

Answered = InferenceFulfilled | InferenceCorrected
"""What delivers an output: a worker's answer, or a verifier's correction of one."""

Progress = Callable[[str, str], None]
"""Told how far a request has come: the stage it is at, and what may change within the stage."""


@dataclass(frozen=True)
class Result:
    """An answer whose commitment, recomputed from output and secret, is the one on chain.

    That the model would give this output is a worker's word, unless it is replayed (`verify`), was
    corrected by a verifier, when there is no `worker`, or is examined by one still: then it can be
    accepted up to `pending_until`, and is what the program on chain gives, bit for bit.
    """

    request_id: RequestId
    version: ListedVersion = field(repr=False)
    manifest: Manifest = field(repr=False)
    prediction: Prediction
    canonical_output: bytes = field(repr=False)
    commitment: bytes
    worker: Address | None
    block_number: int
    transaction_hash: bytes
    token: Address
    fee: int
    pending_until: int | None = None

    @property
    def pending(self) -> bool:
        """Whether the answer can be challenged, or accepted, still."""
        return self.pending_until is not None


def read_result(connection: Connection, history: RequestHistory) -> Result:
    """The result of a request that was answered.

    Raises:
        NotAnswered: it is open, or its fee was refunded.
        RequestRefused: a worker declined it.
        CommitmentMismatch: the output delivered is not the one committed to.
        KeyNotGranted: it is sealed, and the account has no key to it.
        InvalidOutput: it is no output of this model.
    """
    answered = require_answer(connection, history)
    output, commitment = check_commitment(connection, history, answered)
    return _result(connection, history, answered, output, commitment)


def read_examined(connection: Connection, history: RequestHistory, posted: AnswerPosted) -> Result:
    """The result in an answer under examination, which the program on chain gives as well.

    Raises as `read_result`, and `CheckFailed` for a wrong answer.
    """
    output, commitment = check_examined(connection, history, posted.answer)
    if not judged(connection, history, posted, opened_input(connection, history)).right:
        raise CheckFailed(
            "The program on chain does not give the answer that was posted.",
            hint=f"`modelward request challenge {to_hex(history.id)}` has it put right.",
        )
    return _result(connection, history, posted, output, commitment)


def _result(
    connection: Connection,
    history: RequestHistory,
    answered: Answered | AnswerPosted,
    output: bytes,
    commitment: bytes,
) -> Result:
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
        worker=None if isinstance(answered, InferenceCorrected) else answered.worker,
        block_number=answered.block_number,
        transaction_hash=answered.transaction_hash,
        token=offer.token,
        fee=offer.fee,
        pending_until=(
            answered.answer.settle_after if isinstance(answered, AnswerPosted) else None
        ),
    )


def wait_for_result(
    connection: Connection,
    request: RequestId,
    *,
    timeout: float | None = None,
    progress: Progress | None = None,
    standing: bool = False,
) -> Result:
    """Wait until a request is answered, declined or too late; then as `read_result`.

    An answer under examination is one, as of `read_examined`; `standing` waits until it stands.
    Raises `TimedOut` after `timeout` seconds; nothing is lost by waiting again.
    """
    give_up = None if timeout is None else time.monotonic() + timeout
    read_history(connection, request)
    while True:
        state = connection.escrow.request_of(request)
        if not state.status.pending:
            history = read_history(connection, request)
            if history.ending is not None:
                return read_result(connection, history)
            _tell(progress, "the request has ended", "waiting for confirmations")
        else:
            left = state.deadline - connection.now()
            if left < 0:
                raise NotAnswered(
                    f"Nobody answered the request {to_hex(request)} by its deadline.",
                    hint=f"`modelward request refund {to_hex(request)}` returns the fee.",
                )
            held = state.status.held
            if held and not standing:
                history = read_history(connection, request)
                if history.ending is None and (posted := _examined(connection, history)):
                    return read_examined(connection, history, posted)
            stage = "an answer can be challenged" if held else "waiting for a worker"
            _tell(progress, stage, f"{format_duration(left)} left")
        if give_up is not None and time.monotonic() >= give_up:
            raise TimedOut(
                f"The request {to_hex(request)} was not answered within {timeout:g} s.",
                hint=f"`modelward request show --wait {to_hex(request)}` waits on.",
            )
        time.sleep(connection.network.poll_interval)


def _examined(connection: Connection, history: RequestHistory) -> AnswerPosted | None:
    """The answer that the referee examines, once it is confirmed; None before another verifier."""
    try:
        return pending_answer(connection, history)
    except (NotAnswered, NotDeployed, InvalidTerms):
        return None


def _tell(progress: Progress | None, stage: str, detail: str) -> None:
    if progress is not None:
        progress(stage, detail)


def require_answer(connection: Connection, history: RequestHistory) -> Answered:
    """The event that answered a request. Raises `NotAnswered` or `RequestRefused`."""
    offer = history.requested.offer
    fee = format_fee(offer.fee, offer.token)
    short = to_hex(history.id)
    match history.ending:
        case InferenceFulfilled() | InferenceCorrected() as answered:
            return answered
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


def check_examined(
    connection: Connection, history: RequestHistory, answer: ExactAnswer
) -> tuple[bytes, bytes]:
    """The canonical output of an answer under examination, and its commitment, recomputed.

    Raises as `check_commitment`.
    """
    secret = opened_input(connection, history).secret
    reply_key = history.requested.request.reply_key
    output = opened_output(connection, history.id, reply_key, secret, answer.output)
    commitment = result_commitment(history.id, output, secret)
    if answer.commitment != commitment:
        raise CommitmentMismatch(
            f"The output posted has the commitment {to_hex(commitment)}, "
            f"but the worker committed to {to_hex(answer.commitment)}.",
            hint="It can be challenged.",
        )
    return output, commitment


def check_commitment(
    connection: Connection, history: RequestHistory, answered: Answered
) -> tuple[bytes, bytes]:
    """The canonical output delivered, and its commitment, recomputed and found on chain.

    Raises `CommitmentMismatch`, `KeyNotGranted`, or what opening the input raises.
    """
    secret = opened_input(connection, history).secret
    reply_key = history.requested.request.reply_key
    output = opened_output(connection, history.id, reply_key, secret, answered.output)
    commitment = result_commitment(history.id, output, secret)
    stored = connection.escrow.request_of(history.id).commitment
    for recorded, where in ((stored, "the escrow"), (answered.commitment, "the answer")):
        if not commits_to(recorded, commitment):
            raise CommitmentMismatch(
                f"The output delivered has the commitment {to_hex(commitment)}, "
                f"but {where} records {to_hex(recorded)}.",
                hint="The worker delivered something other than what it committed to.",
            )
    return output, commitment
