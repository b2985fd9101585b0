"""Execution: from the inputs of requests and the bundle they pin to answers.

Every check of what strangers wrote comes before its use: the input against its hash, the version
against its id, the bundle against its hash, all before anything parses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from modelward.commitments import input_hash, result_commitment, result_salt
from modelward.content.store import ContentStore
from modelward.errors import (
    BadInput,
    ContentTooLarge,
    EnvelopeError,
    HashMismatch,
    InvalidBundle,
    InvalidInput,
    InvalidTerms,
    KeyNotGranted,
    ModelwardError,
    PredictionAborted,
    RpcError,
    RpcUnavailable,
    SandboxUnavailable,
    StoreUnavailable,
)
from modelward.journal import Fulfilment, Job, Refusal
from modelward.models.bundle import MAX_BUNDLE_BYTES
from modelward.models.exact.program import Encoding
from modelward.models.sandbox import Sandbox
from modelward.models.schema import FLOAT_ROW_TAG, TEXT_ROW_TAG
from modelward.sdk.content_source import ContentSource
from modelward.sdk.gateway_client import PublishedContent
from modelward.sdk.keyring import Keyring
from modelward.sdk.payloads import carried, received, seal_output
from modelward.terms import (
    INLINE_ONLY,
    MAX_OUTPUT_BYTES,
    ZERO_HASH,
    Address,
    ClearInput,
    Payload,
    RefusalReason,
    Version,
    split_input,
)
from modelward.worker.versions import VersionReader

MAX_STORED_BYTES = MAX_BUNDLE_BYTES + (MAX_BUNDLE_BYTES >> 12) + 4096
"""Longest stored bundle: an envelope is slightly longer than what it holds."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """No answer now, for a reason that is not the request's and can pass."""

    error: ModelwardError


@dataclass(frozen=True, slots=True)
class Interrupted:
    """No answer yet: the process that was to predict broke, at this request or at one before it."""

    error: PredictionAborted
    culprit: bool


Outcome = Fulfilment | Refusal | Postponed | Interrupted
"""What came of a request."""

_PASSING = (RpcUnavailable, RpcError, SandboxUnavailable, StoreUnavailable, KeyNotGranted)


class _Declined(Exception):
    """A refusal on its way up. What models and schemas say of an input may quote it, so it is no
    part of the detail, which is logged."""

    def __init__(self, reason: RefusalReason, detail: str | None = None) -> None:
        super().__init__(reason.name)
        self.refusal = Refusal(reason, detail or reason.sentence)


class AnswerDelayed(StoreUnavailable):
    """A content store is in the way of an answer; `reason` is why to refuse if it stays so."""

    def __init__(self, reason: RefusalReason, cause: StoreUnavailable) -> None:
        super().__init__(cause.message)
        self.reason = reason


@contextmanager
def _waiting_for(reason: RefusalReason) -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as error:
        raise AnswerDelayed(reason, error) from error


class Execution:
    """Computes answers. Bundles come from `source`, inputs by reference from `store`.

    Several threads may use it, each with a sandbox of its own.
    """

    def __init__(
        self,
        versions: VersionReader,
        store: ContentStore,
        source: ContentSource,
        keyring: Keyring,
        *,
        chain_id: int,
        escrow: Address,
    ) -> None:
        self._versions = versions
        self._store = store
        self._source = source
        self._keyring = keyring
        self._chain_id = chain_id
        self._escrow = escrow

    def answer(self, jobs: Sequence[Job], sandbox: Sandbox) -> list[Outcome]:
        """What comes of each of these requests for one version, in their order; raises nothing.

        They are one batch for the sandbox. One that breaks it interrupts those after it.
        """
        inputs: dict[int, ClearInput] = {}
        outcomes: dict[int, Outcome] = {}
        for position, job in enumerate(jobs):
            try:
                inputs[position] = self._read_input(job)
            except _Declined as declined:
                outcomes[position] = declined.refusal
            except _PASSING as error:
                outcomes[position] = Postponed(error)
        if inputs:
            rows = [clear.canonical_input for clear in inputs.values()]
            predicted = self._predict(jobs[0], rows, sandbox)
            for (position, clear), output in zip(inputs.items(), predicted, strict=True):
                outcomes[position] = self._outcome(jobs[position], clear, output)
        return [outcomes[position] for position in range(len(jobs))]

    def _outcome(self, job: Job, clear: ClearInput, canonical_output: bytes | Outcome) -> Outcome:
        if not isinstance(canonical_output, bytes):
            return canonical_output
        try:
            return self._fulfilment(job, clear, canonical_output)
        except _Declined as declined:
            return declined.refusal
        except _PASSING as error:
            return Postponed(error)

    def _fulfilment(self, job: Job, clear: ClearInput, canonical_output: bytes) -> Fulfilment:
        output = self._framed(job, canonical_output)
        if len(output) > MAX_OUTPUT_BYTES:
            raise _Declined(
                RefusalReason.OUTPUT_TOO_LONG,
                f"The output has {len(output)} bytes, an answer {MAX_OUTPUT_BYTES} at most.",
            )
        commitment = result_commitment(job.request_id, canonical_output, clear.secret)
        return Fulfilment(output, commitment, result_salt(clear.secret))

    def _read_input(self, job: Job) -> ClearInput:
        """The input, opened and checked against the request's hash."""
        request = job.request
        try:
            payload = Payload.decoded(job.placement.input)
            with _waiting_for(RefusalReason.INPUT_UNAVAILABLE):
                content = received(payload, self._store)
            if payload.sealed:
                offer = job.offer
                content = self._keyring.open_input(offer.owner, offer.model_id, content)
            clear = split_input(content)
        except (BadInput, EnvelopeError) as error:
            raise _Declined(RefusalReason.INPUT_MALFORMED) from error
        except HashMismatch as error:
            raise _Declined(RefusalReason.INPUT_UNAVAILABLE) from error
        if input_hash(clear.secret, clear.canonical_input) != request.input_hash:
            raise _Declined(RefusalReason.INPUT_HASH_MISMATCH)
        return clear

    def _framed(self, job: Job, canonical_output: bytes) -> bytes:
        """The output as its requester wants it: sealed if there is a reply key."""
        request, content = job.request, canonical_output
        if request.reply_key != ZERO_HASH:
            try:
                content = seal_output(
                    canonical_output,
                    request.reply_key,
                    chain_id=self._chain_id,
                    escrow=self._escrow,
                    request=job.request_id,
                )
            except InvalidTerms as error:
                raise _Declined(RefusalReason.MODE_UNSUPPORTED, error.message) from error
        with _waiting_for(RefusalReason.UNSPECIFIED):
            return carried(
                content,
                sealed=request.reply_key != ZERO_HASH,
                store=self._store,
                inline_only=bool(request.flags & INLINE_ONLY or request.callback_gas),
            )

    def _predict(
        self, job: Job, rows: Sequence[bytes], sandbox: Sandbox
    ) -> Sequence[bytes | Outcome]:
        """The canonical output for each row of the version `job` pins, or what came instead."""
        offer = job.offer
        try:
            version = self._versions.version(offer.model_id, offer.version_id)
            if not sandbox.holds(version.bundle_hash, version.manifest_hash):
                self._open(offer.owner, version, sandbox)
        except _Declined as declined:
            return [declined.refusal] * len(rows)
        except _PASSING as error:
            return [Postponed(error)] * len(rows)
        predicted = sandbox.predict_each(version.bundle_hash, rows)
        outcomes = [_judged(*pair) for pair in zip(rows, predicted, strict=False)]
        if isinstance(last := predicted[-1], PredictionAborted):
            untried = len(rows) - len(predicted)
            outcomes += [Interrupted(last, culprit=False)] * untried
        return outcomes

    def _open(self, owner: Address, version: Version, sandbox: Sandbox) -> None:
        stored = self._fetch(owner, version)
        try:
            data = self._keyring.open_bundle(owner, version, stored)
            sandbox.open(data, version.bundle_hash, version.manifest_hash)
        except (InvalidBundle, HashMismatch, EnvelopeError, PredictionAborted) as error:
            raise _Declined(RefusalReason.BUNDLE_INVALID, error.message) from error

    def _fetch(self, owner: Address, version: Version) -> bytes:
        """The bundle from the first place that gives it.

        When every place answers, and with something else, the bundle is invalid; as long as one
        does not answer, it is unavailable.
        """
        content = PublishedContent(owner, version.model_id, version.content_hash, version.uri)
        try:
            with _waiting_for(RefusalReason.BUNDLE_UNAVAILABLE):
                return self._source.get(content, limit=MAX_STORED_BYTES)
        except (HashMismatch, ContentTooLarge) as error:
            raise _Declined(RefusalReason.BUNDLE_INVALID, error.message) from error


def _judged(row: bytes, predicted: bytes | BadInput) -> bytes | Outcome:
    """What the sandbox made of a row, in terms of its request."""
    match predicted:
        case bytes():
            return predicted
        case PredictionAborted(timed_out=True):
            return Refusal(RefusalReason.PREDICTION_FAILED, predicted.message)
        case PredictionAborted():
            return Interrupted(predicted, culprit=True)
        case InvalidInput():
            reason = _input_fault(row)
        case _:
            reason = RefusalReason.PREDICTION_FAILED
    return Refusal(reason, reason.sentence)


def _input_fault(canonical_input: bytes) -> RefusalReason:
    """Why an input was not accepted: it is no row at all, or not one of this model's."""
    width = _ROW_WIDTHS.get(canonical_input[:1])
    row = width is not None and (len(canonical_input) - 1) % width == 0
    return RefusalReason.INPUT_OUT_OF_SCHEMA if row else RefusalReason.INPUT_MALFORMED


_ROW_WIDTHS = {bytes([FLOAT_ROW_TAG]): 8, bytes([TEXT_ROW_TAG]): 1} | {
    bytes([encoding]): encoding.width for encoding in Encoding
}
"""Bytes a feature takes, by the tag of the canonical input; a text takes any number."""
