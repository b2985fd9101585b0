"""The chain takes back what it said: at random within the confirmations, and beyond the window."""

from __future__ import annotations

from random import Random
from typing import Final

from modelward.drill.audit import audit
from modelward.drill.crew import Crew, hired
from modelward.drill.findings import Findings
from modelward.drill.site import Placed, Site
from modelward.errors import ReorganisedTooDeep
from modelward.journal import TransactionState
from modelward.worker import Milestone

STEPS: Final = 20
_DEATHS: Final = tuple(Milestone)


def reorganise_at_random(site: Site, seed: int) -> Findings:
    """Twenty steps of placing, mining, working, dying and reorganising.

    The depth stays below the confirmations. What was mined is kept, moved, dropped, or replaced in
    the same slot by a request with another input.
    """
    with site.episode(seed) as random:
        confirmations = random.randint(2, 6)
        with hired(site, network={"confirmations": confirmations}) as crew:
            story = _Story(site, crew, random)
            for _ in range(STEPS):
                story.take_a_step(deepest=confirmations - 1)
            found = Findings()
            found.demand(crew.finish(), crew.without_end)
            found.add(audit(site, story.placed, [crew.journal]))
            found.counts.update(reorganisations=story.reorganisations, deaths=crew.deaths)
            return found


class _Story:
    """What happens, one step at a time."""

    def __init__(self, site: Site, crew: Crew, random: Random) -> None:
        self.placed: list[Placed] = []
        self.reorganisations = 0
        self._site = site
        self._crew = crew
        self._random = random

    def take_a_step(self, deepest: int) -> None:
        random = self._random
        kind = random.choices(("place", "mine", "work", "reorganise", "die"), (25, 20, 30, 20, 5))[
            0
        ]
        if kind == "place":
            for _ in range(random.randint(1, 3)):
                self.placed.append(self._site.place(random))
            if random.random() < 0.7:
                self._site.mine()
        elif kind == "mine":
            self._site.mine(random.randint(1, 3))
        elif kind == "work":
            self._crew.step()
        elif kind == "reorganise":
            reorganise(self._site, random, self.placed, random.randint(1, deepest))
            self.reorganisations += 1
        else:
            self._crew.die_at(random.choice(_DEATHS))


def reorganise_too_deep(site: Site, seed: int) -> Findings:
    """Every block that a worker remembers is replaced: it halts, says so and sends nothing."""
    found = Findings()
    with site.episode(seed) as random, hired(site) as crew:
        answered = site.place(random)
        site.mine()
        found.demand(crew.finish(), crew.without_end)
        while crew.journal.checkpoints()[-1].number <= site.first_block:
            site.mine()
            crew.step()

        oldest = crew.journal.checkpoints()[-1].number
        deepest = site.head - site.first_block
        other = site.request(random)  # empty blocks would have the hashes they had before
        site.reorganise(random.randint(site.head - oldest + 1, deepest), [[other.raw]])
        site.place(random)
        site.mine(random.randint(1, 5))
        for _ in range(3):
            try:
                crew.step()
            except ReorganisedTooDeep:
                found.counts["halts"] += 1
            else:
                found.violations.append("a worker went on after a reorganisation beyond its memory")
        sent = crew.journal.transactions(*TransactionState)
        jobs = {job.request_id for each in sent for job in crew.journal.jobs_of(each.hash)}
        found.demand(jobs <= {answered.id}, "a worker sent something before anybody had looked")
        pool = site.chain.rpc("txpool_status")
        found.demand(pool["pending"] == "0x0", "a transaction of the worker waits to be mined")
    return found


def reorganise(site: Site, random: Random, placed: list[Placed], depth: int) -> None:
    """Replace the newest blocks, none from before the episode.

    Each transaction in them is kept in some block, or dropped and sometimes sent again. A request
    may be swapped for another one of the same nonce, which is added to `placed`.
    """
    head = site.head
    depth = min(depth, head - site.first_block + 1)
    if depth < 1:
        return
    requests = {each.raw: each for each in placed}
    blocks: list[list[bytes]] = [[] for _ in range(depth)]
    broken: set[str] = set()
    dropped: list[bytes] = []
    lowest = 0
    for number in range(head - depth + 1, head + 1):
        for entry in site.block_transactions(number):
            raw = entry["raw"]
            fate = random.choices(("keep", "swap", "drop"), (60, 20, 20))[0]
            if entry["from"] in broken or fate == "drop":
                broken.add(entry["from"])
                dropped.append(raw)
                continue
            if fate == "swap" and raw in requests:
                other = site.request(random, nonce=requests[raw].nonce)
                placed.append(other)
                raw = other.raw
            lowest = random.randint(lowest, depth - 1)
            blocks[lowest].append(raw)
    site.reorganise(depth, blocks)
    if random.random() < 0.5:
        for raw in dropped:
            if raw in requests:
                site.submit(raw)
