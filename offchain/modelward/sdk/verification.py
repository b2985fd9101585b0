"""Checks an answer end to end: from the terms on chain to a replay of the pinned model.

Of a request in clear, that may be anyone. Of a private one it takes the model's key: its owner has
it, and those granted READ or SERVE.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelward.chain.encoding import to_hex
from modelward.errors import NotDeployed, PredictionMismatch
from modelward.models.exact.answers import run_program
from modelward.models.exact.program import Program
from modelward.models.output import (
    OutputSpec,
    Prediction,
    decode_output,
    first_difference,
    outputs_agree,
)
from modelward.models.sandbox import Sandbox
from modelward.sdk.catalogue import Catalogue, ListedVersion
from modelward.sdk.connection import Connection
from modelward.sdk.disputes import pending_answer, program_on_chain
from modelward.sdk.history import opened_input, read_history
from modelward.sdk.result import check_commitment, check_examined, require_answer
from modelward.terms import ZERO_ADDRESS, ZERO_HASH, RequestId, Version


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was compared and found equal: what it was, and the value both sides have."""

    what: str
    value: str


@dataclass(frozen=True)
class Verification:
    """A verified answer: every check that was made, in order, and both predictions.

    `identical` tells whether the replay gave the same bytes, as an exact version's always does, or
    only the same answer within the tolerance for floating-point estimators (one unit of the last
    decimal).
    """

    request_id: RequestId
    version: ListedVersion
    delivered: Prediction
    replayed: Prediction
    identical: bool
    checks: tuple[Check, ...]


def verify(
    connection: Connection, request: RequestId, *, sandbox: Sandbox | None = None
) -> Verification:
    """Recompute everything an answer rests on, and replay the prediction.

    An exact version is replayed from the program on chain, or where there is none from the pinned
    bundle, and has to give the same bytes; any other from the bundle. That is a stranger's: it is
    opened in a process with limits, a new one unless `sandbox` is given. An answer that a verifier
    still examines is verified like one that stands.

    Raises:
        UnknownRequest, NotAnswered, RequestRefused: there is no answer to verify.
        CheckFailed: request, version or input are not what their ids and hashes stand for.
        KeyNotGranted: input or bundle are sealed, and the account was given no key to them.
        EnvelopeError: something sealed does not open.
        CommitmentMismatch: the output delivered is not the one committed to.
        HashMismatch: the store's bundle is not the one the version pins.
        PredictionMismatch: the pinned model gives another prediction.
        ContentMissing, StoreUnavailable, InvalidBundle: the bundle cannot be had or opened.
        PredictionFailed, PredictionAborted, SandboxUnavailable: it cannot be run.
    """
    history = read_history(connection, request)
    checks = [Check("The terms on chain hash to the request's id", to_hex(history.id))]
    examined = None if history.ending or not history.held else pending_answer(connection, history)
    opened = opened_input(connection, history)
    checks.append(
        Check(
            "The input hashes to what the request commits to",
            to_hex(history.requested.request.input_hash),
        )
    )
    if examined is None:
        answered = require_answer(connection, history)
        output, commitment = check_commitment(connection, history, answered)
    else:
        output, commitment = check_examined(connection, history, examined.answer)
    checks.append(Check("The output opens the commitment on chain", to_hex(commitment)))

    catalogue = Catalogue(connection)
    offer = history.requested.offer
    version = catalogue.version_by_id(offer.model_id, offer.version_id)
    checks.append(Check("The version hashes to the id the request pins", to_hex(version.id)))
    spec = catalogue.manifest(version).output
    stored = _stored_program(connection, version.version)
    if stored is None:
        bundle = catalogue.bundle(version)
        if version.is_sealed:
            bundle = connection.keyring.open_bundle(offer.owner, version.version, bundle)
        replayed = _replay(sandbox, bundle, version.version, opened.canonical_input)
        source, pinned = "The pinned model", version.version.bundle_hash
        checks.append(Check("Bundle and manifest have the hashes the version pins", to_hex(pinned)))
    else:
        replayed = run_program(stored, opened.canonical_input)
        source, pinned = "The program on chain", version.version.program_hash
        checks.append(
            Check("Program and manifest have the hashes the version pins", to_hex(pinned))
        )
    exact = version.version.program_hash != ZERO_HASH
    delivered_prediction = decode_output(spec, output)
    replayed_prediction = decode_output(spec, replayed)
    if exact:
        _require_identical(spec, output, replayed, source)
    elif not outputs_agree(spec, output, replayed):
        raise PredictionMismatch(
            f"The worker delivered {_in_full(delivered_prediction)}, "
            f"and the pinned model gives {_in_full(replayed_prediction)} for this input.",
            hint="The answer on chain is the worker's word; this replay is evidence against it.",
        )
    identical = output == replayed
    same = "gives the same output, bit for bit" if exact else "gives the same output"
    checks.append(
        Check(
            f"{source}, run again, {same}"
            if identical
            else f"{source}, run again, agrees within one unit of the last decimal",
            str(replayed_prediction),
        )
    )
    return Verification(
        request_id=request,
        version=version,
        delivered=delivered_prediction,
        replayed=replayed_prediction,
        identical=identical,
        checks=tuple(checks),
    )


def _stored_program(connection: Connection, pinned: Version) -> Program | None:
    """The version's program, where the chain has it."""
    if pinned.program_hash == ZERO_HASH:
        return None
    try:
        pointer = connection.deployment.programs.pointer_of(pinned.program_hash)
    except NotDeployed:
        return None
    if pointer == ZERO_ADDRESS:
        return None
    return program_on_chain(connection, pinned.program_hash)


def _require_identical(spec: OutputSpec, output: bytes, replayed: bytes, source: str) -> None:
    """Raise `PredictionMismatch`, which names the first value that differs."""
    difference = first_difference(spec, output, replayed)
    if difference is not None:
        raise PredictionMismatch(
            f"{source} gives another output, bit for bit: in the answer {difference}.",
            hint="An exact model has one right answer; this is not it.",
        )


def _replay(
    sandbox: Sandbox | None, bundle: bytes, pinned: Version, canonical_input: bytes
) -> bytes:
    if sandbox is None:
        with Sandbox() as own:
            return _replay(own, bundle, pinned, canonical_input)
    if not sandbox.holds(pinned.bundle_hash, pinned.manifest_hash):
        sandbox.open(bundle, pinned.bundle_hash, pinned.manifest_hash)
    return sandbox.predict(pinned.bundle_hash, canonical_input)


def _in_full(prediction: Prediction) -> str:
    scores = ", ".join(f"{label} {score:f}" for label, score in prediction.scores.items())
    return f"{prediction} ({scores})" if scores else str(prediction)
