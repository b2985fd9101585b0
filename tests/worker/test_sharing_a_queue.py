"""Several workers on one journal in PostgreSQL: every request is answered, and by one of them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from modelward.chain.connection import Chain
from modelward.chain.events import InferenceFulfilled
from modelward.chain.sender import Sender
from modelward.journal import Journal, State
from modelward.terms import RequestStatus
from modelward.worker import Milestone, Worker, identity_of

from .trading import job

ROUNDS = 25
LEASE = 1.0

Hire = Callable[..., Worker]


@pytest.fixture
def hire(deployment, store, endpoint, shared_sandbox, postgres) -> Iterator[Hire]:
    """`hire(sender)`: another worker on the queue, with that account."""
    queue = postgres.new_database()
    with ExitStack() as hired:

        def one_more(sender: Sender, *, lease: float = 60.0, **options: Any) -> Worker:
            chain = Chain.connect(deployment.chain.network, endpoint)
            there = replace(deployment, chain=chain)
            identity = identity_of(chain, there, sender.account)
            journal = hired.enter_context(Journal(queue, identity, lease=lease))
            options.setdefault("sandbox", shared_sandbox)
            return Worker(chain, there, sender.account, store, journal, **options)

        yield one_more


@pytest.fixture
def colleague(market, model, sponsor) -> Sender:
    """A second account that may answer."""
    market.let_serve(model, sponsor.address)
    return sponsor


def answered_by(market, placed):
    return [event.worker for event in market.events(InferenceFulfilled, placed)]


@pytest.mark.slow
@pytest.mark.parametrize("accounts", ["one", "two"])
def test_two_workers_answer_every_request_once(
    market, model, trained, hire, worker, colleague, accounts
):
    chance = random.Random(accounts)
    crew = [hire(worker), hire(worker if accounts == "one" else colleague)]
    requests = []
    for _ in range(ROUNDS):
        requests += [market.place(model, trained.row) for _ in range(chance.randint(1, 2))]
        crew[0]._intake.read()  # or whoever reads would be the one to answer
        for each in chance.choices(crew, k=2):
            each.step()
    for each in crew * 2:
        each.step()

    answers = [answered_by(market, placed) for placed in requests]
    assert [len(each) for each in answers] == [1] * len(requests)
    assert crew[0].journal.counts() == {State.FINAL: len(requests)}
    if accounts == "two":
        assert {each[0] for each in answers} == {worker.address, colleague.address}


def test_what_a_killed_worker_had_signed_is_sent_by_another_one(
    market, model, trained, hire, worker
):
    class Killed(BaseException):
        pass

    def die(milestone, _):
        if milestone is Milestone.SIGNED:
            raise Killed

    placed = market.place(model, trained.row)
    killed = hire(worker, lease=LEASE, observer=die)
    heir = hire(worker, lease=LEASE)
    with pytest.raises(Killed):
        killed.step()
    signed = job(killed.journal, placed).transaction_hash
    assert heir.step().idle  # the dead worker's leases still hold
    assert market.status(placed) is RequestStatus.OPEN

    time.sleep(1.5 * LEASE)
    heir.drain()

    (answer,) = market.events(InferenceFulfilled, placed)
    assert answer.transaction_hash == signed
    assert job(heir.journal, placed).state is State.FINAL


def test_a_request_for_one_account_waits_for_its_worker(
    market, model, trained, hire, worker, colleague
):
    first, second = hire(worker), hire(colleague)
    placed = market.place(model, trained.row, worker=colleague.address)
    first.step()
    assert market.status(placed) is RequestStatus.OPEN

    second.step()

    assert answered_by(market, placed) == [colleague.address]


def test_a_database_that_goes_away_is_waited_for(
    market, model, trained, hire, worker, postgres, monkeypatch
):
    monkeypatch.setattr("modelward.worker.service._FIRST_PAUSE", 0.05)
    working = hire(worker)
    stop = threading.Event()
    running = threading.Thread(target=working.run, args=(stop,))
    running.start()
    try:
        for _ in range(3):
            postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'modelward'"
            )
            time.sleep(0.2)
        placed = market.place(model, trained.row)
        give_up = time.monotonic() + 60
        while market.status(placed) is RequestStatus.OPEN and time.monotonic() < give_up:
            time.sleep(0.1)
        assert running.is_alive()
    finally:
        stop.set()
        running.join(30)
    assert market.status(placed) is RequestStatus.FULFILLED
