"""An endpoint that fails, lags behind, or gives events twice, out of order or taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final

from modelward.config import Policy
from modelward.drill.audit import audit
from modelward.drill.crew import Crew, hired
from modelward.drill.faults import BATCH_FAULTS, RPC_FAULTS, Fault, FaultPlan
from modelward.drill.findings import Findings
from modelward.drill.proxy import Proxy
from modelward.drill.site import Placed, Site

_NETWORK: Final = {"timeout": 0.3}
_FALSE_EVENTS: Final = (Fault.DUPLICATED_LOGS, Fault.REORDERED_LOGS, Fault.REMOVED_LOGS)
_STEPS: Final = 12
_RATE: Final = 0.2
_ONE_BY_ONE: Final = Policy(batch=1)
"""Answers are not put into one transaction, and several transactions into one exchange."""
_TOGETHER: Final = 3
"""Requests placed in one block where transactions are to be sent in one exchange."""

BATCHED_FAULTS: Final = (*RPC_FAULTS, *BATCH_FAULTS)


def fail_once_at_every_method(site: Site, seed: int) -> Findings:
    """One kind of fault, met once by every method that an honest run used."""
    kind = RPC_FAULTS[seed % len(RPC_FAULTS)]
    return _fail(site, seed, dict.fromkeys(_methods_used(site, seed), (kind,)))


def fail_once_at_one_method(site: Site, seed: int) -> Findings:
    """One kind of fault, met once by one method; the seed goes through all pairs."""
    number, index = divmod(seed, len(RPC_FAULTS))
    methods = _methods_used(site, seed)
    return _fail(site, seed, {methods[number % len(methods)]: (RPC_FAULTS[index],)})


def fail_within_batches(site: Site, seed: int) -> Findings:
    """One kind of fault, met by one call of a batch of every method that is called in batches."""
    kind = BATCHED_FAULTS[seed % len(BATCHED_FAULTS)]
    batched = sorted((+_honest_plan(site, seed, together=_TOGETHER).batched).items())
    random = Random(seed)  # noqa: S311 - reproducible, not secret
    faults = {
        method: [*[None] * random.randrange(min(calls, _TOGETHER)), kind]
        for method, calls in batched
    }
    return _fail(site, seed, faults, together=_TOGETHER)


def fail_by_chance(site: Site, seed: int) -> Findings:
    """Every call meets one of ten faults with a probability of 20 %; with odd seeds transactions
    are sent together."""
    together = _TOGETHER if seed % 2 else 1
    with site.episode(seed) as random, _hired(site, together) as crew:
        site.plan.by_chance(_RATE)
        return _work(site, random, crew, kinds=RPC_FAULTS, together=together)


def fail_by_chance_at_two(site: Site, seed: int) -> Findings:
    """Either of two endpoints is down for a while, then both fail at 20 % of all calls."""
    found = Findings()
    with (
        site.episode(seed) as random,
        Proxy(site.proxy.node_url, FaultPlan(seed + 1)) as other,
        hired(site, network={**_NETWORK, "fallback_urls": (other.url,)}) as crew,
    ):
        plans = site.plan, other.plan
        placed = []
        for number, plan in enumerate(plans):
            crew.step()
            plan.by_chance(1.0)
            placed.append(site.place(random))
            done = crew.finish(restarts=False)
            found.demand(done, f"with endpoint {number + 1} down {crew.without_end}")
            plan.clear()
        for plan in plans:
            plan.by_chance(_RATE)
        found.add(_work(site, random, crew, RPC_FAULTS, plans=plans, placed=placed))
    return found


def lag_behind(site: Site, seed: int) -> Findings:
    """Some answers come from a node some blocks behind, some ranges of events are empty."""
    with site.episode(seed) as random, hired(site) as crew:
        site.proxy.lag = random.randint(1, 4)
        site.plan.by_chance(0.4, (Fault.LAGGING, Fault.EMPTY_LOGS))
        return _work(site, random, crew, kinds=(Fault.LAGGING, Fault.EMPTY_LOGS))


def falsify_events(site: Site, seed: int) -> Findings:
    """Events come several times, out of order, and beside others that were taken back."""
    with site.episode(seed) as random, hired(site) as crew:
        site.plan.by_chance(0.8, _FALSE_EVENTS)
        return _work(site, random, crew, kinds=_FALSE_EVENTS)


def _methods_used(site: Site, seed: int) -> list[str]:
    return sorted(_honest_plan(site, seed).calls)


def _honest_plan(site: Site, seed: int, *, together: int = 1) -> FaultPlan:
    with site.episode(seed) as random, _hired(site, together) as crew:
        _trade(site, random, crew, together)
        return site.plan


@contextmanager
def _hired(site: Site, together: int) -> Iterator[Crew]:
    policy = Policy() if together == 1 else _ONE_BY_ONE
    with hired(site, network=_NETWORK, policy=policy) as crew:
        yield crew


def _trade(site: Site, random: Random, crew: Crew, together: int) -> tuple[list[Placed], bool]:
    """Two requests, or some `together` twice, of which the first are followed while they wait to be
    mined."""
    placed = site.place_many(random, together)
    site.mine()
    for _ in range(3):
        crew.step()
    placed += site.place_many(random, together)
    return placed, crew.finish(restarts=False)


def _fail(
    site: Site, seed: int, faults: Mapping[str, Sequence[Fault | None]], *, together: int = 1
) -> Findings:
    found = Findings()
    with site.episode(seed) as random, _hired(site, together) as crew:
        for method, scheduled in faults.items():
            site.plan.schedule(method, *scheduled, batched=together > 1)
        placed, done = _trade(site, random, crew, together)
        found.demand(done, f"after {faults} {crew.without_end}")
        found.demand(not site.plan.waiting, f"not all of {faults} were met")
        found.counts["faults met"] += sum(site.plan.met.values())
        found.add(audit(site, placed, [crew.journal]))
    return found


def _work(
    site: Site,
    random: Random,
    crew: Crew,
    kinds: Sequence[Fault],
    *,
    plans: Sequence[FaultPlan] = (),
    placed: Sequence[Placed] = (),
    together: int = 1,
) -> Findings:
    """Place more, up to so many `together`, mine and work in turns under the plans, the site's by
    default, then honestly to the end."""
    found = Findings()
    placed = list(placed)
    for _ in range(_STEPS):
        if random.random() < 0.4:
            placed += site.place_many(random, random.randint(1, together))
        if random.random() < 0.6:
            site.mine(random.randint(1, 2))
        crew.step()
    placed.append(site.place(random))
    site.mine()
    for plan in plans or (site.plan,):
        found.counts["faults met"] += sum(
            count for (_, kind), count in plan.met.items() if kind in kinds
        )
        plan.clear()
    done = crew.finish(restarts=False)
    found.demand(done, crew.without_end)
    found.add(audit(site, placed, [crew.journal]))
    return found
