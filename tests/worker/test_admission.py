"""What a worker takes on, what it leaves alone, and what it waits for."""

from __future__ import annotations

import pytest

from modelward.journal import State
from modelward.terms import GWEI, RequestStatus
from modelward.worker import Milestone, Policy

from .trading import FEE, PAYEE_BPS, job

WORKERS_SHARE = FEE - FEE * PAYEE_BPS // 10_000


def reason(worker, placed):
    """Why the request waits, as the journal tells."""
    waiting = job(worker.journal, placed)
    assert waiting.state is State.CONFIRMED
    return waiting.reason


@pytest.fixture
def unserved(market, trained):
    """The model, which nobody may serve."""
    return market.publish(trained.packaged.bundle)


def test_without_a_grant_to_serve_nothing_is_computed(market, unserved, trained, make_worker):
    placed = market.place(unserved, trained.row)
    worker = make_worker()

    report = worker.step()

    assert [point for point, _ in report.passed] == [Milestone.SEEN, Milestone.WAITING]
    assert "there is no grant" in reason(worker, placed)


def test_a_grant_that_comes_later_is_noticed_at_once(
    market, unserved, trained, make_worker, worker
):
    placed = market.place(unserved, trained.row)
    working = make_worker()
    working.step()

    market.let_serve(unserved, worker.address)
    working.step()

    assert market.status(placed) is RequestStatus.FULFILLED


def test_a_waiting_request_is_neither_asked_about_nor_logged_again_at_every_step(
    market, unserved, trained, make_worker, endpoint
):
    market.place(unserved, trained.row)
    worker = make_worker()
    worker.step()

    endpoint.calls.clear()
    assert worker.step().idle
    assert "eth_estimateGas" not in endpoint.asked


def test_a_revoked_worker_serves_no_more(market, model, trained, make_worker, worker):
    market.owner.send(market.share.revoke(worker.address, model.model_id))
    placed = market.place(model, trained.row)
    working = make_worker()
    working.step()
    assert "no grant" in reason(working, placed)


def test_an_expired_grant_serves_no_more(market, unserved, trained, make_worker, worker, devchain):
    market.let_serve(unserved, worker.address, expiry=devchain.time + 60)
    devchain.increase_time(120)
    placed = market.place(unserved, trained.row)
    working = make_worker()
    working.step()
    assert "expired" in reason(working, placed)


@pytest.mark.parametrize(("least", "answered"), [(WORKERS_SHARE, True), (WORKERS_SHARE + 1, False)])
def test_the_least_pay_is_of_the_workers_own_share(
    market, model, trained, make_worker, least, answered
):
    placed = market.place(model, trained.row)
    worker = make_worker(policy=Policy(min_pay=least))
    worker.step()
    assert (market.status(placed) is RequestStatus.FULFILLED) == answered
    if not answered:
        assert "less than" in reason(worker, placed)


@pytest.fixture
def cheap(market, trained, worker):
    """The model at a price far below the gas of an answer."""
    published = market.publish(trained.packaged.bundle, fee=1 * GWEI, name="cheap")
    market.let_serve(published, worker.address)
    return published


def test_what_does_not_pay_for_its_gas_is_left_alone_not_refused(
    market, cheap, trained, make_worker, worker
):
    placed = market.place(cheap, trained.row)
    malformed = market.place(cheap, trained.row, payload=b"")
    working = make_worker()

    working.step()

    assert worker.nonce() == 0
    for each in (placed, malformed):
        assert market.status(each) is RequestStatus.OPEN
        assert "costs about" in reason(working, each)


def test_who_allows_a_loss_answers_all_the_same(market, cheap, trained, make_worker):
    placed = market.place(cheap, trained.row)
    make_worker(policy=Policy(allow_loss=True)).step()
    assert market.status(placed) is RequestStatus.FULFILLED


def test_no_answer_is_begun_that_could_come_late(market, model, trained, make_worker):
    placed = market.place(model, trained.row, lifetime=20)
    worker = make_worker(policy=Policy(margin=30))
    worker.step()
    assert "too near" in reason(worker, placed)


def test_deadlines_are_told_by_blocks_not_by_the_clock_of_the_machine(
    market, model, trained, make_worker, devchain
):
    devchain.increase_time(7 * 24 * 3_600)
    placed = market.place(model, trained.row, lifetime=60)
    make_worker().step()
    assert market.status(placed) is RequestStatus.FULFILLED


def test_a_request_nobody_may_answer_expires_in_the_journal_too(
    market, unserved, trained, make_worker, devchain
):
    placed = market.place(unserved, trained.row, lifetime=600)
    worker = make_worker()
    worker.step()

    devchain.increase_time(601)
    report = worker.step()

    assert report.at(Milestone.ENDED) == (placed.id,)
    assert job(worker.journal, placed).state is State.EXPIRED


def test_what_another_worker_answered_is_lost_not_answered_again(
    market, model, trained, make_worker, outsider
):
    placed = market.place(model, trained.row)
    market.let_serve(model, outsider.address)
    worker = make_worker(policy=Policy(min_pay=FEE))  # sees it, and leaves it alone
    worker.step()
    outsider.send(market.escrow.fulfil(placed.offer, placed.request, b"\1" * 32, b"\0output"))

    worker = make_worker()
    worker.step()

    lost = job(worker.journal, placed)
    assert (lost.state, lost.reason) == (State.LOST, f"answered by {outsider.address}")
