"""A chain served on loopback, and a proxy before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from modelward.devchain import DevChain, serve
from modelward.drill.faults import FaultPlan
from modelward.drill.proxy import Proxy


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
