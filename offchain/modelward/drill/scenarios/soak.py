"""Many requests, and everything at once for as long as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final

from modelward.drill.audit import ChainTruth, audit
from modelward.drill.crew import hired
from modelward.drill.faults import RPC_FAULTS, Fault
from modelward.drill.findings import Findings
from modelward.drill.processes import employed
from modelward.drill.scenarios.reorganisations import reorganise
from modelward.drill.site import Placed, Site

CONFIRMATIONS: Final = 4
_FAULTS: Final = (
    *RPC_FAULTS,
    Fault.DELAY,
    Fault.DUPLICATED_LOGS,
    Fault.REORDERED_LOGS,
    Fault.REMOVED_LOGS,
    Fault.SWALLOWED,
    Fault.UNDERPRICED,
)
_RATE: Final = 0.2
_OPEN_AT_ONCE: Final = 64
_DEATHS: Final = 3
_SECONDS: Final = 300.0
_SECONDS_A_REQUEST: Final = 10.0
_MEMORY_GROWTH: Final = 64 << 20
"""Bytes by which a worker may have grown between a third of the soak and its end."""


def soak(requests: int) -> Callable[[Site, int], Findings]:
    """The scenario with so many requests, which leave the requester a day for each."""

    def run(site: Site, seed: int) -> Findings:
        site.configuration(CONFIRMATIONS)
        with site.episode(seed) as random:
            site.plan.by_chance(_RATE, _FAULTS)
            return _Soak(site, random, requests).run()

    return run


class _Soak:
    def __init__(self, site: Site, random: Random, requests: int) -> None:
        self._site = site
        self._random = random
        self._requests = requests
        self._placed: list[Placed] = []
        self._journal = site.folder / "soak.sqlite"
        self._found = Findings()
        self._memory: list[int] = []

    def run(self) -> Findings:
        site, found = self._site, self._found
        give_up = time.monotonic() + _SECONDS + _SECONDS_A_REQUEST * self._requests
        with hired(site, "soak", network={"confirmations": CONFIRMATIONS}) as crew:
            third = self._requests // 3
            for death in range(1, _DEATHS + 1):
                self._work_until(third * death // _DEATHS, give_up)
            self._work_until(self._requests, give_up, measured=True)
            site.plan.clear()
            found.counts["faults met"] = sum(site.plan.met.values())
            found.demand(crew.finish(), "the worker did not come to an end within 60 s")
            found.add(audit(site, self._placed, [crew.journal]))
        self._check_memory()
        return found

    def _work_until(self, requests: int, give_up: float, *, measured: bool = False) -> None:
        """Employ a worker until so many requests were placed and all have ended, and kill it."""
        site, random = self._site, self._random
        with ExitStack() as stack:
            process = stack.enter_context(employed(site, self._journal))
            while time.monotonic() < give_up:
                open_now = self._open()
                if len(self._placed) >= requests and not open_now:
                    return
                if len(self._placed) < requests and len(open_now) < _OPEN_AT_ONCE:
                    for _ in range(min(random.randint(1, 8), requests - len(self._placed))):
                        self._placed.append(site.place(random, lifetime=86_400))
                site.mine(random.randint(1, 2))
                if random.random() < 0.05:
                    reorganise(site, random, self._placed, random.randint(1, CONFIRMATIONS - 1))
                if measured:
                    self._memory.append(_memory_of(process.pid or 0))
                if not process.is_alive():
                    self._found.violations.append(f"a worker ended with {process.exitcode}")
                    return
                time.sleep(0.1)
            self._found.violations.append("requests were not answered in time")

    def _open(self) -> list[Placed]:
        truth = ChainTruth.of(self._site)
        return [e for e in self._placed if e.id in truth.placed and e.id not in truth.ends]

    def _check_memory(self) -> None:
        if not self._memory:
            return
        early, late = self._memory[len(self._memory) // 3], self._memory[-1]
        self._found.counts["memory at a third, MiB"] = early >> 20
        self._found.counts["memory at the end, MiB"] = late >> 20
        grown = late - early
        self._found.demand(grown < _MEMORY_GROWTH, f"the worker grew by {grown >> 20} MiB")


def _memory_of(process_id: int) -> int:
    """Resident bytes of a process."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    return 0
