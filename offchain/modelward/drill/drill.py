"""Runs the rows of the drill's table, several runs at a time, and reports."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.resources import files
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final

from modelward.drill.findings import Findings
from modelward.drill.processes import end_with_parent
from modelward.drill.rows import FULL_REQUESTS, QUICK_REQUESTS, Row, rows
from modelward.drill.site import Site, open_site
from modelward.errors import BadInput, CheckFailed

LANES: Final = 3
"""Runs at a time: many of them mostly wait."""

_RUN_SECONDS: Final = 300
"""Longest one run may take, apart from a soak."""

_SEEDS: Final = "seeds.toml"

Progress = Callable[[str, str], None]
"""Told the row of a run that ended, and how far the drill has come."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What did not hold, in the run of a row with a seed."""

    seed: int
    what: str


@dataclass(slots=True)
class RowResult:
    """What all runs of a row found. `seconds` is the sum over its runs."""

    row: Row
    runs: int = 0
    seconds: float = 0.0
    findings: Findings = field(default_factory=Findings)
    violations: list[Violation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DrillReport:
    """All rows, in the table's order."""

    seed: int
    full: bool
    seconds: float
    results: tuple[RowResult, ...]

    @property
    def violations(self) -> list[tuple[str, Violation]]:
        """What did not hold, by row."""
        return [(each.row.name, v) for each in self.results for v in each.violations]

    def require(self) -> None:
        """Raise `CheckFailed` if anything did not hold."""
        if self.violations:
            row, first = self.violations[0]
            raise CheckFailed(
                f"{len(self.violations)} demands of the drill were not met; the first, with the "
                f"seed {first.seed}: {first.what}.",
                hint=f"Replay it: modelward drill --faults {row} --seed {first.seed} --runs 1",
            )


def recorded_seeds() -> dict[str, list[int]]:
    """Seeds that failed once, by row; every drill runs them again."""
    text = files("modelward.drill").joinpath(_SEEDS).read_text("utf-8")
    return {name: list(seeds) for name, seeds in tomllib.loads(text).items()}


def run_drill(
    faults: Sequence[str] = (),
    *,
    seed: int = 0,
    full: bool = False,
    runs: int | None = None,
    requests: int | None = None,
    lanes: int = LANES,
    queue: str | None = None,
    anvil: Path | None = None,
    fail_fast: bool = False,
    progress: Progress | None = None,
) -> DrillReport:
    """Run the rows named `faults`, or all.

    Run i of a row has the seed `seed` + i; seeds recorded as having failed come first, unless
    `runs` says how many runs to make. `requests` is the soak's size. `queue` is the URL of a
    PostgreSQL server, which the row of two workers on one queue needs. With `fail_fast` no run
    begins after the first violation.

    Raises `BadInput` for an unknown row, `AnvilMissing` or `RpcUnavailable`.
    """
    size = requests or (FULL_REQUESTS if full else QUICK_REQUESTS)
    chosen = _chosen(rows(size, queue), faults)
    started = time.monotonic()
    results = {row.name: RowResult(row) for row in chosen}
    tasks = [
        (row.name, number)
        for row in chosen
        for number in _seeds_of(row, seed=seed, full=full, runs=runs)
    ]
    with ProcessPoolExecutor(
        max_workers=max(1, min(lanes, len(tasks))),
        mp_context=multiprocessing.get_context("forkserver"),
        initializer=_open_lane,
        initargs=(anvil, size, queue),
    ) as pool:
        futures = {pool.submit(_run, name, number): (name, number) for name, number in tasks}
        for done, future in enumerate(_completed(futures), 1):
            name, number = futures[future]
            _take(results[name], number, future)
            if progress is not None:
                failed = sum(len(each.violations) for each in results.values())
                progress(name, f"{done} of {len(tasks)} runs, {failed} violations")
            if fail_fast and results[name].violations:
                break
    return DrillReport(seed, full, time.monotonic() - started, tuple(results.values()))


def _chosen(table: tuple[Row, ...], faults: Sequence[str]) -> list[Row]:
    known = {row.name: row for row in table}
    unknown = [name for name in faults if name not in known]
    if unknown:
        raise BadInput(
            f"The drill has no row {unknown[0]!r}.", hint=f"Known rows: {', '.join(known)}."
        )
    return [row for row in table if not faults or row.name in faults]


def _seeds_of(row: Row, *, seed: int, full: bool, runs: int | None) -> list[int]:
    if runs is not None:
        return list(range(seed, seed + runs))
    regular = range(seed, seed + (row.full if full else row.quick))
    replayed = recorded_seeds().get(row.name, [])
    return [*replayed, *(number for number in regular if number not in replayed)]


def _completed(futures: dict[Future[Outcome], tuple[str, int]]) -> Iterator[Future[Outcome]]:
    try:
        yield from as_completed(futures)
    finally:
        for future in futures:
            future.cancel()


# --- in a lane's own process ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run found, and how long it took in seconds."""

    findings: Findings
    seconds: float


@dataclass(slots=True)
class _Lane:
    site: Site
    rows: dict[str, Row]


_lanes: list[_Lane] = []
"""The lane of this process, once it is open."""


def _open_lane(anvil: Path | None, requests: int, queue: str | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("modelward").addHandler(logging.NullHandler())
    stack = ExitStack()
    site = stack.enter_context(open_site(anvil=anvil))
    Finalize(None, stack.close, exitpriority=100)
    end_with_parent(stack.close)
    _lanes.append(_Lane(site, {row.name: row for row in rows(requests, queue)}))


def _run(name: str, seed: int) -> Outcome:
    (lane,) = _lanes
    started = time.monotonic()
    row = lane.rows[name]
    try:
        with _time_limit(0 if name == "soak" else _RUN_SECONDS):
            findings = row.scenario(lane.site, seed)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the drill looks for
        where = traceback.extract_tb(error.__traceback__)[-1]
        findings = Findings(
            [f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"]
        )
    return Outcome(findings, time.monotonic() - started)


class _time_limit:  # noqa: N801 - it reads as a statement
    """Raises `TimeoutError` in a block that takes longer; 0 sets no limit."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        def give_up(*_: object) -> None:
            raise TimeoutError(f"it took longer than {self._seconds} s")

        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(self._seconds)

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)


def _take(result: RowResult, seed: int, future: Future[Outcome]) -> None:
    outcome = future.result()
    result.runs += 1
    result.seconds += outcome.seconds
    result.findings.add(outcome.findings)
    result.violations += [Violation(seed, what) for what in outcome.findings.violations]
