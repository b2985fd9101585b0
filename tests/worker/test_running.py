"""The loop: until it is told to stop, through outages, and no further than a halt."""

from __future__ import annotations

import itertools
import threading

import pytest

from modelward.errors import JournalUnavailable, RpcUnavailable
from modelward.terms import RequestStatus
from modelward.worker import Milestone

from .trading import unreachable

LONG_ENOUGH = 20
"""Calls that fail until one was given up, whatever it was."""


def run_in_background(worker):
    """Run a worker in a thread of its own; returns the event that stops it, and the thread."""
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    return stop, thread


def test_it_runs_until_it_is_told_to_stop(market, model, trained, make_worker):
    ended = threading.Event()

    def observe(milestone, _):
        if milestone is Milestone.ENDED:
            ended.set()

    stop, thread = run_in_background(make_worker(observer=observe))
    try:
        placed = market.place(model, trained.row)
        assert ended.wait(60)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert market.status(placed) is RequestStatus.FULFILLED


def test_it_outlasts_an_outage_of_its_endpoint(
    market, model, trained, make_worker, endpoint, monkeypatch, caplog
):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)
    monkeypatch.setattr("modelward.worker.service._FIRST_PAUSE", 0.01)
    failed, ended = threading.Event(), threading.Event()
    calls = itertools.count()

    def fail(answer):
        if next(calls) == LONG_ENOUGH:
            failed.set()
        return unreachable(answer)

    def observe(milestone, _):
        if milestone is Milestone.ENDED:
            ended.set()

    worker = make_worker(observer=observe)
    endpoint.faults["*"] = fail
    stop, thread = run_in_background(worker)
    try:
        placed = market.place(model, trained.row)
        assert failed.wait(60)
        endpoint.faults.clear()
        assert ended.wait(60)
    finally:
        stop.set()
        thread.join(60)
    assert market.status(placed) is RequestStatus.FULFILLED
    assert "cannot be used" in caplog.text


def test_a_stop_comes_before_the_next_request(market, model, trained, make_worker, worker):
    requests = [market.place(model, trained.row)]
    stop = threading.Event()

    def observe(milestone, _):
        if milestone is Milestone.SENT:
            stop.set()
            requests.append(market.place(model, trained.row))

    make_worker(observer=observe).run(stop)

    assert worker.nonce() == 1
    assert list(map(market.status, requests)) == [RequestStatus.FULFILLED, RequestStatus.OPEN]


def test_a_journal_that_fails_ends_the_loop(market, model, trained, make_worker):
    market.place(model, trained.row)
    worker = make_worker()
    worker.journal.close()
    worker.journal.file.unlink()
    worker.journal.file.with_name("journal.sqlite-wal").unlink(missing_ok=True)
    with pytest.raises(JournalUnavailable):
        worker.run(threading.Event())


def test_draining_ends_when_nothing_is_left_to_do(market, model, trained, make_worker, devchain):
    placed = market.place(model, trained.row)
    worker = make_worker(network={"confirmations": 3, "poll_interval": 0.01})
    devchain.mine(2)

    def mine_on():
        while not done.wait(0.02):
            devchain.mine(1)

    done = threading.Event()
    miner = threading.Thread(target=mine_on)
    miner.start()
    try:
        report = worker.drain()
    finally:
        done.set()
        miner.join()
    assert report.at(Milestone.ENDED) == (placed.id,)


class Patience:
    """A stop that comes after so many pauses, none of which takes any time."""

    def __init__(self, pauses):
        self.left, self.seconds = pauses, []

    def is_set(self):
        return len(self.seconds) >= self.left

    def wait(self, timeout=None):
        self.seconds.append(timeout)
        return self.is_set()


def test_pauses_grow_only_while_the_endpoint_fails_at_most_calls(
    make_worker, endpoint, monkeypatch
):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)
    worker = make_worker()
    strange = {
        "address": f"0x{'ab' * 20}",
        "blockHash": f"0x{'01' * 32}",
        "blockNumber": "0x1",
        "data": "0x",
        "logIndex": "0x0",
        "topics": [],
        "transactionHash": f"0x{'02' * 32}",
        "transactionIndex": "0x0",
    }
    endpoint.faults["eth_getLogs"] = lambda _: {"jsonrpc": "2.0", "id": 1, "result": [strange]}
    one_bad_answer_a_step = Patience(5)
    worker._keep_stepping(one_bad_answer_a_step)
    assert one_bad_answer_a_step.seconds == 5 * [1.0]

    endpoint.faults["*"] = unreachable
    outage = Patience(5)
    worker._keep_stepping(outage)
    assert outage.seconds == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_draining_does_not_outlast_an_outage(make_worker, endpoint, monkeypatch):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)
    worker = make_worker()
    endpoint.faults["*"] = unreachable
    with pytest.raises(RpcUnavailable):
        worker.drain()
