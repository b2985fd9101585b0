"""Execution: from a request's input and the pinned bundle to an answer.

Every check of what strangers wrote comes before its use: the input against its hash, the version
against its id, the bundle against its hash, all before anything parses them.
"""

from __future__ import annotations

import logging

from modelward.commitments import input_hash, result_commitment
from modelward.content.store import ContentStore
from modelward.errors import (
    BadInput,
    ConfigurationError,
    ContentTooLarge,
    HashMismatch,
    InvalidBundle,
    InvalidInput,
    PredictionAborted,
    PredictionFailed,
    StoreUnavailable,
)
from modelward.journal import Answer, Fulfilment, Job, Refusal
from modelward.models.bundle import MAX_BUNDLE_BYTES
from modelward.models.sandbox import Sandbox
from modelward.models.schema import FLOAT_ROW_TAG
from modelward.terms import (
    MAX_OUTPUT_BYTES,
    ZERO_HASH,
    ClearInput,
    Frame,
    RefusalReason,
    Version,
    frame_clear_output,
    parse_clear_input,
)
from modelward.worker.versions import VersionReader

FOLLOWED_SCHEMES = frozenset({"file", "https", "s3", "gs", "gcs", "az", "ipfs"})
"""The kinds of store a worker reads on a version's word; any other must be configured."""

_log = logging.getLogger(__name__)


class _Declined(Exception):
    """A refusal on its way up. What models and schemas say of an input may quote it, so it is no
    part of the detail, which is logged."""

    def __init__(self, reason: RefusalReason, detail: str | None = None) -> None:
        super().__init__(reason.name)
        self.refusal = Refusal(reason, detail or reason.sentence)


class Execution:
    """Computes answers, with the bundles in `store` or where their versions say."""

    def __init__(self, versions: VersionReader, store: ContentStore, sandbox: Sandbox) -> None:
        self._versions = versions
        self._store = store
        self._sandbox = sandbox

    def answer(self, job: Job) -> Answer:
        """The answer to a request: its result, or a refusal that gives the fee back.

        Raises:
            StoreUnavailable: no store gives the bundle now.
            RpcUnavailable, RpcError, SandboxUnavailable: something of this worker's own failed.
        """
        try:
            return self._fulfilment(job)
        except _Declined as declined:
            return declined.refusal

    def _fulfilment(self, job: Job) -> Fulfilment:
        clear = _read_input(job)
        version = self._versions.version(job.offer.model_id, job.offer.version_id)
        if version.content_hash != version.bundle_hash:
            raise _Declined(RefusalReason.MODE_UNSUPPORTED, "The bundle is sealed.")
        canonical_output = self._predict(version, clear.canonical_input)
        output = frame_clear_output(canonical_output)
        if len(output) > MAX_OUTPUT_BYTES:
            raise _Declined(
                RefusalReason.OUTPUT_TOO_LONG,
                f"The output has {len(output)} bytes, an answer {MAX_OUTPUT_BYTES} at most.",
            )
        commitment = result_commitment(job.request_id, canonical_output, clear.secret)
        return Fulfilment(output, commitment)

    def _predict(self, version: Version, canonical_input: bytes) -> bytes:
        try:
            return self._attempt(version, canonical_input)
        except PredictionAborted as error:
            if error.timed_out:
                raise _Declined(RefusalReason.PREDICTION_FAILED, error.message) from error
            _log.warning("%s It is tried once more.", error.message)
        try:
            return self._attempt(version, canonical_input)
        except PredictionAborted as error:
            raise _Declined(RefusalReason.PREDICTION_FAILED, error.message) from error

    def _attempt(self, version: Version, canonical_input: bytes) -> bytes:
        if not self._sandbox.holds(version.bundle_hash, version.manifest_hash):
            self._open(version)
        try:
            return self._sandbox.predict(version.bundle_hash, canonical_input)
        except InvalidInput as error:
            raise _Declined(_input_fault(canonical_input)) from error
        except PredictionAborted:
            raise
        except PredictionFailed as error:
            raise _Declined(RefusalReason.PREDICTION_FAILED) from error

    def _open(self, version: Version) -> None:
        data = self._fetch(version)
        try:
            self._sandbox.open(data, version.bundle_hash, version.manifest_hash)
        except (InvalidBundle, HashMismatch, PredictionAborted) as error:
            raise _Declined(RefusalReason.BUNDLE_INVALID, error.message) from error

    def _fetch(self, version: Version) -> bytes:
        """The bundle from the first store that gives it.

        When every store answers, and with something else, the bundle is invalid; as long as one
        does not answer, it is unavailable.
        """
        unavailable: StoreUnavailable | None = None
        wrong: BadInput | HashMismatch | None = None
        for store in self._stores(version.uri):
            try:
                return store.get(version.content_hash, limit=MAX_BUNDLE_BYTES)
            except StoreUnavailable as error:
                unavailable = error
            except (HashMismatch, ContentTooLarge) as error:
                wrong = error
        if unavailable is None and wrong is not None:
            raise _Declined(RefusalReason.BUNDLE_INVALID, wrong.message) from wrong
        raise unavailable or StoreUnavailable("No content store is known for the bundle.")

    def _stores(self, uri: str) -> list[ContentStore]:
        stores = [self._store]
        scheme, separator, _ = uri.partition("://")
        if separator and scheme in FOLLOWED_SCHEMES and uri != self._store.url:
            try:
                stores.append(ContentStore(uri))
            except ConfigurationError as error:
                _log.warning("a version's store cannot be used: %s", error.message)
        return stores


def _read_input(job: Job) -> ClearInput:
    """The input in clear, checked against the request's hash."""
    payload, request = job.placement.input, job.request
    if request.reply_key != ZERO_HASH or request.callback_gas:
        raise _Declined(
            RefusalReason.MODE_UNSUPPORTED, "A sealed output or a callback is asked for."
        )
    if payload and payload[0] in (Frame.SEALED, Frame.REFERENCE, Frame.SEALED | Frame.REFERENCE):
        raise _Declined(RefusalReason.MODE_UNSUPPORTED, "The input is sealed, or kept elsewhere.")
    try:
        clear = parse_clear_input(payload)
    except BadInput as error:
        raise _Declined(RefusalReason.INPUT_MALFORMED) from error
    if input_hash(clear.secret, clear.canonical_input) != request.input_hash:
        raise _Declined(RefusalReason.INPUT_HASH_MISMATCH)
    return clear


def _input_fault(canonical_input: bytes) -> RefusalReason:
    """Why an input was not accepted: it is no row at all, or not one of this model's."""
    row = len(canonical_input) % 8 == 1 and canonical_input[0] == FLOAT_ROW_TAG
    return RefusalReason.INPUT_OUT_OF_SCHEMA if row else RefusalReason.INPUT_MALFORMED
