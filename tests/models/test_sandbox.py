"""The sandbox predicts as the runner does, and whatever a bundle does, only its child is harmed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from modelward.errors import (
    HashMismatch,
    InvalidBundle,
    InvalidInput,
    PredictionAborted,
    PredictionFailed,
    SandboxUnavailable,
)
from modelward.models.runner import Runner
from modelward.models.sandbox import Limits, Sandbox
from modelward.models.sandbox_process import GRACE

from .conftest import opened
from .hostile import crashing_tree, endless_tree, held_out_input, memory_eater, raising_model

PROC = Path("/proc/self")
needs_proc = pytest.mark.skipif(not PROC.exists(), reason="looks into /proc")


@pytest.fixture(scope="module")
def sandbox():
    """One child as long as it lives; the tests that harm it come last."""
    with pytest.MonkeyPatch.context() as patch, Sandbox(Limits(seconds=1)) as shared:
        patch.setenv("MODELWARD_PASSWORD", "correct horse")
        shared.start()
        yield shared


def holds(sandbox, bundle):
    return sandbox.holds(bundle.hash, bundle.manifest_hash)


def load(sandbox, bundle):
    if not holds(sandbox, bundle):
        sandbox.open(bundle.data, bundle.hash, bundle.manifest_hash)


def gone(process_id, within):
    """Whether a process ends within so many seconds; a zombie has ended."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_it_predicts_what_the_runner_predicts(sandbox, breast_cancer, patient):
    load(sandbox, breast_cancer.bundle)
    canonical_input = breast_cancer.manifest.input.encode_row(patient)
    expected = Runner(opened(breast_cancer)).predict([patient])
    assert [sandbox.predict(breast_cancer.bundle.hash, canonical_input)] == expected


def test_bundles_unused_for_longest_make_room(sandbox, breast_cancer, wine, diabetes, monkeypatch):
    first, second, third = breast_cancer.bundle, wine.bundle, diabetes.bundle
    room = len(first.data) + len(second.data) + len(third.data) - 1
    monkeypatch.setattr(sandbox, "limits", Limits(open_bytes=room))
    load(sandbox, first)
    load(sandbox, second)
    with pytest.raises(InvalidInput):
        sandbox.predict(first.hash, b"")  # used, though in vain
    load(sandbox, third)
    assert [holds(sandbox, bundle) for bundle in (first, second, third)] == [True, False, True]


def test_an_input_outside_the_schema_is_told_from_a_failed_prediction(sandbox, breast_cancer):
    load(sandbox, breast_cancer.bundle)
    with pytest.raises(InvalidInput, match="bytes long"):
        sandbox.predict(breast_cancer.bundle.hash, b"\x01")


def test_each_row_of_a_batch_has_its_own_outcome(sandbox, breast_cancer, patient):
    load(sandbox, breast_cancer.bundle)
    schema = breast_cancer.manifest.input
    expected = Runner(opened(breast_cancer)).predict([patient])
    row = schema.encode_row(patient)
    first, malformed, last = sandbox.predict_each(breast_cancer.bundle.hash, [row, b"\x01", row])
    assert [first, last] == expected * 2
    assert isinstance(malformed, InvalidInput)


def test_a_batch_on_which_the_model_raises_fails_row_by_row(sandbox):
    bundle = raising_model()
    load(sandbox, bundle)
    outcomes = sandbox.predict_each(bundle.hash, [held_out_input(), b"", held_out_input()])
    assert list(map(type, outcomes)) == [PredictionFailed, InvalidInput, PredictionFailed]


def test_a_model_that_raises_harms_nothing(sandbox, breast_cancer):
    bundle = raising_model()
    load(sandbox, breast_cancer.bundle)
    load(sandbox, bundle)
    with pytest.raises(PredictionFailed) as failed:
        sandbox.predict(bundle.hash, held_out_input())
    assert not isinstance(failed.value, PredictionAborted)
    assert holds(sandbox, breast_cancer.bundle)


def test_a_malformed_bundle_is_invalid_and_does_not_stay_open(sandbox):
    data = b"not a bundle"
    with pytest.raises(InvalidBundle):
        sandbox.open(data, keccak(data), bytes(32))
    assert not sandbox.holds(keccak(data), bytes(32))


def test_a_bundle_with_another_manifest_is_invalid_even_while_it_is_open(sandbox, wine):
    load(sandbox, wine.bundle)
    assert not sandbox.holds(wine.bundle.hash, keccak(b"another"))
    with pytest.raises(InvalidBundle, match="manifest"):
        sandbox.open(wine.bundle.data, wine.bundle.hash, keccak(b"another"))


def test_bytes_with_another_hash_reach_no_child(breast_cancer):
    with (
        Sandbox(Limits(memory_bytes=1)) as unable_to_start,
        pytest.raises(HashMismatch),
    ):
        unable_to_start.open(breast_cancer.bundle.data, keccak(b"pinned"), bytes(32))


def test_a_child_that_cannot_start_is_nobodys_fault_but_ours(breast_cancer):
    bundle = breast_cancer.bundle
    with (
        Sandbox(Limits(memory_bytes=1 << 20)) as sandbox,
        pytest.raises(SandboxUnavailable, match="does not start"),
    ):
        sandbox.open(bundle.data, bundle.hash, bundle.manifest_hash)


# --- the child -----------------------------------------------------------------------------------


@needs_proc
def test_the_child_is_given_no_secret_and_little_else(sandbox, breast_cancer):
    load(sandbox, breast_cancer.bundle)
    child = Path(f"/proc/{sandbox.process_id}")
    assert b"correct horse" not in (child / "environ").read_bytes()
    limits = {line[:25].strip(): line[25:].split()[0] for line in (child / "limits").open()}
    assert limits["Max address space"] == str(sandbox.limits.memory_bytes)
    assert limits["Max file size"] == limits["Max core file size"] == "0"
    files = {str(file.readlink()).partition(":")[0] for file in (child / "fd").iterdir()}
    assert files <= {"/dev/null", "socket"}


def test_signals_for_its_parent_do_not_end_the_child(sandbox, breast_cancer, patient):
    load(sandbox, breast_cancer.bundle)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(sandbox.process_id, number)
    canonical_input = breast_cancer.manifest.input.encode_row(patient)
    assert sandbox.predict(breast_cancer.bundle.hash, canonical_input)


# --- hostile bundles: each kills a child ---------------------------------------------------------


def test_an_endless_prediction_is_stopped_and_the_next_one_served(sandbox, breast_cancer, patient):
    hostile = endless_tree()
    load(sandbox, hostile)
    harmed = sandbox.process_id

    with pytest.raises(PredictionAborted, match="longer than 1 s") as aborted:
        sandbox.predict(hostile.hash, held_out_input())

    assert aborted.value.timed_out
    assert gone(harmed, within=1)
    load(sandbox, breast_cancer.bundle)
    assert sandbox.predict(
        breast_cancer.bundle.hash, breast_cancer.manifest.input.encode_row(patient)
    )


def test_a_row_that_breaks_the_child_ends_its_batch(sandbox):
    hostile = endless_tree()
    load(sandbox, hostile)
    (malformed, aborted) = sandbox.predict_each(hostile.hash, [b"", held_out_input(), b""])
    assert isinstance(malformed, InvalidInput)
    assert isinstance(aborted, PredictionAborted)


def test_a_crash_in_native_code_is_survived(sandbox, breast_cancer):
    hostile = crashing_tree()
    load(sandbox, breast_cancer.bundle)
    load(sandbox, hostile)

    with pytest.raises(PredictionAborted, match=r"SIGSEGV|SIGBUS") as aborted:
        sandbox.predict(hostile.hash, held_out_input())

    assert not aborted.value.timed_out
    assert not holds(sandbox, breast_cancer.bundle)
    with pytest.raises(PredictionAborted, match="gone"):
        sandbox.predict(breast_cancer.bundle.hash, b"")


def test_a_bundle_that_eats_memory_is_stopped_at_the_limit():
    hostile = memory_eater(rows=300_000)
    with Sandbox(Limits(memory_bytes=600 << 20)) as sandbox:
        with pytest.raises(PredictionAborted, match=r"600 MiB|broke the process"):
            sandbox.open(hostile.data, hostile.hash, hostile.manifest_hash)
        assert not holds(sandbox, hostile)


PARENT = """
import sys
from pathlib import Path
from modelward.models.sandbox import Limits, Sandbox
sandbox = Sandbox(Limits(seconds=1, opening_seconds=2))
bundle, canonical_input, bundle_hash, manifest_hash = map(bytes.fromhex, sys.argv[1:5])
sandbox.open(Path(bundle.decode()).read_bytes(), bundle_hash, manifest_hash)
print(sandbox.process_id, flush=True)
sandbox.limits = Limits(seconds=60)
sandbox.predict(bundle_hash, canonical_input)
"""


@needs_proc
def test_a_child_at_an_endless_prediction_does_not_outlive_a_killed_parent(tmp_path):
    hostile = endless_tree()
    file = tmp_path / "bundle"
    file.write_bytes(hostile.data)
    arguments = (bytes(file), held_out_input(), hostile.hash, hostile.manifest_hash)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *(argument.hex() for argument in arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.2)
    parent.kill()
    parent.wait()
    assert gone(child, within=2 + GRACE + 1)


@needs_proc
def test_an_idle_child_does_not_outlive_its_parent(sandbox, breast_cancer):
    load(sandbox, breast_cancer.bundle)
    child = sandbox.process_id
    sandbox.close()
    assert gone(child, within=1)
