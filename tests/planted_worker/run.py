"""Planted bugs of the worker, and how the drill's quick profile finds each: `make planted-worker`.

Exits with 1 if a bug is not found. ONLY=text plants those whose name contains it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.drill.unit_rows import UNIT_ROWS
from tests.planted_worker.bugs import CODE, ROOT, PlantedBug, copy_of_the_code, planted_bugs

SECONDS = 900
AT_ONCE = 2
WIDTH = 240
_DRILL = ("--json", "--fail-fast", "--lanes", "2")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the row says of a bug, None if nothing, and how long that took in seconds."""

    words: str | None
    seconds: float


def verdict(bug: PlantedBug) -> Verdict:
    """Plant it, and run its row."""
    started = time.monotonic()
    words = _found(bug)
    return Verdict(words, time.monotonic() - started)


def _found(bug: PlantedBug) -> str | None:
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        tree = copy_of_the_code(Path(folder))
        bug.plant(tree)
        environment = {**os.environ, "PYTHONPATH": str(tree / CODE.parent)}
        command = (
            [sys.executable, "-m", "pytest", "-q", "-x", *UNIT_ROWS[bug.row].tests]
            if bug.row in UNIT_ROWS
            else [
                sys.executable,
                "-m",
                "modelward",
                "drill",
                *_DRILL,
                "--faults",
                bug.row,
            ]
        )
        run = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    if run.returncode == 0:
        return None
    if bug.row in UNIT_ROWS:
        return next((line for line in run.stdout.splitlines() if line.startswith("FAILED")), None)
    try:
        (row,) = json.loads(run.stdout)["rows"]
    except (ValueError, KeyError):
        return None
    first = row["violations"][0]
    return f"{len(row['violations'])} violations, seed {first['seed']}: {first['what']}"


def main() -> None:
    """Plant every bug and print the table."""
    started = time.monotonic()
    only = os.environ.get("ONLY", "")
    bugs = [bug for bug in planted_bugs() if only in bug.name]
    missed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for bug, said in zip(bugs, pool.map(verdict, bugs), strict=True):
            missed += said.words is None
            line = f"{bug.row:13}{bug.name:52}{said.seconds:4.0f} s  {said.words or 'NOT FOUND'}"
            print(line[:WIDTH], flush=True)
    seconds = time.monotonic() - started
    print(f"{len(bugs) - missed} of {len(bugs)} planted bugs were found in {seconds:,.0f} s.")
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
