"""A request is answered: computed by the pinned model, committed to, paid for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

from modelward import commitments
from modelward.chain.events import InferenceFulfilled
from modelward.chain.fees import Fees
from modelward.config import Policy
from modelward.content.store import ContentStore
from modelward.journal import State
from modelward.models.bundle import LoadedBundle
from modelward.models.runner import Runner
from modelward.pipeline.package import package
from modelward.terms import INLINE_ONLY, RequestStatus, frame_clear_output
from modelward.worker import Milestone

from .trading import FEE, PAYEE_BPS, failing, job, why


def test_a_request_is_answered_with_the_pinned_models_output(market, model, trained, make_worker):
    placed = market.place(model, trained.row)

    make_worker().step()

    (answer,) = market.events(InferenceFulfilled, placed)
    assert answer.output == frame_clear_output(trained.output)
    assert answer.commitment == commitments.result_commitment(
        placed.id, trained.output, placed.secret
    )
    assert market.status(placed) is RequestStatus.FULFILLED


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
    assert report.at(Milestone.SENT) == (placed.id,)


def test_an_answer_is_final_once_a_confirmed_block_holds_it(
    market, model, trained, make_worker, devchain
):
    placed = market.place(model, trained.row)
    worker = make_worker(network={"confirmations": 3})

    devchain.mine(2)
    worker.step()
    assert job(worker.journal, placed).state is State.MINED
    devchain.mine(1)
    worker.step()
    assert job(worker.journal, placed).state is State.MINED
    devchain.mine(1)
    worker.step()
    assert job(worker.journal, placed).state is State.FINAL
    assert worker.step().idle


def test_a_request_is_not_touched_before_it_is_confirmed(
    market, model, trained, make_worker, devchain
):
    placed = market.place(model, trained.row)
    worker = make_worker(network={"confirmations": 3})

    assert worker.step().at(Milestone.COMPUTED) == ()
    assert job(worker.journal, placed).state is State.SEEN
    devchain.mine(2)
    assert worker.step().at(Milestone.SENT) == (placed.id,)


def test_every_open_request_is_answered_in_one_step(market, model, trained, make_worker, worker):
    requests = [market.place(model, trained.row) for _ in range(3)]

    make_worker(policy=Policy(batch=1)).step()

    assert {market.status(placed) for placed in requests} == {RequestStatus.FULFILLED}
    assert worker.nonce() == 3


def test_a_request_naming_this_worker_and_demanding_its_output_inline_is_answered(
    market, model, trained, make_worker, worker
):
    placed = market.place(model, trained.row, worker=worker.address, flags=INLINE_ONLY)
    make_worker().step()
    assert market.status(placed) is RequestStatus.FULFILLED


def test_a_request_naming_another_worker_is_none_of_ours(
    market, model, trained, make_worker, outsider
):
    placed = market.place(model, trained.row, worker=outsider.address)
    worker = make_worker()
    assert worker.step().idle
    assert worker.journal.job(placed.id) is None


def test_each_request_is_answered_by_the_version_it_pins(market, model, trained, make_worker):
    inputs, labels = load_wine(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(5, random_state=0).fit(inputs[::2], labels[::2])
    wine = package(forest, inputs[1::2], labels[1::2], name="wine", exact=False)
    (row,) = wine.manifest.input.rows(inputs[1:2].itertuples(index=False, name=None))
    expected = Runner(LoadedBundle(wine.bundle.hash, wine.manifest, forest)).predict([row])[0]
    other = market.publish(wine.bundle, name="wine")
    worker = make_worker()
    market.let_serve(other, worker.journal.identity.account)
    bottle = market.place(other, wine.manifest.input.encode_row(row))
    patient = market.place(model, trained.row)

    worker.step()

    outputs = {
        placed.id: event.output
        for placed in (bottle, patient)
        for event in market.events(InferenceFulfilled, placed)
    }
    assert outputs == {
        bottle.id: frame_clear_output(expected),
        patient.id: frame_clear_output(trained.output),
    }


def test_a_bundle_is_fetched_from_where_its_version_says(
    market, model, trained, make_worker, tmp_path
):
    placed = market.place(model, trained.row)
    make_worker(store=ContentStore(str(tmp_path / "empty"))).step()
    assert market.status(placed) is RequestStatus.FULFILLED


@pytest.mark.parametrize("gone", ["retired", "repriced"])
def test_an_open_request_is_answered_on_the_terms_it_was_placed_on(
    market, model, trained, make_worker, worker, gone
):
    placed = market.place(model, trained.row)
    if gone == "retired":
        market.owner.send(market.registry.retire_model(model.model_id))
    else:
        terms = replace(market.registry.model_of(model.model_id).terms, fee=7 * FEE)
        market.owner.send(market.registry.set_terms(model.model_id, terms))

    make_worker().step()

    assert market.status(placed) is RequestStatus.FULFILLED
    assert market.escrow.credit_of(worker.address) == FEE - FEE * PAYEE_BPS // 10_000


def test_what_ended_before_the_worker_came_is_passed_over(
    market, model, trained, make_worker, devchain, journal_file
):
    answered, refunded = (market.place(model, trained.row, lifetime=t) for t in (900, 600))
    make_worker().step()
    late = market.place(model, trained.row, lifetime=60)
    devchain.increase_time(3_600)
    market.requester.send(market.escrow.refund(late.id))
    journal_file.unlink()

    worker = make_worker()

    assert worker.step().idle
    assert [worker.journal.job(p.id) for p in (answered, refunded, late)] == [None] * 3


def test_several_requests_under_one_offer_are_answered_at_once_for_less(
    market, model, trained, make_worker, worker
):
    alone = market.place(model, trained.row)
    working = make_worker()
    working.step()
    requests = [market.place(model, trained.row) for _ in range(8)]

    working.drain()

    (by_itself,) = market.events(InferenceFulfilled, alone)
    together = [market.events(InferenceFulfilled, each)[0] for each in requests]
    assert len({answer.transaction_hash for answer in together}) == 1
    single, batch = (
        worker.receipt(answer.transaction_hash).gas_used for answer in (by_itself, together[0])
    )
    assert batch / 8 < single / 2
    assert {job(working.journal, each).state for each in requests} == {State.FINAL}
    assert working.journal.carried_by(together[0].transaction_hash) == {p.id for p in requests}


def test_at_most_so_many_answers_share_a_transaction(market, model, trained, make_worker, worker):
    for _ in range(5):
        market.place(model, trained.row)
    make_worker(policy=Policy(batch=2)).drain()
    assert worker.nonce() == 3


def test_only_answers_under_one_offer_share_a_transaction(
    market, model, trained, make_worker, worker
):
    requests = [market.place(model, trained.row) for _ in range(2)]
    terms = replace(market.registry.model_of(model.model_id).terms, fee=7 * FEE)
    market.owner.send(market.registry.set_terms(model.model_id, terms))
    requests += [market.place(model, trained.row) for _ in range(2)]

    make_worker().drain()

    assert {market.status(each) for each in requests} == {RequestStatus.FULFILLED}
    assert worker.nonce() == 2


def test_a_bad_answer_among_several_is_left_out(
    market, model, trained, make_worker, worker, outsider, devchain, endpoint
):
    market.let_serve(model, outsider.address)
    theirs, *ours = (market.place(model, trained.row, lifetime=t) for t in (600, 900, 900))
    devchain.mine(2)
    endpoint.faults["eth_getTransactionCount"] = failing("not now")
    make_worker(network={"confirmations": 3}).step()
    outsider.send(market.escrow.fulfil(theirs.offer, theirs.request, b"\1" * 32, b"\0theirs"))
    endpoint.faults.clear()

    working = make_worker(network={"confirmations": 3})
    working.step()

    assert {market.status(each) for each in ours} == {RequestStatus.FULFILLED}
    assert worker.nonce() == 1
    assert "is not open" in why(working.journal, theirs)


def test_an_answer_that_was_passed_over_is_dealt_with_alone(
    market, model, trained, make_worker, worker, outsider, chain
):
    market.let_serve(model, outsider.address)
    theirs, *ours = (market.place(model, trained.row, lifetime=t) for t in (600, 900, 900))
    chain.rpc("evm_setAutomine", [False])
    working = make_worker()
    working.step()
    first = outsider.sign(
        market.escrow.fulfil(theirs.offer, theirs.request, b"\1" * 32, b"\0theirs"),
        gas=200_000,
        nonce=outsider.nonce(),
        fees=Fees(10**12, 10**11),
    )
    outsider.broadcast(first)
    chain.rpc("evm_mine")
    chain.rpc("evm_setAutomine", [True])

    follow = working._settlement.follow()

    assert follow == [theirs.id]
    passed_over = job(working.journal, theirs)
    assert (passed_over.state, passed_over.failures) == (State.COMPUTED, 1)
    assert passed_over.reason == "it was passed over among others: not open"
    working.drain()
    assert {job(working.journal, each).state for each in ours} == {State.FINAL}
    assert job(working.journal, theirs).state is State.LOST
    assert worker.nonce() == 1
