"""A worker answers exact requests through the referee, with a bond, from the program."""

from __future__ import annotations

import pytest

from modelward.chain.events import AnswerPosted
from modelward.journal import State
from modelward.keepers.watch import Deed, Watchtower
from modelward.sdk import disputes, verify
from modelward.terms import RefusalReason, RequestStatus
from modelward.worker import Worker, open_journal
from tests.exact_market import BOND


@pytest.fixture
def serving(market, published, sandbox, tmp_path):
    connection = market.connection("worker")
    chain, deployment = connection.chain, connection.deployment
    with open_journal(chain, deployment, connection.account, directory=tmp_path / "j") as journal:
        worker = Worker(
            chain, deployment, connection.account, connection.store, journal, sandbox=sandbox
        )
        with worker:
            yield worker


def test_without_a_bond_it_waits_and_with_one_it_answers(
    serving, placed, market, referee, requester, connection
):
    serving.drain()
    job = serving.journal.job(placed.id)
    assert job is not None
    assert job.state is State.CONFIRMED
    assert "0.02 ether are needed" in (job.reason or "")

    account = market.connection("worker")
    account.send(referee.deposit(BOND))
    serving._postponed.until.clear()
    serving.drain()

    [posted] = connection.events(AnswerPosted, about=[placed.id])
    assert posted.worker == account.address
    assert serving.journal.job(placed.id).state is State.FINAL
    assert disputes.judge(connection, placed.id).right
    assert verify(connection, placed.id).identical
    disputes.accept(requester.connection, placed.id)
    assert connection.escrow.request_of(placed.id).status is RequestStatus.FULFILLED
    assert account.escrow.credit_of(account.address) > 0
    assert referee.balance_of(account.address) == BOND


def test_its_answer_is_settled_by_a_keeper_of_its_own(serving, placed, market, referee, connection):
    account = market.connection("worker")
    account.send(referee.deposit(BOND))
    serving.drain()
    [posted] = connection.events(AnswerPosted, about=[placed.id])
    market.devchain.increase_time(posted.answer.settle_after - connection.now() + 1)
    assert [finding.deed for finding in Watchtower(account).look()] == [Deed.SETTLED]
    assert account.escrow.credit_of(account.address) > 0


def test_an_input_the_program_does_not_take_is_refused_through_the_referee(
    serving, published, requester, market, connection, monkeypatch, breast_cancer
):
    monkeypatch.setattr(
        "modelward.models.manifest.Manifest.canonical_input", lambda *_: b"\x02 no input"
    )
    placed = requester.send(published.reference, breast_cancer.inputs.iloc[[0]])
    monkeypatch.undo()
    market.connection("worker").send(connection.deployment.referee.deposit(BOND))
    serving.drain()
    assert connection.escrow.request_of(placed.id).status is RequestStatus.CORRECTED
    job = serving.journal.job(placed.id)
    assert job is not None
    assert job.state is State.REFUSED
    assert RefusalReason.INPUT_MALFORMED.name in (job.reason or "")
    assert requester.credit() == placed.fee
