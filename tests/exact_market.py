"""An exact model on the market of `tests/market.py`, and answers to it that are right or wrong.

Fixtures for the conftest of a folder: `from tests.exact_market import *`.
"""

from __future__ import annotations

import pytest
from eth_abi.abi import decode, encode

from modelward.chain.events import AnswerPosted
from modelward.commitments import result_commitment
from modelward.sdk import DisputeTerms, read_history
from modelward.sdk.history import opened_input
from modelward.terms import ETHER, Right, frame_clear_output
from tests.market import PRICE

__all__ = ["placed", "post", "published", "referee"]

BOND = ETHER // 50
WINDOW = 3600
EXACT = DisputeTerms(WINDOW, BOND)
NAME = "exact-cancer"


def mine_after(market, timestamp):
    """Let time pass, and a block be the first after a timestamp."""
    market.devchain.increase_time(max(1, timestamp - market.connection().now() + 1))
    market.devchain.mine(1)


@pytest.fixture
def published(owner, breast_cancer):
    published = owner.publish(
        breast_cancer.estimator,
        breast_cancer.inputs,
        breast_cancer.labels,
        name=NAME,
        price=PRICE,
        open=True,
        private=False,
        disputes=EXACT,
    )
    owner.grant("worker", NAME, Right.SERVE)
    return published


@pytest.fixture
def referee(connection):
    return connection.deployment.referee


@pytest.fixture
def placed(published, requester, breast_cancer):
    return requester.send(published.reference, breast_cancer.inputs.iloc[[0]])


@pytest.fixture
def post(worker, referee):
    """Post an answer with a bond: the right one, or another output, or another commitment."""

    def post(placed, change=None, committed=None):
        history = read_history(worker.connection, placed.id)
        output = worker.predict(placed.id)
        if change is not None:
            output = change(output)
        secret = opened_input(worker.connection, history).secret
        commitment = committed or result_commitment(placed.id, output, secret)
        worker.connection.send(referee.deposit(BOND))
        requested = history.requested
        call = referee.answer(
            requested.offer, requested.request, commitment, frame_clear_output(output)
        )
        return worker.connection.event_in(worker.connection.send(call), AnswerPosted)

    return post


def one_more(output):
    """The same label, with a first score one unit higher and the last one lower."""
    version, label, units = decode(("uint8", "uint256", "int256[]"), output)
    wrong = (units[0] + 1, units[1] - 1)
    return encode(("uint8", "uint256", "int256[]"), (version, label, wrong))


def other_label(output):
    version, label, units = decode(("uint8", "uint256", "int256[]"), output)
    return encode(("uint8", "uint256", "int256[]"), (version, 1 - label, units))
