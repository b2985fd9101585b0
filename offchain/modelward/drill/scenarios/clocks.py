"""The host's clock and the chain's differ by an hour."""

from __future__ import annotations

import time

from modelward.drill.audit import audit
from modelward.drill.crew import hired
from modelward.drill.findings import Findings
from modelward.drill.site import Site, open_site
from modelward.journal import TransactionState

HOUR = 3_600


def set_the_clock_wrong(_site: Site, seed: int) -> Findings:
    """A request in time, one whose deadline has passed, and one whose bundle comes late."""
    off = HOUR if seed % 2 else -HOUR
    found = Findings()
    now = str(int(time.time()) + off)
    with (
        open_site(arguments=("--timestamp", now)) as site,
        site.episode(seed) as random,
        hired(site) as crew,
    ):
        apart = site.chain.head().timestamp - time.time()
        found.demand(abs(apart - off) < 60, f"the clocks are {apart:g} s apart, not {off}")
        late = site.place(random, lifetime=20)
        site.mine()
        site.chain.rpc("evm_increaseTime", [25])
        site.mine()
        in_time = site.place(random, lifetime=120)
        with site.bundle_hidden():
            site.mine()
            for _ in range(3):
                crew.step()
            job = crew.journal.job(in_time.id)
            waits = job is not None and not job.state.is_end and job.answer is None
            found.demand(waits, "a request was not left to wait for its bundle")
        found.demand(crew.finish(restarts=False), crew.without_end)
        found.add(audit(site, [late, in_time], [crew.journal], unanswered=[late.id]))
        sent = crew.journal.transactions(*TransactionState)
        found.demand(len(sent) == 1, f"{len(sent)} transactions were signed for one request")
    return found
