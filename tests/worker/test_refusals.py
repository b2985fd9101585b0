"""What a worker cannot answer it refuses with a typed reason, and the payer has the fee back."""

from __future__ import annotations

import io
import logging
import pickle
import secrets
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from eth_utils.crypto import keccak
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

from modelward.chain.events import InferenceRefused, VersionPublished
from modelward.chain.logs import EventReader
from modelward.content.store import ContentStore
from modelward.errors import RpcUnavailable, StoreUnavailable
from modelward.journal import State
from modelward.models.bundle import write_bundle
from modelward.models.sandbox import Limits, Sandbox
from modelward.pipeline.package import package
from modelward.terms import INLINE_ONLY, Payload, RefusalReason, RequestStatus, frame_clear_input
from modelward.worker import Milestone, Policy
from tests.models.hostile import (
    crashing_tree,
    endless_tree,
    held_out_input,
    pickled_model,
    raising_model,
)

from .trading import FEE, failing, job, unreachable


def assert_refused(market, placed, reason):
    """The request was refused for that reason, and its fee is the payer's again."""
    (refused,) = market.events(InferenceRefused, placed)
    assert RefusalReason(refused.reason) is reason
    assert market.status(placed) is RequestStatus.REFUSED
    assert market.escrow.credit_of(market.requester.address) == FEE


def with_value(row, position, value):
    """A canonical input with one of its numbers replaced."""
    return row[: 1 + 8 * position] + struct.pack(">d", value) + row[9 + 8 * position :]


INPUTS = {
    "half a row": (lambda row: row[:-4], RefusalReason.INPUT_MALFORMED),
    "nothing": (lambda _: b"", RefusalReason.INPUT_MALFORMED),
    "an unknown encoding": (lambda row: b"\x7f" + row[1:], RefusalReason.INPUT_MALFORMED),
    "a number too few": (lambda row: row[:-8], RefusalReason.INPUT_OUT_OF_SCHEMA),
    "NaN": (lambda row: with_value(row, 3, float("nan")), RefusalReason.INPUT_OUT_OF_SCHEMA),
    "infinity": (lambda row: with_value(row, 0, float("inf")), RefusalReason.INPUT_OUT_OF_SCHEMA),
    "a value out of range": (
        lambda row: with_value(row, 29, 1e9),
        RefusalReason.INPUT_OUT_OF_SCHEMA,
    ),
}


@pytest.mark.parametrize("what", INPUTS)
def test_an_input_that_does_not_fit_is_refused(market, model, trained, make_worker, what):
    spoil, reason = INPUTS[what]
    placed = market.place(model, spoil(trained.row))
    make_worker().step()
    assert_refused(market, placed, reason)


PAYLOADS = {
    "none": (b"", RefusalReason.INPUT_MALFORMED),
    "cut short": (b"\0" * 20, RefusalReason.INPUT_MALFORMED),
    "of an unknown kind": (b"\x04" * 100, RefusalReason.INPUT_MALFORMED),
    "of another input": (frame_clear_input(b"s" * 32, b"?"), RefusalReason.INPUT_HASH_MISMATCH),
    "sealed for an epoch that never began": (b"\x01" * 100, RefusalReason.INPUT_MALFORMED),
    "a reference cut short": (b"\x02" * 20, RefusalReason.INPUT_MALFORMED),
    "a reference that is no text": (b"\x03" + b"\xff" * 100, RefusalReason.INPUT_MALFORMED),
}


@pytest.mark.parametrize("what", PAYLOADS)
def test_a_payload_that_is_not_the_input_is_refused(market, model, trained, make_worker, what):
    payload, reason = PAYLOADS[what]
    placed = market.place(model, trained.row, payload=payload)
    make_worker().step()
    assert_refused(market, placed, reason)


def test_an_output_to_be_sealed_to_no_key_is_refused(market, model, trained, make_worker):
    low_order = (1).to_bytes(32, "little")
    placed = market.place(model, trained.row, reply_key=low_order)
    make_worker().step()
    assert_refused(market, placed, RefusalReason.MODE_UNSUPPORTED)


def test_a_refusal_is_final_in_the_journal_and_happens_once(
    market, model, trained, make_worker, worker
):
    placed = market.place(model, b"")
    working = make_worker()
    working.step()
    assert job(working.journal, placed).state is State.REFUSED
    assert working.step().idle
    assert worker.nonce() == 1


def test_a_bad_request_holds_up_no_good_one(market, model, trained, make_worker):
    before = market.place(model, trained.row)
    bad = market.place(model, b"")
    after = market.place(model, trained.row)

    make_worker().step()

    statuses = [market.status(placed) for placed in (before, bad, after)]
    assert statuses == [RequestStatus.FULFILLED, RequestStatus.REFUSED, RequestStatus.FULFILLED]


def test_neither_logs_nor_journal_quote_an_input(
    market, model, trained, make_worker, caplog, worker
):
    caplog.set_level(logging.DEBUG)
    telling = 4.321987e9
    placed = market.place(model, with_value(trained.row, 0, telling))
    working = make_worker()

    working.step()

    assert placed.id.hex()[:8] in caplog.text
    assert "INPUT_OUT_OF_SCHEMA" in caplog.text
    for said in (caplog.text, repr(job(working.journal, placed))):
        assert "4321987" not in said
        assert placed.secret.hex() not in said
        assert worker.account.private_key.hex() not in said


# --- bundles -------------------------------------------------------------------------------------


def stored_file(store, digest):
    """The file behind a hash in a store of local files."""
    return Path(store.url.removeprefix("file://")) / digest.hex()[:2] / digest.hex()


def test_a_bundle_whose_bytes_were_changed_is_refused_unopened(market, model, trained, make_worker):
    file = stored_file(market.store, trained.packaged.bundle.hash)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    placed = market.place(model, trained.row)

    with Sandbox(Limits(memory_bytes=1)) as unable_to_open:
        make_worker(sandbox=unable_to_open).step()

    assert_refused(market, placed, RefusalReason.BUNDLE_INVALID)


@pytest.mark.parametrize("what", ["no archive", "another manifest"])
def test_a_version_that_pins_no_usable_bundle_is_refused(
    market, trained, make_worker, worker, what
):
    bundle, changes = trained.packaged.bundle, {}
    if what == "no archive":
        market.store.put(b"no archive")
        changes = dict.fromkeys(("bundle_hash", "content_hash"), keccak(b"no archive"))
    else:
        changes = {"manifest_hash": keccak(b"another")}
    model = market.publish(bundle, **changes)
    market.let_serve(model, worker.address)
    placed = market.place(model, trained.row)

    make_worker().step()

    assert_refused(market, placed, RefusalReason.BUNDLE_INVALID)


@pytest.fixture
def unopened():
    """A model that no other test has opened."""
    rows, labels = load_iris(return_X_y=True)
    name = f"iris-{secrets.token_hex(4)}"
    return package(GaussianNB().fit(rows, labels), rows, labels, name=name)


@pytest.fixture
def flower(unopened):
    """An input for it."""
    (row,) = unopened.manifest.input.rows(load_iris().data[:1])
    return unopened.manifest.input.encode_row(row)


@pytest.fixture
def misplaced(market, unopened, worker, tmp_path):
    """Its version, while its bundle is in no store the worker knows of, or is told of."""
    market.store = ContentStore(str(tmp_path / "elsewhere"))
    model = market.publish(unopened.bundle, uri="memory://nowhere")
    market.let_serve(model, worker.address)
    return model


def test_a_bundle_that_is_missing_is_waited_for(
    market, misplaced, unopened, flower, make_worker, store, monkeypatch
):
    monkeypatch.setattr("modelward.worker.service._FIRST_PAUSE", 0)
    placed = market.place(misplaced, flower)
    worker = make_worker()
    worker.step()
    assert market.status(placed) is RequestStatus.OPEN

    store.put(unopened.bundle.data)
    worker.step()

    assert market.status(placed) is RequestStatus.FULFILLED


def test_a_bundle_still_missing_near_the_deadline_is_refused(
    market, misplaced, flower, make_worker
):
    placed = market.place(misplaced, flower, lifetime=60)
    make_worker(policy=Policy(refuse_within=90)).step()
    assert_refused(market, placed, RefusalReason.BUNDLE_UNAVAILABLE)


def test_an_input_still_missing_near_the_deadline_is_refused(market, model, trained, make_worker):
    nowhere = Payload(False, content_hash=b"\x05" * 32, uri="memory://nowhere").encoded()
    placed = market.place(model, trained.row, payload=nowhere, lifetime=60)
    make_worker(policy=Policy(refuse_within=90)).step()
    assert_refused(market, placed, RefusalReason.INPUT_UNAVAILABLE)


def test_a_store_that_takes_no_output_is_waited_for(
    market, model, trained, make_worker, monkeypatch
):
    def no_space(*_):
        raise StoreUnavailable("There is no space left.")

    monkeypatch.setattr("modelward.worker.service._FIRST_PAUSE", 0)
    monkeypatch.setattr("modelward.sdk.payloads.MAX_INLINE_BYTES", 40)
    placed = market.place(model, trained.row)
    worker = make_worker()
    with monkeypatch.context() as full:
        full.setattr(ContentStore, "put", no_space)
        worker.step()
    assert market.status(placed) is RequestStatus.OPEN

    worker.step()

    assert market.status(placed) is RequestStatus.FULFILLED


def test_an_output_that_must_be_inline_and_does_not_fit_is_refused(market, make_worker, worker):
    generator = np.random.default_rng(0)
    rows, labels = generator.random((200, 2)), np.arange(200) % 40
    estimator = GaussianNB().fit(rows, labels)
    manifest = package(estimator, rows, labels, name="wide").manifest
    with_scores = replace(manifest, output=replace(manifest.output, scores="probability"))
    model = market.publish(write_bundle(estimator, with_scores))
    market.let_serve(model, worker.address)
    (row,) = manifest.input.rows(rows[:1])
    placed = market.place(model, manifest.input.encode_row(row), flags=INLINE_ONLY)
    make_worker().step()
    assert_refused(market, placed, RefusalReason.OUTPUT_TOO_LONG)


def test_hostile_models_are_refused_and_the_requests_between_them_served(
    market, model, trained, make_worker, worker
):
    hostile, honest = [], []
    for lifetime, bundle in enumerate((endless_tree(), raising_model(), crashing_tree()), 1):
        other = market.publish(bundle, name=f"hostile-{lifetime}")
        market.let_serve(other, worker.address)
        hostile.append(market.place(other, held_out_input(), lifetime=1_000 * lifetime))
        honest.append(market.place(model, trained.row, lifetime=1_000 * lifetime + 500))

    with Sandbox(Limits(seconds=1)) as sandbox:
        make_worker(sandbox=sandbox).step()

    reasons = [market.events(InferenceRefused, placed)[0].reason for placed in hostile]
    assert reasons == [RefusalReason.PREDICTION_FAILED] * 3
    assert {market.status(placed) for placed in honest} == {RequestStatus.FULFILLED}


def test_a_pickle_in_a_bundle_is_refused_and_none_of_its_code_runs(
    market, make_worker, worker, tmp_path
):
    trap = tmp_path / "executed"
    bundle = pickled_model(trap)
    model = market.publish(bundle, name="pickled")
    market.let_serve(model, worker.address)
    placed = market.place(model, held_out_input())

    make_worker().step()

    assert_refused(market, placed, RefusalReason.BUNDLE_INVALID)
    assert not trap.exists()
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as archive:
        pickle.loads(archive.read("estimator.skops"))
    assert trap.exists()  # the trap would have worked


# --- what is never a reason to refuse ------------------------------------------------------------


@pytest.mark.parametrize("method", ["*", "eth_estimateGas", "eth_getLogs", "eth_getBlockByNumber"])
def test_an_endpoint_that_fails_is_never_a_reason_to_refuse(
    market, model, trained, make_worker, endpoint, method, worker, monkeypatch
):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)
    monkeypatch.setattr("modelward.worker.service._FIRST_PAUSE", 0)
    placed = market.place(model, trained.row)
    working = make_worker(policy=Policy(refuse_within=10**6))
    endpoint.faults[method] = unreachable
    with pytest.raises(RpcUnavailable):
        working.step()
    assert worker.nonce() == 0

    endpoint.faults.clear()
    working.step()

    assert market.status(placed) is RequestStatus.FULFILLED


def test_a_node_that_refuses_to_simulate_holds_up_its_own_request_alone(
    market, model, trained, make_worker, endpoint
):
    placed = market.place(model, trained.row)
    worker = make_worker()
    endpoint.faults["eth_estimateGas"] = failing("the node has a bad day")

    report = worker.step()

    assert report.at(Milestone.WAITING) == (placed.id,)
    assert "bad day" in (job(worker.journal, placed).reason or "")


def test_a_process_that_cannot_be_started_is_never_a_reason_to_refuse(
    market, model, trained, make_worker
):
    placed = market.place(model, trained.row)
    with Sandbox(Limits(memory_bytes=1)) as sandbox:
        worker = make_worker(sandbox=sandbox, policy=Policy(refuse_within=10**6))
        worker.step()
    assert market.status(placed) is RequestStatus.OPEN
    assert "does not start" in (job(worker.journal, placed).reason or "")


def test_a_version_whose_texts_are_no_text_holds_up_nobody(
    market, model, trained, make_worker, worker
):
    strange = publish_without_text(market, trained.packaged.bundle)
    market.let_serve(strange, worker.address)
    odd = market.place(strange, trained.row, lifetime=600)
    plain = market.place(model, trained.row)

    make_worker().step()

    assert market.status(odd) is RequestStatus.OPEN
    assert market.status(plain) is RequestStatus.FULFILLED


def publish_without_text(market, bundle):
    """Publish a version whose URI is no UTF-8, which only the chain's own bytes can tell."""
    named = market.publish(bundle, name="strange", uri="0123456789")
    (honest,) = versions_of(market, named)
    call = market.registry.publish_version(honest.version)
    market.owner.send(replace(call, data=call.data.replace(b"0123456789", b"\xff" * 10)))
    _, strange = versions_of(market, named)
    return replace(named, version_id=strange.version_id)


def versions_of(market, model):
    """The versions of a model, as their events tell."""
    chain, registry = market.deployment.chain, market.registry
    reader = EventReader(
        chain, {registry.address: registry.name}, (VersionPublished,), (model.model_id,)
    )
    return reader.read_all(0, chain.head().number)
