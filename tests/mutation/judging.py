"""Whether the Foundry suite notices that a contract was changed.

Every change is compiled without the optimiser and put in the place of its contract in a copy of the
tree, where the suite runs with few runs, up to the first test that fails; what survives faces it
once more with many.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue
from typing import Generic

from modelward.solidity.compiler import find_compiler
from tests.mutation.compiling import compile_changes
from tests.mutation.operators import Change, ChangeT
from tests.solidity.forge import ROOT, copy_of_the_tree, run_forge

HOSTS = {"Signatures": "DataShare", "Payload": "InferenceEscrow", "Terms": "InferenceEscrow"}
HOSTS |= {"RequestWord": "InferenceEscrow", "Commitments": "InferenceEscrow"}
"""The contract in which changes of a library are tried."""

CALLED_BY_TESTS = {"Commitments", "Terms"}
"""Libraries that tests call themselves, so that these must be compiled anew as well."""

WORKERS = 2
BATCH = 24
SECONDS = 300

_FIRST_FAILURE = re.compile(r"^\[FAIL.*?\b((?:test|invariant)\w*)\(", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Verdict(Generic[ChangeT]):
    """What became of a change: `killed_by` names a test, or is None for a survivor."""

    change: ChangeT
    killed_by: str | None


class Workshop:
    """A copy of the tree in which one change after another takes its contract's place."""

    def __init__(self, number: int) -> None:
        self._root = copy_of_the_tree(ROOT / "build" / "mutants" / str(number))
        build = run_forge("build", root=self._root, profile="mutants")
        if build.returncode:
            sys.exit(build.stdout)
        failing = self._test(few=True)
        if failing:
            sys.exit(f"error: {failing} fails without any change.")
        self._built = self._root / "build" / "forge"
        self._pristine = self._root / "build" / "pristine"
        shutil.copytree(self._built, self._pristine)

    def killer_of(self, change: Change, code: str) -> str | None:
        """The test that notices the change, of whose host `code` is the creation code."""
        host = _host_of(change)
        if change.contract in CALLED_BY_TESTS:
            path = self._root / change.source
            changed = change.applied_to(path.read_bytes())
        else:
            path = self._root / "build" / "forge" / "out" / f"{host}.sol" / f"{host}.json"
            artifact = json.loads(path.read_text("utf-8"))
            artifact["bytecode"]["object"] = code
            changed = json.dumps(artifact).encode()
        original = path.read_bytes()
        path.write_bytes(changed)
        try:
            return self._test(few=True) or self._test(few=False)
        finally:
            path.write_bytes(original)
            if change.contract in CALLED_BY_TESTS:  # forge has compiled the changed source
                shutil.rmtree(self._built)
                shutil.copytree(self._pristine, self._built)

    def _test(self, *, few: bool) -> str | None:
        """The first test that fails; None if all pass."""
        shutil.rmtree(self._root / "build" / "forge" / "failures", ignore_errors=True)
        runs = {"FOUNDRY_FUZZ_RUNS": "24", "FOUNDRY_INVARIANT_RUNS": "3"} if few else {}
        try:
            run = run_forge(
                "test",
                "--fail-fast",
                "--threads=1",
                "--fuzz-seed=1",
                root=self._root,
                profile="mutants",
                variables=runs,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            return "time limit"
        if run.returncode == 0:
            return None
        found = _FIRST_FAILURE.search(run.stdout)
        return found[1] if found else "another failure"


def judged(changes: Sequence[ChangeT]) -> list[Verdict[ChangeT]]:
    """Verdicts on all changes that compile."""
    compiler = find_compiler(project=ROOT)
    with ThreadPoolExecutor(WORKERS) as pool:
        workshops: Queue[Workshop] = Queue()
        for workshop in pool.map(Workshop, range(WORKERS)):
            workshops.put(workshop)
        verdicts: list[Verdict[ChangeT]] = []
        started = time.monotonic()

        def try_batch(batch: Sequence[ChangeT]) -> None:
            workshop = workshops.get()
            host = _host_of(batch[0])
            for change, code in compile_changes(ROOT, compiler, host, batch).items():
                verdict = Verdict(change, workshop.killer_of(change, code))
                verdicts.append(verdict)
                if verdict.killed_by is None:
                    print(f"survived: {change.name}", flush=True)
            workshops.put(workshop)
            minutes = (time.monotonic() - started) / 60
            left = minutes / len(verdicts) * (len(changes) - len(verdicts)) if verdicts else 0
            print(
                f"{len(verdicts):,} of {len(changes):,} tried, about {left:.0f} min left",
                file=sys.stderr,
                flush=True,
            )

        list(pool.map(try_batch, batches(changes)))
    return verdicts


def batches(changes: Sequence[ChangeT]) -> list[list[ChangeT]]:
    """Changes of one source for one host each, few enough to compile at once."""
    groups: dict[tuple[str, str], list[ChangeT]] = {}
    for change in changes:
        groups.setdefault((change.source, _host_of(change)), []).append(change)
    return [
        group[start : start + BATCH]
        for group in groups.values()
        for start in range(0, len(group), BATCH)
    ]


def _host_of(change: Change) -> str:
    return HOSTS.get(change.contract, change.contract)
