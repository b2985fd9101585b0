"""Mutation testing of the contracts by the Foundry suite, as `make mutants` runs it.

Every mutant is compiled without the optimiser and put in the place of its contract in a copy of the
tree, where the suite runs with few runs, up to the first test that fails; what survives faces it
once more with many. Survivors must be listed in `survivors.toml`: as `equivalent`, if no test could
tell them apart, or as `accepted`, with the reason.

SAMPLE=N tries N mutants chosen at random, SEED=N others; ONLY=text those whose name contains it.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from modelward.solidity.compiler import Compiler, find_compiler
from tests.mutation.compiling import compile_mutants
from tests.mutation.operators import Mutant, mutants_of
from tests.solidity.forge import ROOT, copy_of_the_tree, require_forge, run_forge

HOSTS = {"Signatures": "DataShare", "Payload": "InferenceEscrow", "Terms": "InferenceEscrow"}
HOSTS |= {"RequestWord": "InferenceEscrow", "Commitments": "InferenceEscrow"}
"""The contract in which a library's mutants are tried."""

CALLED_BY_TESTS = {"Commitments"}
"""Libraries that tests call themselves, so that these must be compiled anew as well."""

WORKERS = 2
BATCH = 24
SECONDS = 300
LEAST_SCORE = 0.95
LISTED = Path(__file__).with_name("survivors.toml")

_FIRST_FAILURE = re.compile(r"^\[FAIL.*?\b((?:test|invariant)\w*)\(", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: `killed_by` names a test, or is None for a survivor."""

    mutant: Mutant
    killed_by: str | None


class Workshop:
    """A copy of the tree in which one mutant after another takes its contract's place."""

    def __init__(self, number: int) -> None:
        self._root = copy_of_the_tree(ROOT / "build" / "mutants" / str(number))
        build = run_forge("build", root=self._root, profile="mutants")
        if build.returncode:
            sys.exit(build.stdout)
        failing = self._test(few=True)
        if failing:
            sys.exit(f"error: {failing} fails without any mutant.")

    def judge(self, mutant: Mutant, code: str) -> Verdict:
        """Run the suite against the mutant, of whose host `code` is the creation code."""
        host = HOSTS.get(mutant.contract, mutant.contract)
        if mutant.contract in CALLED_BY_TESTS:
            path = self._root / mutant.source
            changed = mutant.applied_to(path.read_bytes())
        else:
            path = self._root / "build" / "forge" / "out" / f"{host}.sol" / f"{host}.json"
            artifact = json.loads(path.read_text("utf-8"))
            artifact["bytecode"]["object"] = code
            changed = json.dumps(artifact).encode()
        original = path.read_bytes()
        path.write_bytes(changed)
        try:
            return Verdict(mutant, self._test(few=True) or self._test(few=False))
        finally:
            path.write_bytes(original)

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


def chosen(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Those that SAMPLE, SEED and ONLY ask for."""
    only, sample = os.environ.get("ONLY", ""), os.environ.get("SAMPLE")
    wanted = [mutant for mutant in mutants if only in mutant.name]
    if sample:
        rng = random.Random(int(os.environ.get("SEED") or 0))
        wanted = rng.sample(wanted, min(int(sample), len(wanted)))
    return wanted


def judged(mutants: Sequence[Mutant], compiler: Compiler) -> list[Verdict]:
    """Verdicts on all mutants that compile."""
    with ThreadPoolExecutor(WORKERS) as pool:
        workshops: Queue[Workshop] = Queue()
        for workshop in pool.map(Workshop, range(WORKERS)):
            workshops.put(workshop)
        verdicts: list[Verdict] = []

        def try_batch(batch: Sequence[Mutant]) -> None:
            workshop = workshops.get()
            host = HOSTS.get(batch[0].contract, batch[0].contract)
            for mutant, code in compile_mutants(ROOT, compiler, host, batch).items():
                verdict = workshop.judge(mutant, code)
                verdicts.append(verdict)
                if verdict.killed_by is None:
                    print(f"survived: {mutant.name}", flush=True)
            workshops.put(workshop)

        list(pool.map(try_batch, batches(mutants)))
    return verdicts


def batches(mutants: Sequence[Mutant]) -> list[list[Mutant]]:
    """Mutants of one source each, few enough to compile at once."""
    by_source: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        by_source.setdefault(mutant.source, []).append(mutant)
    return [
        group[start : start + BATCH]
        for group in by_source.values()
        for start in range(0, len(group), BATCH)
    ]


def main() -> None:
    """Try the mutants and print the table.

    Exits with 1 if the score is too low, a survivor unlisted, or a listed one killed or gone.
    """
    require_forge()
    started = time.monotonic()
    listed = {entry["mutant"]: entry for entry in tomllib.loads(LISTED.read_text())["survivor"]}
    every = mutants_of(ROOT)
    verdicts = judged(chosen(every), find_compiler(project=ROOT))

    survivors = [verdict.mutant for verdict in verdicts if verdict.killed_by is None]
    equivalent = {name for name, entry in listed.items() if entry["verdict"] == "equivalent"}
    print(f"{'contract':18}{'tried':>8}{'killed':>8}{'equivalent':>12}{'accepted':>10}{'score':>9}")
    totals: Counter[str] = Counter()
    for contract in sorted({verdict.mutant.contract for verdict in verdicts}):
        tried = [verdict for verdict in verdicts if verdict.mutant.contract == contract]
        row = Counter(_fate(verdict, equivalent) for verdict in tried)
        totals += row
        print(_row(contract, row))
    print(_row("all", totals))
    killers = Counter(verdict.killed_by for verdict in verdicts if verdict.killed_by)
    print(
        f"{len(killers)} tests killed one or more; of {len(every):,} mutants "
        f"{len(verdicts):,} were tried in {time.monotonic() - started:,.0f} s."
    )

    unlisted = [mutant.name for mutant in survivors if mutant.name not in listed]
    stale = listed.keys() - {mutant.name for mutant in every}
    stale |= listed.keys() & {verdict.mutant.name for verdict in verdicts if verdict.killed_by}
    for name in unlisted:
        print(f"survives and is not listed: {name}")
    for name in sorted(stale):
        print(f"is listed but does not survive: {name}")
    if unlisted or stale or _score(totals) < LEAST_SCORE:
        sys.exit(1)


def _fate(verdict: Verdict, equivalent: set[str]) -> str:
    if verdict.killed_by:
        return "killed"
    return "equivalent" if verdict.mutant.name in equivalent else "survived"


def _score(row: Counter[str]) -> float:
    return row["killed"] / max(1, row["killed"] + row["survived"])


def _row(name: str, row: Counter[str]) -> str:
    return (
        f"{name:18}{row.total():8,}{row['killed']:8,}{row['equivalent']:12,}{row['survived']:10,}"
        f"{_score(row):9.1%}"
    )


if __name__ == "__main__":
    main()
