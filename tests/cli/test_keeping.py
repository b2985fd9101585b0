"""`modelward keeper`, as people type it."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from tests.market import MODEL, PRICE


@pytest.fixture
def expired(market, requester, breast_cancer):
    placed = requester.send(MODEL, breast_cancer.inputs.iloc[0].to_dict(), delay=100)
    market.devchain.increase_time(101)
    market.devchain.mine()
    return placed


def test_sweep_prints_what_was_refunded_and_what_it_cost(run, expired):
    swept = run("keeper", "sweep", "--all")
    assert swept.code == 0, swept.err
    assert f"0x{expired.id.hex()}" in swept.out
    assert "requester" in swept.out
    assert "0.001 ether" in swept.out
    assert "1 refunded for" in swept.out
    again = run("keeper", "sweep", "--all")
    assert again.code == 0
    assert "0 refunded for 0 wei" in again.out


def test_without_all_it_says_what_it_left(run, expired):
    left = run("keeper", "sweep", "--json")
    document = json.loads(left.out)
    assert document["refunded"] == []
    assert document["left"][0]["reason"] == "somebody else paid for it"
    own = json.loads(run("keeper", "sweep", "--json", "--account", "requester").out)
    assert own["refunded"][0]["amount"] == str(PRICE)


def test_watching_ends_with_the_first_signal(run, expired):
    timer = threading.Timer(2, signal.raise_signal, (signal.SIGTERM,))
    timer.start()
    watched = run("keeper", "sweep", "--all", "--watch", "--every", "1s")
    assert watched.code == 0
    assert "1 refunded for" in watched.out
