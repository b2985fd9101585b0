"""A request is answered: computed by the pinned model, committed to, paid for."""

from __future__ import annotations

from modelward import commitments
from modelward.chain.events import InferenceFulfilled
from modelward.chain.logs import EventReader
from modelward.journal import State
from modelward.terms import RequestStatus
from modelward.worker import Milestone

from .conftest import FEE, PAYEE_BPS, expected_output, job


def answers(market, placed):
    """What the escrow said about a request's answer."""
    reader = EventReader(
        market.deployment.chain,
        {market.escrow.address: "InferenceEscrow"},
        (InferenceFulfilled,),
        (placed.id,),
    )
    return reader.read_all(0, market.deployment.chain.head().number)


def test_a_request_is_answered_with_the_pinned_models_output(market, model, trained, make_worker):
    placed = market.place(model, trained.row)

    make_worker().step()

    (answer,) = answers(market, placed)
    assert answer.output == expected_output(trained)
    assert answer.commitment == commitments.result_commitment(
        placed.id, trained.output, placed.secret
    )
    assert market.state(placed).status is RequestStatus.FULFILLED


def test_worker_and_payee_are_credited_the_whole_fee(market, model, trained, make_worker, worker):
    market.place(model, trained.row)

    make_worker().step()

    payees = FEE * PAYEE_BPS // 10_000
    assert market.escrow.credit_of(market.owner.address) == payees
    assert market.escrow.credit_of(worker.address) == FEE - payees


def test_a_step_reports_the_milestones_in_their_order(market, model, trained, make_worker):
    placed = market.place(model, trained.row)

    report = make_worker().step()

    assert [point for point, request in report.passed if request == placed.id] == [
        Milestone.SEEN,
        Milestone.ANSWERED,
        Milestone.COMPUTED,
        Milestone.PREPARED,
        Milestone.SIGNED,
        Milestone.BROADCAST,
        Milestone.SENT,
        Milestone.MINED,
        Milestone.ENDED,
    ]


def test_an_answer_is_final_in_the_journal_once_a_confirmed_block_holds_it(
    market, model, trained, make_worker
):
    placed = market.place(model, trained.row)
    worker = make_worker()

    worker.step()

    assert job(worker.journal, placed).state is State.FINAL
    assert worker.step().idle
