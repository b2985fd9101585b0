"""What a worker takes on, what it leaves alone, and what it waits for."""

from __future__ import annotations

from contextlib import suppress

import pytest
from eth_utils import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelward.abi_codec import encode
from modelward.chain.events import InferenceFulfilled
from modelward.chain.fees import Fees
from modelward.errors import RpcUnavailable
from modelward.journal import State
from modelward.terms import ETHER, GWEI, Access, RequestStatus, Right
from modelward.worker import Milestone, Policy

from .trading import FEE, PAYEE_BPS, failing, job, why

OPEN = RequestStatus.OPEN
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


# --- what it costs -------------------------------------------------------------------------------


def test_computing_counts_among_the_costs(market, model, trained, make_worker):
    placed = market.place(model, trained.row)
    worker = make_worker(policy=Policy(compute_cost=WORKERS_SHARE))
    worker.step()
    assert "of computing and pays" in reason(worker, placed)


@given(
    cost=st.integers(0, 2 * WORKERS_SHARE),
    computing=st.integers(0, WORKERS_SHARE),
    count=st.integers(1, 64),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_answer_is_sent_that_costs_a_wei_more_than_it_pays(priced_job, cost, computing, count):
    admission, job_ = priced_job
    admission.policy = Policy(compute_cost=computing)
    refused = admission.unprofitable([job_] * count, cost)
    assert (refused is None) == (cost + computing * count <= WORKERS_SHARE * count)


def test_answers_that_pay_only_together_wait_for_each_other(
    market, model, trained, make_worker, monkeypatch
):
    price = WORKERS_SHARE // 55_000  # one answer takes more gas than that, one of four takes less
    monkeypatch.setattr("modelward.worker.admission.choose_fees", lambda *_: Fees(price, price))
    requests = [market.place(model, trained.row)]
    working = make_worker()
    working.step()
    assert "answering costs about" in why(working.journal, requests[0])

    requests += [market.place(model, trained.row) for _ in range(3)]
    working.drain()

    answers = [event for each in requests for event in market.events(InferenceFulfilled, each)]
    assert len(answers) == 4
    assert len({event.transaction_hash for event in answers}) == 1


@pytest.fixture
def priced_job(market, model, trained, make_worker):
    placed = market.place(model, trained.row)
    working = make_worker(policy=Policy(min_pay=FEE))
    working.step()
    return working._admission, job(working.journal, placed)


def test_an_answer_is_held_back_when_gas_has_become_too_dear_since_it_was_computed(
    market, model, trained, make_worker, endpoint, worker, monkeypatch
):
    placed = market.place(model, trained.row)
    endpoint.faults["eth_getTransactionCount"] = failing("not now")
    make_worker().step()
    endpoint.faults.clear()
    monkeypatch.setattr("modelward.worker.admission.choose_fees", lambda *_: Fees(10**15, 10**12))

    working = make_worker()
    working.step()

    assert worker.nonce() == 0
    assert job(working.journal, placed).state is State.COMPUTED
    assert "answering costs about" in why(working.journal, placed)


# --- limits per requester ------------------------------------------------------------------------


def test_a_requester_has_so_many_requests_answered_in_a_period(
    market, model, trained, make_worker, devchain
):
    requests = [market.place(model, trained.row, lifetime=t) for t in (6_000, 7_000, 8_000)]
    policy = Policy(max_requests=2, period=3_600)
    worker = make_worker(policy=policy)
    worker.drain()
    assert [market.status(each) for each in requests] == [*[RequestStatus.FULFILLED] * 2, OPEN]
    assert "has had 2 requests answered within 3600 s" in reason(worker, requests[2])

    again = make_worker(policy=policy)  # which knows what the one before it has done
    again.drain()
    assert market.status(requests[2]) is OPEN

    devchain.increase_time(3_700)
    make_worker(policy=policy).drain()
    assert market.status(requests[2]) is RequestStatus.FULFILLED


def test_the_gas_for_one_requester_has_a_limit(market, model, trained, make_worker, worker):
    first, second = (market.place(model, trained.row, lifetime=t) for t in (6_000, 7_000))
    working = make_worker(policy=Policy(max_spend=WORKERS_SHARE // 4))
    working.drain()
    assert market.status(first) is RequestStatus.FULFILLED
    assert "the gas for its requester would come to" in reason(working, second)


def test_one_requesters_limit_is_not_anothers(market, model, trained, make_worker, outsider):
    first = market.place(model, trained.row)
    market.requester = outsider
    second = market.place(model, trained.row, requester=outsider.address, payer=outsider.address)
    make_worker(policy=Policy(max_requests=1)).drain()
    assert {market.status(each) for each in (first, second)} == {RequestStatus.FULFILLED}


@pytest.mark.parametrize(("budget", "refused"), [(0, 0), (10**14, 1), (ETHER, 3)])
def test_beyond_the_budget_for_refusals_requests_are_left_to_expire(
    market, model, trained, make_worker, devchain, budget, refused
):
    bad = [market.place(model, b"", lifetime=t) for t in (6_000, 7_000, 8_000)]
    good = market.place(model, trained.row, lifetime=9_000)
    worker = make_worker(policy=Policy(refusal_budget=budget))

    worker.drain()

    assert market.status(good) is RequestStatus.FULFILLED
    statuses = [market.status(each) for each in bad]
    assert statuses == [RequestStatus.REFUSED] * refused + [OPEN] * (3 - refused)
    for each in bad[refused:]:
        assert "left to expire rather than refused: refusals" in why(worker.journal, each)
    devchain.increase_time(8_100)
    worker.drain()
    ends = {job(worker.journal, each).state for each in bad}
    assert ends <= {State.REFUSED, State.EXPIRED}


@pytest.mark.parametrize("result", ["0x", "0x" + 64 * "f"])
def test_a_node_that_answers_calls_with_nonsense_is_waited_for(
    market, model, trained, make_worker, endpoint, worker, result
):
    requests = [market.place(model, trained.row) for _ in range(2)]
    endpoint.faults["eth_call"] = lambda answer: answer() | {"result": result}
    working = make_worker()
    with suppress(RpcUnavailable):
        working.step()
    assert worker.nonce() == 0

    endpoint.faults.clear()
    make_worker().drain()

    assert {market.status(each) for each in requests} == {RequestStatus.FULFILLED}


def test_a_node_that_does_not_know_of_a_grant_yet_is_asked_again_soon(
    market, model, trained, make_worker, endpoint
):
    worker = make_worker()
    placed = market.place(model, trained.row)
    endpoint.faults["eth_estimateGas"] = failing(
        "execution reverted", code=3, data=denied(worker, placed)
    )

    worker.step()
    assert reason(worker, placed) == (
        "The RPC endpoint did not know of a grant that it has shown before."
    )

    endpoint.faults.clear()
    make_worker().drain()
    assert market.status(placed) is RequestStatus.FULFILLED


def denied(worker, placed):
    """What the escrow answers whom it denies access."""
    parties = [placed.offer.owner, worker.journal.identity.account]
    types = "(address,address,bytes32,uint8,uint8)"
    values = (*parties, placed.offer.model_id, int(Right.SERVE), int(Access.NOT_GRANTED))
    return "0x" + (keccak(f"AccessDenied{types}".encode())[:4] + encode([types], [values])).hex()
