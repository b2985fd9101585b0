"""A chain served on loopback with a proxy before it, and a site with a crew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from modelward.devchain import DevChain, serve
from modelward.drill.crew import Crew, hired
from modelward.drill.faults import FaultPlan
from modelward.drill.proxy import Proxy
from modelward.drill.site import Site, open_site


@pytest.fixture(scope="session")
def node_url() -> Iterator[str]:
    with serve(DevChain()) as server:
        yield server.url


@pytest.fixture
def plan() -> FaultPlan:
    return FaultPlan(seed=7)


@pytest.fixture
def proxy(node_url, plan) -> Iterator[Proxy]:
    with Proxy(node_url, plan, delay_seconds=0.05, hang_seconds=5, lag=2) as running:
        yield running


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture
def random(site):
    with site.episode(11) as random:
        yield random


@pytest.fixture
def crew(site, random) -> Iterator[Crew]:
    with hired(site) as crew:
        yield crew
