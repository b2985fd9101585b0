"""Requests for one version are one batch, and what breaks or delays it delays nobody else."""

from __future__ import annotations

import threading
import time

import pytest

from modelward.chain.events import InferenceRefused
from modelward.journal import Refusal, State
from modelward.models.sandbox import Limits, Sandbox
from modelward.terms import RefusalReason, RequestStatus
from modelward.worker import Milestone
from tests.models.hostile import endless_tree, held_out_input, trapped_tree

from .trading import Placed, job


@pytest.fixture
def brief_sandbox():
    """A process whose predictions may take one second."""
    with Sandbox(Limits(seconds=1)) as sandbox:
        yield sandbox


@pytest.fixture
def serve(market, worker):
    """Publish another bundle and let the worker serve it."""

    def publish(bundle, name):
        other = market.publish(bundle, name=name)
        market.let_serve(other, worker.address)
        return other

    return publish


def test_requests_for_one_version_are_answered_together(market, model, trained, make_worker):
    requests = [market.place(model, trained.row) for _ in range(5)]
    report = make_worker().step()
    points = [point for point, _ in report.passed if point is not Milestone.SEEN]
    assert points[:10] == [Milestone.ANSWERED] * 5 + [Milestone.COMPUTED] * 5
    assert {market.status(placed) for placed in requests} == {RequestStatus.FULFILLED}


def test_a_poisoned_row_fails_alone_and_the_rest_of_its_batch_is_answered(
    market, make_worker, serve
):
    trap = trapped_tree()
    model = serve(trap.bundle, "trapped")
    rows = [trap.harmless_input] * 3 + [trap.trap_input] + [trap.harmless_input] * 2
    requests = [market.place(model, row, lifetime=1_000 + i) for i, row in enumerate(rows)]

    with Sandbox(Limits(seconds=2)) as sandbox, make_worker(sandbox=sandbox) as working:
        working.step()

    *honest, last = (market.status(placed) for placed in requests[:3] + requests[4:])
    assert {*honest, last} == {RequestStatus.FULFILLED}
    (refused,) = market.events(InferenceRefused, requests[3])
    assert refused.reason == RefusalReason.PREDICTION_FAILED
    answer = job(working.journal, requests[3]).answer
    assert isinstance(answer, Refusal)
    assert "SIG" in answer.detail


def test_endless_predictions_delay_nobody_else(
    market, model, trained, make_worker, serve, brief_sandbox
):
    hostile = serve(endless_tree(), "endless")
    order = []

    def observe(milestone, request_id):
        if milestone is Milestone.SENT:
            order.append(request_id)

    with make_worker(sandbox=brief_sandbox, observer=observe) as working:
        market.place(model, trained.row)
        working.step()  # from now on the honest version is known to be quick
        traps = [market.place(hostile, held_out_input(), lifetime=600 + i) for i in range(2)]
        later = [market.place(model, trained.row, lifetime=1_000 + i) for i in range(12)]
        working.step()

    assert {*order[1:13]} == {placed.id for placed in later}
    assert order[13:] == [placed.id for placed in traps]
    reasons = [market.events(InferenceRefused, placed)[0].reason for placed in traps]
    assert reasons == [RefusalReason.PREDICTION_FAILED] * 2


def test_the_operator_says_how_long_a_prediction_may_take(market, make_worker, serve):
    placed = market.place(serve(endless_tree(), "endless"), held_out_input())
    with make_worker(sandbox=None, limits=Limits(seconds=0.5)) as working:
        working.step()
        answer = job(working.journal, placed).answer
    assert isinstance(answer, Refusal)
    assert "longer than 0.5 s" in answer.detail


# --- stopping ------------------------------------------------------------------------------------


def test_a_patient_stop_finishes_what_was_begun_and_takes_nothing_new(
    market, model, trained, make_worker
):
    begun = [market.place(model, trained.row) for _ in range(2)]
    stop = threading.Event()
    new: list[Placed] = []

    def observe(milestone, _):
        if milestone is Milestone.ANSWERED and not new:
            stop.set()
            new.append(market.place(model, trained.row))

    working = make_worker(observer=observe)
    working.run(stop, patience=60)

    assert {market.status(placed) for placed in begun} == {RequestStatus.FULFILLED}
    assert market.status(new[0]) is RequestStatus.OPEN


def test_a_stop_waits_no_longer_than_its_patience_and_parks_the_rest(market, make_worker, serve):
    placed = market.place(serve(endless_tree(), "endless"), held_out_input())
    stop = threading.Event()
    with Sandbox(Limits(seconds=60)) as sandbox, make_worker(sandbox=sandbox) as working:
        running = threading.Thread(target=working.run, args=(stop,), kwargs={"patience": 0.5})
        running.start()
        time.sleep(3)
        stop.set()
        began = time.monotonic()
        running.join(30)
        assert time.monotonic() - began < 10
    assert not running.is_alive()
    assert job(working.journal, placed).state is State.CONFIRMED


def test_draining_without_taking_anything_new_leaves_requests_alone(
    market, model, trained, make_worker
):
    placed = market.place(model, trained.row)
    working = make_worker()
    working.drain(take_new=False)
    assert job(working.journal, placed).state is State.CONFIRMED
    working.drain()
    assert job(working.journal, placed).state is State.FINAL
