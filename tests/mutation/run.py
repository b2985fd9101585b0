"""Mutation testing of the contracts by the Foundry suite, as `make mutants` runs it.

Survivors must be listed in `survivors.toml`: as `equivalent`, if no test could
tell them apart, or as `accepted`, with the reason.

SAMPLE=N tries N mutants chosen at random, SEED=N others; ONLY=pattern those whose name matches.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.judging import Verdict, judged
from tests.mutation.operators import Mutant, mutants_of
from tests.solidity.forge import ROOT, require_forge

LEAST_SCORE = 0.95
LISTED = Path(__file__).with_name("survivors.toml")


def chosen(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Those that SAMPLE, SEED and ONLY ask for."""
    only, sample = os.environ.get("ONLY", ""), os.environ.get("SAMPLE")
    wanted = [mutant for mutant in mutants if re.search(only, mutant.name)]
    if sample:
        rng = random.Random(int(os.environ.get("SEED") or 0))
        wanted = rng.sample(wanted, min(int(sample), len(wanted)))
    return wanted


def main() -> None:
    """Try the mutants and print the table.

    Exits with 1 if the score is too low, a survivor unlisted, or a listed one killed or gone.
    """
    require_forge()
    started = time.monotonic()
    listed = {entry["mutant"]: entry for entry in tomllib.loads(LISTED.read_text())["survivor"]}
    every = mutants_of(ROOT)
    verdicts = judged(chosen(every))

    survivors = [verdict.change for verdict in verdicts if verdict.killed_by is None]
    equivalent = {name for name, entry in listed.items() if entry["verdict"] == "equivalent"}
    print(f"{'contract':18}{'tried':>8}{'killed':>8}{'equivalent':>12}{'accepted':>10}{'score':>9}")
    totals: Counter[str] = Counter()
    for contract in sorted({verdict.change.contract for verdict in verdicts}):
        tried = [verdict for verdict in verdicts if verdict.change.contract == contract]
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
    stale |= listed.keys() & {verdict.change.name for verdict in verdicts if verdict.killed_by}
    for name in unlisted:
        print(f"survives and is not listed: {name}")
    for name in sorted(stale):
        print(f"is listed but does not survive: {name}")
    if unlisted or stale or _score(totals) < LEAST_SCORE:
        sys.exit(1)


def _fate(verdict: Verdict[Mutant], equivalent: set[str]) -> str:
    if verdict.killed_by:
        return "killed"
    return "equivalent" if verdict.change.name in equivalent else "survived"


def _score(row: Counter[str]) -> float:
    return row["killed"] / max(1, row["killed"] + row["survived"])


def _row(name: str, row: Counter[str]) -> str:
    return (
        f"{name:18}{row.total():8,}{row['killed']:8,}{row['equivalent']:12,}{row['survived']:10,}"
        f"{_score(row):9.1%}"
    )


if __name__ == "__main__":
    main()
