"""Two workers at once."""

from __future__ import annotations

from modelward.drill.audit import audit
from modelward.drill.crew import hired
from modelward.drill.findings import Findings
from modelward.drill.site import Placed, Site

_STEPS = 30


def share_a_key(site: Site, seed: int) -> Findings:
    """Two workers that know nothing of each other sign with one key."""
    return _compete(site, seed, "worker", "worker")


def share_a_model(site: Site, seed: int) -> Findings:
    """Two workers with a key each serve one model."""
    return _compete(site, seed, "worker", "outsider")


def _compete(site: Site, seed: int, first_role: str, second_role: str) -> Findings:
    found = Findings()
    with (
        site.episode(seed) as random,
        hired(site, "first", role=first_role) as first,
        hired(site, "second", role=second_role) as second,
    ):
        placed: list[Placed] = []
        for _ in range(_STEPS):
            if random.random() < 0.3:
                placed.append(site.place(random))
            if random.random() < 0.4:
                site.mine()
            random.choice((first, second)).step()
        done = first.finish() and second.finish() and first.finish()
        found.demand(done, "the workers did not come to an end within 60 s")
        found.add(audit(site, placed, [first.journal, second.journal]))
    return found
