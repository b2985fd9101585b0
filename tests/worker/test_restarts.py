"""Stopped dead at any milestone and started again, a worker answers once, with the same bytes."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from modelward.chain.events import InferenceFulfilled, InferenceRefused
from modelward.errors import RpcUnavailable
from modelward.journal import State, TransactionState
from modelward.terms import RefusalReason, frame_clear_output
from modelward.worker import Milestone, Policy

from .trading import job, reply_lost, unreachable


class Killed(BaseException):
    """Stands for a SIGKILL: nothing that catches errors catches it."""


def dying_at(milestone, times=1):
    """An observer that ends the worker at a milestone, so many times."""
    left = times

    def observe(passed, _):
        nonlocal left
        if passed is milestone and left:
            left -= 1
            raise Killed

    return observe


POINTS = [point for point in Milestone if point is not Milestone.WAITING]


@pytest.mark.parametrize("point", POINTS)
def test_a_request_is_answered_exactly_once(market, model, trained, make_worker, worker, point):
    placed = market.place(model, trained.row)
    with pytest.raises(Killed):
        make_worker(observer=dying_at(point)).drain()

    revived = make_worker()
    before = job(revived.journal, placed)
    signed_before = revived.journal.transactions(*TransactionState)
    revived.drain()

    (answer,) = market.events(InferenceFulfilled, placed)
    assert answer.output == frame_clear_output(trained.output)
    assert worker.nonce() == 1
    after = job(revived.journal, placed)
    assert after.state is State.FINAL
    if before.answer is not None:
        assert after.answer == before.answer
    if signed_before:
        assert answer.transaction_hash == signed_before[0].hash
    assert len(revived.journal.transactions(*TransactionState)) == 1


@pytest.mark.parametrize("point", [Milestone.COMPUTED, Milestone.SIGNED, Milestone.BROADCAST])
def test_a_request_is_refused_exactly_once(market, model, make_worker, worker, point):
    placed = market.place(model, b"")
    with pytest.raises(Killed):
        make_worker(observer=dying_at(point)).drain()

    make_worker().drain()

    (refused,) = market.events(InferenceRefused, placed)
    assert refused.reason == RefusalReason.INPUT_MALFORMED
    assert worker.nonce() == 1


def test_dying_at_every_milestone_in_turn_comes_to_the_same(
    market, model, trained, make_worker, worker
):
    placed = [market.place(model, trained.row) for _ in range(2)]
    deaths = 0
    for point in POINTS:
        try:
            make_worker(observer=dying_at(point), policy=Policy(batch=1)).drain()
        except Killed:
            deaths += 1
    make_worker(policy=Policy(batch=1)).drain()

    assert deaths >= 6
    assert worker.nonce() == 2
    assert [len(market.events(InferenceFulfilled, each)) for each in placed] == [1, 1]


def test_what_was_computed_is_not_computed_again(
    market, model, trained, make_worker, shared_sandbox, monkeypatch
):
    placed = market.place(model, trained.row)
    with pytest.raises(Killed):
        make_worker(observer=dying_at(Milestone.COMPUTED)).drain()

    monkeypatch.setattr(shared_sandbox, "predict", None)
    make_worker().drain()

    assert len(market.events(InferenceFulfilled, placed)) == 1


def test_what_was_signed_is_sent_although_the_chain_went_on(
    market, model, trained, make_worker, worker, devchain
):
    placed = market.place(model, trained.row)
    with pytest.raises(Killed):
        make_worker(observer=dying_at(Milestone.SIGNED)).drain()
    devchain.mine(5)
    again = market.place(model, trained.row)

    revived = make_worker()
    (signed,) = revived.journal.transactions(TransactionState.SIGNED)
    revived.drain()

    (answer,) = market.events(InferenceFulfilled, placed)
    assert answer.transaction_hash == signed.hash
    assert len(market.events(InferenceFulfilled, again)) == 1
    assert worker.nonce() == 2


@pytest.mark.parametrize("fault", [unreachable, reply_lost])
def test_an_endpoint_that_is_lost_while_sending_and_then_the_process(
    market, model, trained, make_worker, endpoint, worker, fault, monkeypatch
):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)
    placed = market.place(model, trained.row)
    endpoint.faults["eth_sendRawTransaction"] = fault
    found = fault is reply_lost  # by its hash, before anything is sent again
    with nullcontext() if found else pytest.raises(RpcUnavailable):
        make_worker().step()
    endpoint.faults.clear()

    make_worker().drain()

    assert len(market.events(InferenceFulfilled, placed)) == 1
    assert worker.nonce() == 1
