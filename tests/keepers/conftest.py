"""The market of `tests/market.py` and that of exact models, with requests that nobody answers."""

from __future__ import annotations

import pytest

from modelward.sdk import Requester
from tests.exact_market import *  # noqa: F403
from tests.market import *  # noqa: F403
from tests.market import MODEL


@pytest.fixture
def row(breast_cancer):
    return breast_cancer.inputs.iloc[0].to_dict()


@pytest.fixture
def keeper(market):
    """A connection of somebody who has nothing to do with the requests."""
    return market.connection("keeper")


@pytest.fixture
def expired(market, row):
    """Requests whose deadline has passed, of the requester unless told otherwise."""

    def expire(count=1, role="requester"):
        requester = Requester(market.connection(role))
        placed = [requester.send(MODEL, row, delay=100) for _ in range(count)]
        market.devchain.increase_time(101)
        market.devchain.mine()
        return placed

    return expire
