"""SIGKILL, at every named point of a request's way, also between the sends of one exchange."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

from modelward.config import Policy
from modelward.drill.audit import ChainTruth, audit
from modelward.drill.crew import hired
from modelward.drill.findings import Findings
from modelward.drill.processes import POINTS, SECONDS, Call, Point, employed, mine_until
from modelward.drill.site import Placed, Site
from modelward.worker import Milestone

CONFIRMATIONS = 2


def kill(site: Site, seed: int) -> Findings:
    """Four deaths in a row on one journal, each with new requests, then a worker that lives.

    There is one new request, or as many as must be sent at once for the point to be there; they
    are answered one by one then. Seeds that follow each other go through all points.
    """
    found = Findings()
    placed: list[Placed] = []
    journal = site.folder / "deaths.sqlite"
    site.configuration(CONFIRMATIONS)
    with site.episode(seed) as random, hired(site, "deaths") as crew:
        for number in range(4):
            point = POINTS[(4 * seed + number) % len(POINTS)]
            behind = point.before if isinstance(point, Call) else None
            placed += site.place_many(random, 1 if behind is None else behind + 1)
            batch = Policy().batch if behind is None else 1
            _kill_at(site, point, journal, batch, found)
        placed.append(site.place(random))
        with employed(site, journal) as process:
            everything = {each.id for each in placed}
            done = mine_until(site, lambda: everything <= ChainTruth.of(site).ends.keys())
            found.demand(done, f"requests were not answered within {SECONDS:g} s")
            site.mine(CONFIRMATIONS)
            process.terminate()
            mine_until(site, lambda: not process.is_alive())
            found.demand(process.exitcode == 0, f"a worker ended with {process.exitcode}")
        crew.finish()
        found.add(audit(site, placed, [crew.journal]))
    return found


def _kill_at(site: Site, point: Point, journal: Path, batch: int, found: Findings) -> None:
    with ExitStack() as circumstances:
        if point is Milestone.WAITING:
            circumstances.enter_context(site.bundle_hidden())
        process = circumstances.enter_context(employed(site, journal, dies_at=point, batch=batch))
        mine_until(site, lambda: not process.is_alive())
        killed = process.exitcode == -signal.SIGKILL
        found.demand(killed, f"a worker did not come to {point} within {SECONDS:g} s")
        found.counts["kills"] += killed
