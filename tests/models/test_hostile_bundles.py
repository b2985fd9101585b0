"""No bundle runs code, eats more memory than its process may, or keeps the next one waiting."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from modelward.errors import InvalidBundle, PredictionAborted, PredictionFailed
from modelward.models.sandbox import Limits, Sandbox

from .hostile_archives import (
    ARCHIVES,
    TELLTALE,
    canonical_row,
    honest,
    manifest_hash_of,
    mutants,
    pickled,
)

LIMITS = Limits(seconds=2, opening_seconds=10, memory_bytes=2 << 30)
MOST_RESIDENT = 700 << 20
MUTANTS = 1_000 if os.environ.get("FULL") else 50

HARMLESS = {
    "thresholds that are no numbers",
    "negative children",
    "coefficients of too many dimensions",
    "a feature there is not",
}
"""What numbers may be, as long as nothing but a number comes of it; sometimes it is a crash."""

ABORTED = {
    "children far outside",
    "a root that is its own child",
    "two nodes that are each other's children",
}
FAILED = {
    "a coefficient too few",
    "coefficients that are not numbers",
    "coefficients that are text",
}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(LIMITS) as shared:
        yield shared


def attempt(sandbox, data):
    """Open a bundle and predict with it; what came of it, and no more than the limits long."""
    row, manifest_hash = canonical_row(), manifest_hash_of(data)
    began, waited = time.monotonic(), sandbox.seconds_waited
    try:
        sandbox.open(data, keccak(data), manifest_hash)
        return sandbox.predict(keccak(data), row)
    except (InvalidBundle, PredictionFailed) as error:
        if f"exit code {TELLTALE}" in error.message:
            pytest.fail("a bundle ran code")
        return error
    finally:
        took = time.monotonic() - began - (sandbox.seconds_waited - waited)
        assert took < LIMITS.seconds + LIMITS.opening_seconds + 5
        assert resident(sandbox) < MOST_RESIDENT


def resident(sandbox):
    """The most memory the child ever had, in bytes."""
    try:
        status = Path(f"/proc/{sandbox.process_id}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if "VmHWM" in line), 0)


def serves_the_next(sandbox):
    """Whether an honest model is served right after."""
    model = honest().bundle
    if not sandbox.holds(model.hash, model.manifest_hash):
        sandbox.open(model.data, model.hash, model.manifest_hash)
    return len(sandbox.predict(model.hash, canonical_row())) > 0


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", ARCHIVES)
def test_a_hostile_bundle_harms_nobody(sandbox, what):
    outcome = attempt(sandbox, ARCHIVES[what]())
    if what in ABORTED:
        assert isinstance(outcome, PredictionAborted)
    elif what in FAILED:
        assert isinstance(outcome, PredictionFailed)
    elif what not in HARMLESS and what != "a trap on one side":
        assert isinstance(outcome, InvalidBundle), outcome
    assert serves_the_next(sandbox)


def test_there_are_enough_of_them():
    assert len(ARCHIVES) >= 30


def test_an_honest_bundle_passes_through_the_same_hands(sandbox):
    assert isinstance(attempt(sandbox, honest().bundle.data), bytes)


def test_a_payload_that_runs_would_be_noticed():
    program = "import pickle, sys; pickle.load(sys.stdin.buffer)"
    ran = subprocess.run([sys.executable, "-c", program], input=pickled(pickle.dump))
    assert ran.returncode == TELLTALE


def test_mutated_bundles_harm_nobody(sandbox):
    outcomes = [type(attempt(sandbox, data)).__name__ for data in mutants(MUTANTS)]
    assert len(outcomes) == MUTANTS
    assert "InvalidBundle" in outcomes
    assert serves_the_next(sandbox)
