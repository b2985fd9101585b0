"""Two workers at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from modelward.drill.audit import audit
from modelward.drill.crew import PATIENCE, Crew, hired
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
    with (
        site.episode(seed) as random,
        hired(site, "first", role=first_role) as first,
        hired(site, "second", role=second_role) as second,
    ):
        return _work(site, random, first, second)


def share_a_queue(server: str) -> Callable[[Site, int], Findings]:
    """The scenario of two workers, with a key each, on one queue in a PostgreSQL server."""

    def run(site: Site, seed: int) -> Findings:
        with site.episode(seed) as random, _database(server, f"drill_{time.time_ns()}") as url:
            first, second = Crew(site, url), Crew(site, url, role="outsider")
            try:
                return _work(site, random, first, second)
            finally:
                first.close()
                second.close()

    return run


def _work(site: Site, random: Random, first: Crew, second: Crew) -> Findings:
    found = Findings()
    placed: list[Placed] = []
    for _ in range(_STEPS):
        if random.random() < 0.3:
            placed.append(site.place(random))
        if random.random() < 0.4:
            site.mine()
        random.choice((first, second)).step()
    give_up = time.monotonic() + PATIENCE
    done = False
    while not done and time.monotonic() < give_up:
        done = all(each.finish(seconds=5.0) for each in (first, second, first))
    left = f"the first: {first.left}; the second: {second.left}"
    found.demand(done, f"the workers did not come to an end within {PATIENCE:g} s: {left}")
    found.add(audit(site, placed, [first.journal, second.journal]))
    return found


@contextmanager
def _database(server: str, name: str) -> Iterator[str]:
    """The address of a database of its own, gone afterwards."""
    url = make_url(server)
    engine = create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()
