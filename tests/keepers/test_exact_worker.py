"""A worker answers exact requests through the referee, with a bond, from the program."""

from __future__ import annotations

import math

import pytest

from modelward.chain.events import AnswerPosted, BondReleased
from modelward.journal import Checkpoint, Journal, State
from modelward.journal.states import PENDING
from modelward.keepers.watch import Deed, Watchtower
from modelward.sdk import disputes, verify
from modelward.terms import SETTLE_TIME, RefusalReason, RequestStatus
from modelward.worker import Worker, open_journal
from modelward.worker.intake import Intake, Reading
from modelward.worker.reconciliation import Reconciliation
from tests.exact_market import BOND, mine_after


def hired(connection, journal, sandbox):
    """A worker for the connection's account."""
    place = connection.chain, connection.deployment, connection.account, connection.store
    return Worker(*place, journal, sandbox=sandbox)


@pytest.fixture
def serving(market, published, sandbox, tmp_path):
    connection = market.connection("worker")
    chain, deployment = connection.chain, connection.deployment
    with (
        open_journal(chain, deployment, connection.account, directory=tmp_path / "j") as journal,
        hired(connection, journal, sandbox) as worker,
    ):
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
    assert serving.journal.job(placed.id).state is State.HELD
    assert disputes.judge(connection, placed.id).right
    assert verify(connection, placed.id).identical
    disputes.accept(requester.connection, placed.id)
    serving.drain()
    assert serving.journal.job(placed.id).state is State.FINAL
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


@pytest.fixture
def posted(serving, placed, market, referee, connection):
    """An answer of the worker that the referee holds."""
    market.connection("worker").send(referee.deposit(BOND))
    serving.drain()
    [event] = connection.events(AnswerPosted, about=[placed.id])
    return event


def pass_the_window(market, posted):
    mine_after(market, posted.answer.settle_after)


def test_its_answer_is_settled_by_itself_once_nobody_can_challenge_it(
    serving, placed, posted, market, referee, connection
):
    assert serving.drain().idle
    assert serving.journal.settleable(posted.answer.settle_after) == []
    assert connection.escrow.request_of(placed.id).status is RequestStatus.HELD

    pass_the_window(market, posted)
    serving.drain()

    assert connection.escrow.request_of(placed.id).status is RequestStatus.FULFILLED
    job = serving.journal.job(placed.id)
    assert job.state is State.FINAL
    share = job.offer.worker_share
    assert connection.escrow.credit_of(posted.worker) == share
    assert referee.balance_of(posted.worker) == BOND
    money = serving.journal.balance()
    assert money.earned == {job.offer.token: share}
    assert money.spent > 0


def test_settling_that_costs_more_than_it_pays_is_left(
    serving, placed, posted, market, monkeypatch
):
    pass_the_window(market, posted)
    monkeypatch.setattr("modelward.config.Policy.pay", lambda *_: 1)
    serving.drain()
    job = serving.journal.job(placed.id)
    assert job.state is State.HELD
    assert "answering costs" in job.reason

    monkeypatch.undo()
    assert serving.journal.retry(placed.id)
    serving.drain()
    assert serving.journal.job(placed.id).state is State.FINAL


def test_a_journal_begun_anew_settles_what_was_posted_before(
    placed, posted, market, sandbox, connection, tmp_path
):
    account = market.connection("worker")
    place = tmp_path / "another"
    with (
        open_journal(
            account.chain, account.deployment, account.account, directory=place
        ) as journal,
        hired(account, journal, sandbox) as other,
    ):
        other.drain()
        assert journal.counts() == {State.HELD: 1}
        pass_the_window(market, posted)
        other.drain()
        assert journal.counts() == {State.FINAL: 1}


def let_lapse(market, posted):
    mine_after(market, posted.answer.settle_after + SETTLE_TIME)


def look_after_bonds(worker, market):
    """What the worker does within its next minute, and another block."""
    worker._bonds_seen = -math.inf
    worker.step()
    market.devchain.mine(1)
    worker.step()


@pytest.mark.parametrize("refunded", [False, True])
def test_the_bond_of_an_answer_that_could_not_be_settled_is_taken_back(
    serving, placed, posted, market, referee, connection, refunded
):
    let_lapse(market, posted)
    if refunded:
        outsider = market.connection("outsider")
        outsider.send(outsider.escrow.refund(placed.id))
    assert referee.balance_of(posted.worker) == 0

    serving.step()
    assert serving.journal.job(placed.id).state is State.EXPIRED
    look_after_bonds(serving, market)

    assert referee.balance_of(posted.worker) == BOND
    [released] = connection.events(BondReleased, about=[placed.id])
    look_after_bonds(serving, market)
    assert serving.journal.lapsed_holds() == []
    assert serving.journal.count_in_flight().total() == 0
    assert list(connection.events(BondReleased, about=[placed.id])) == [released]


def test_a_release_on_its_way_is_not_sent_again_by_a_worker_that_died_meanwhile(
    serving, placed, posted, market, referee, connection, sandbox, tmp_path
):
    let_lapse(market, posted)
    serving.step()
    connection.chain.rpc("evm_setAutomine", [False])
    serving._bonds_seen = -math.inf
    serving.step()
    [release] = serving.journal.transactions(*PENDING)
    account, identity = market.connection("worker"), serving.journal.identity
    serving.journal.close()

    place = next((tmp_path / "j").glob("*.sqlite"))
    with (
        Journal(place, identity) as journal,
        hired(account, journal, sandbox) as other,
    ):
        other.step()
        assert journal.transactions(*PENDING) == [release]
        look_after_bonds(other, market)
        look_after_bonds(other, market)
        assert journal.lapsed_holds() == []
    assert referee.balance_of(posted.worker) == BOND


def test_a_bond_that_is_not_worth_the_gas_stays_and_is_looked_at_again_later(
    serving, placed, posted, market, referee, monkeypatch, caplog
):
    let_lapse(market, posted)
    serving.step()
    with monkeypatch.context() as dear:
        dear.setattr("modelward.chain.fees.Fees.price", lambda *_: BOND)
        look_after_bonds(serving, market)
    assert "its bond of 0.02 ether is left for now" in caplog.text
    look_after_bonds(serving, market)
    assert referee.balance_of(posted.worker) == 0

    serving._bonds._left_until.clear()
    look_after_bonds(serving, market)
    assert referee.balance_of(posted.worker) == BOND


def test_a_bond_that_somebody_else_had_released_is_noticed(
    serving, placed, posted, market, referee, connection
):
    let_lapse(market, posted)
    serving.step()
    assert len(serving.journal.lapsed_holds()) == 1
    disputes.release(market.connection("outsider"), posted)

    look_after_bonds(serving, market)

    assert serving.journal.lapsed_holds() == []
    assert serving.journal.transactions(*PENDING) == []


@pytest.fixture
def unheard(monkeypatch, serving, placed, market, referee, connection):
    """An answer of the worker that the referee holds, which the worker has not read."""
    market.connection("worker").send(referee.deposit(BOND))
    with monkeypatch.context() as deaf:
        deaf.setattr(Intake, "holds", lambda *_: [])
        while not serving.step().idle:
            pass
    [event] = connection.events(AnswerPosted, about=[placed.id])
    assert serving.journal.job(placed.id).state is State.MINED
    return event


def let_expire(serving, placed, market):
    mine_after(market, serving.journal.job(placed.id).request.deadline)
    serving.step()
    assert serving.journal.job(placed.id).state is State.EXPIRED


@pytest.mark.parametrize("late", [False, True])
def test_an_answer_whose_hold_was_missed_is_found_and_settled(
    serving, placed, unheard, market, late
):
    if late:
        let_expire(serving, placed, market)

    assert serving._reconciliation.look().rewound == (placed.id,)

    job = serving.journal.job(placed.id)
    assert job.state is State.HELD
    assert (job.settle_after, job.bond) == (unheard.answer.settle_after, BOND)
    assert serving._reconciliation.look() == Reading()
    pass_the_window(market, unheard)
    serving.drain()
    assert serving.journal.job(placed.id).state is State.FINAL


def test_an_answer_that_was_paid_after_both_hold_and_end_were_missed_is_final(
    serving, placed, unheard, market, connection, monkeypatch
):
    pass_the_window(market, unheard)
    let_expire(serving, placed, market)
    disputes.settle(market.connection("requester"), placed.id)
    with monkeypatch.context() as deaf:
        deaf.setattr(Intake, "endings", lambda *_: [])
        serving.step()
    assert serving.journal.job(placed.id).state is State.EXPIRED

    serving._reconciliation.look()

    assert serving.journal.job(placed.id).state is State.FINAL
    assert serving.journal.expired_unheld(0) == []


@pytest.fixture
def bystander(market, tmp_path):
    """Intake, reconciliation and journal of an account that answers nothing."""
    connection = market.connection("outsider")
    parts = connection.chain, connection.deployment
    with open_journal(*parts, connection.account, directory=tmp_path / "bystander") as journal:
        intake = Intake(*parts, connection.address, journal)
        yield intake, Reconciliation(*parts, journal, intake), journal


def test_a_missed_hold_of_anothers_answer_ends_the_request(placed, post, bystander, connection):
    intake, reconciliation, journal = bystander
    intake.read()
    post(placed)
    cursor, head = journal.cursor(), connection.chain.head()
    journal.advance(cursor.number + 1, Checkpoint(head.number, head.hash, head.timestamp))
    assert journal.job(placed.id).state is State.CONFIRMED

    assert reconciliation.look().ended == (placed.id,)

    assert journal.job(placed.id).state is State.LOST
    assert reconciliation.look() == Reading()


def test_a_reorganisation_that_drops_the_hold_has_it_answered_again(
    serving, placed, posted, market, connection
):
    market.devchain.mine(1)
    serving.drain()
    depth = connection.chain.head().number - posted.block_number + 1
    connection.chain.rpc("anvil_reorg", [depth, []])
    serving.drain()
    again = connection.events(AnswerPosted, about=[placed.id])
    assert len(again) == 1
    assert again[0].block_hash != posted.block_hash
    job = serving.journal.job(placed.id)
    assert job.state is State.HELD
    assert job.settle_after == again[0].answer.settle_after


def test_an_answer_put_right_by_a_challenge_is_corrected_in_the_journal(
    serving, placed, market, referee, connection, requester, monkeypatch
):
    market.connection("worker").send(referee.deposit(BOND))
    monkeypatch.setattr("modelward.worker.execution.result_commitment", lambda *_: b"\x01" * 32)
    serving.drain()
    assert serving.journal.job(placed.id).state is State.HELD
    disputes.challenge(requester.connection, disputes.judge(requester.connection, placed.id))
    serving.drain()
    job = serving.journal.job(placed.id)
    assert job.state is State.CORRECTED
    assert "was wrong" in job.reason
    assert serving.journal.balance().earned == {}


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
