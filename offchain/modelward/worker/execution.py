"""Execution: from a request's input and the pinned bundle to an answer.

Every check of what strangers wrote comes before its use: the input against its hash, the version
against its id, the bundle against its hash, all before anything parses them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

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
    PredictionAborted,
    PredictionFailed,
    StoreUnavailable,
)
from modelward.journal import Answer, Fulfilment, Job, Refusal
from modelward.models.bundle import MAX_BUNDLE_BYTES
from modelward.models.sandbox import Sandbox
from modelward.models.schema import FLOAT_ROW_TAG
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

_log = logging.getLogger(__name__)


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
    """Computes answers. Bundles come from `source`, inputs by reference from `store`."""

    def __init__(
        self,
        versions: VersionReader,
        store: ContentStore,
        source: ContentSource,
        sandbox: Sandbox,
        keyring: Keyring,
        *,
        chain_id: int,
        escrow: Address,
    ) -> None:
        self._versions = versions
        self._store = store
        self._source = source
        self._sandbox = sandbox
        self._keyring = keyring
        self._chain_id = chain_id
        self._escrow = escrow

    def answer(self, job: Job) -> Answer:
        """The answer to a request: its result, or a refusal that gives the fee back.

        Raises:
            AnswerDelayed: no store gives bundle or input now, or takes the output.
            KeyNotGranted: they are sealed, and nobody has given this worker the key, or a gateway
                turns it away; others may have it.
            RpcUnavailable, RpcError, SandboxUnavailable: something of this worker's own failed.
        """
        try:
            return self._fulfilment(job)
        except _Declined as declined:
            return declined.refusal

    def _fulfilment(self, job: Job) -> Fulfilment:
        clear = self._read_input(job)
        version = self._versions.version(job.offer.model_id, job.offer.version_id)
        canonical_output = self._predict(job.offer.owner, version, clear.canonical_input)
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

    def _predict(self, owner: Address, version: Version, canonical_input: bytes) -> bytes:
        try:
            return self._attempt(owner, version, canonical_input)
        except PredictionAborted as error:
            if error.timed_out:
                raise _Declined(RefusalReason.PREDICTION_FAILED, error.message) from error
            _log.warning("%s It is tried once more.", error.message)
        try:
            return self._attempt(owner, version, canonical_input)
        except PredictionAborted as error:
            raise _Declined(RefusalReason.PREDICTION_FAILED, error.message) from error

    def _attempt(self, owner: Address, version: Version, canonical_input: bytes) -> bytes:
        if not self._sandbox.holds(version.bundle_hash, version.manifest_hash):
            self._open(owner, version)
        try:
            return self._sandbox.predict(version.bundle_hash, canonical_input)
        except InvalidInput as error:
            raise _Declined(_input_fault(canonical_input)) from error
        except PredictionAborted:
            raise
        except PredictionFailed as error:
            raise _Declined(RefusalReason.PREDICTION_FAILED) from error

    def _open(self, owner: Address, version: Version) -> None:
        stored = self._fetch(owner, version)
        try:
            data = self._keyring.open_bundle(owner, version, stored)
            self._sandbox.open(data, version.bundle_hash, version.manifest_hash)
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


def _input_fault(canonical_input: bytes) -> RefusalReason:
    """Why an input was not accepted: it is no row at all, or not one of this model's."""
    row = len(canonical_input) % 8 == 1 and canonical_input[0] == FLOAT_ROW_TAG
    return RefusalReason.INPUT_OUT_OF_SCHEMA if row else RefusalReason.INPUT_MALFORMED
