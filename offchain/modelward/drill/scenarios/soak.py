"""Many requests, and everything at once for as long as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

from modelward.chain.events import InferenceRequested
from modelward.drill.audit import LIFE, End, audit
from modelward.drill.crew import hired
from modelward.drill.faults import BATCH_FAULTS, RPC_FAULTS, Fault
from modelward.drill.findings import Findings
from modelward.drill.processes import employed
from modelward.drill.scenarios.reorganisations import reorganise
from modelward.drill.site import Placed, Site, open_site
from modelward.terms import RequestId

CONFIRMATIONS: Final = 4
_FAULTS: Final = (
    *RPC_FAULTS,
    *BATCH_FAULTS,
    Fault.DELAY,
    Fault.DUPLICATED_LOGS,
    Fault.REORDERED_LOGS,
    Fault.REMOVED_LOGS,
    Fault.SWALLOWED,
    Fault.UNDERPRICED,
)
_RATE: Final = 0.2
_STATES: Final = 256
"""States that the node keeps: with thousands of requests in it, one has several MiB."""
_OPEN_AT_ONCE: Final = 512
_AT_ONCE: Final = 32
"""Most requests placed between two blocks, in a soak of many."""
_BLOCKS: Final = 40
"""Least number of blocks with requests in them, as far as there are as many requests."""
_DEATHS: Final = 3
_SECONDS: Final = 300.0
_SECONDS_A_REQUEST: Final = 1.0
_MEMORY_GROWTH: Final = 32 << 20
"""Bytes by which a worker may have grown between the first and the last third of its life."""


def soak(requests: int) -> Callable[[Site, int], Findings]:
    """The scenario with so many requests, which leave the requester a day for each."""

    def run(_: Site, seed: int) -> Findings:
        with open_site(states=_STATES) as site:
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
        self._standing = _Standing(site)
        self._journal = site.folder / "soak.sqlite"
        self._found = Findings()
        self._memory: list[int] = []

    def run(self) -> Findings:
        site, found = self._site, self._found
        give_up = time.monotonic() + _SECONDS + _SECONDS_A_REQUEST * self._requests
        with hired(site, "soak", network={"confirmations": CONFIRMATIONS}) as crew:
            third = self._requests // 3
            for death in range(1, _DEATHS + 1):
                self._work_until(third * death // _DEATHS, give_up, placing=third)
            self._work_until(self._requests, give_up, placing=self._requests, to_the_end=True)
            site.plan.clear()
            found.counts["faults met"] = sum(site.plan.met.values())
            found.demand(crew.finish(), crew.without_end)
            found.add(audit(site, self._placed, [crew.journal]))
        self._check_memory()
        return found

    def _work_until(
        self, requests: int, give_up: float, *, placing: int, to_the_end: bool = False
    ) -> None:
        """Employ a worker until so many requests have ended, of some that are placed, and kill it.

        What it was at is left to the next one, unless it works `to_the_end`.
        """
        site, random = self._site, self._random
        at_once = max(1, min(_AT_ONCE, self._requests // _BLOCKS))
        with ExitStack() as stack:
            process = stack.enter_context(employed(site, self._journal))
            while time.monotonic() < give_up:
                standing = self._standing
                standing.look()
                if standing.ended >= requests and not (to_the_end and standing.open):
                    return
                self._place(min(random.randint(1, at_once), standing.room(placing)))
                site.mine(random.randint(1, 2))
                if random.random() < 0.05:
                    reorganise(site, random, self._placed, random.randint(1, CONFIRMATIONS - 1))
                memory = _memory_of(process.pid or 0)
                if memory is None:
                    process.join()
                    self._found.violations.append(f"a worker ended with {process.exitcode}")
                    return
                if to_the_end:
                    self._memory.append(memory)
                time.sleep(0.1)
            self._found.violations.append("requests were not answered in time")

    def _place(self, count: int) -> None:
        self._placed += self._site.place_many(self._random, count, lifetime=86_400)

    def _check_memory(self) -> None:
        third = len(self._memory) // 3
        if not third:
            return
        early, late = median(self._memory[:third]), median(self._memory[-third:])
        self._found.counts["memory in the first third, MiB"] = int(early) >> 20
        self._found.counts["memory in the last third, MiB"] = int(late) >> 20
        grown = int(late - early)
        self._found.demand(grown < _MEMORY_GROWTH, f"the worker grew by {grown >> 20} MiB")


class _Standing:
    """Which requests the chain holds: those `open`, and how many `ended`. Blocks that no
    reorganisation reaches are read once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._first = site.first_block
        self._settled: set[RequestId] = set()
        self._ended = 0
        self.open: set[RequestId] = set()
        self.ended = 0

    def look(self) -> None:
        """Read what is new."""
        head = self._site.head
        settled = max(self._first, head - CONFIRMATIONS + 1)
        self._ended += self._follow(self._settled, self._first, settled - 1)
        self._first = settled
        self.open = set(self._settled)
        self.ended = self._ended + self._follow(self.open, settled, head)

    def room(self, requests: int) -> int:
        """How many more to place, for so many in all."""
        return max(0, min(requests - self.ended - len(self.open), _OPEN_AT_ONCE - len(self.open)))

    def _follow(self, open_requests: set[RequestId], first: int, last: int) -> int:
        ended = 0
        for event in self._site.events(*LIFE, first=first, last=last):
            if isinstance(event, InferenceRequested):
                open_requests.add(event.request_id)
            elif isinstance(event, End) and event.request_id in open_requests:
                open_requests.remove(event.request_id)
                ended += 1
        return ended


def _memory_of(process_id: int) -> int | None:
    """Resident bytes of a process, None once it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    return None
