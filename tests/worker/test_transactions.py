"""Nonces, fees and failures: what can become of a transaction between signing and its block."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from modelward.chain.events import InferenceFulfilled
from modelward.chain.fees import Fees
from modelward.chain.transactions import Call
from modelward.config import Policy
from modelward.errors import RpcUnavailable
from modelward.journal import SignedAnswer, State, TransactionState
from modelward.terms import ETHER, RequestStatus
from modelward.worker import Milestone
from modelward.worker.settlement import MAX_FAILURES

from .test_restarts import Killed, dying_at
from .trading import failing, job, unreachable

ONE_BY_ONE = Policy(batch=1)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)
    monkeypatch.setattr("modelward.worker.service._FIRST_PAUSE", 0)


@pytest.fixture
def control(chain):
    """Calls a method that only a development chain has."""

    def call(method, *params):
        return chain.rpc(method, list(params))

    return call


@pytest.fixture
def manual(control):
    """Blocks are mined when the test says so."""
    control("evm_setAutomine", False)
    yield
    control("evm_setAutomine", True)


def signed_and_dead(market, model, trained, make_worker):
    """A request whose answer was signed by a worker that then died."""
    placed = market.place(model, trained.row)
    with pytest.raises(Killed):
        make_worker(observer=dying_at(Milestone.SIGNED)).step()
    return placed


def test_a_nonce_that_was_used_elsewhere_gives_way_to_the_next(
    market, model, trained, make_worker, worker
):
    placed = signed_and_dead(market, model, trained, make_worker)
    worker.send(Call(market.owner.address, b"", value=1))  # the same key, used by somebody's hand

    revived = make_worker()
    revived.drain()

    (dropped,) = revived.journal.transactions(TransactionState.DROPPED)
    (answer,) = market.events(InferenceFulfilled, placed)
    assert answer.transaction_hash != dropped.hash
    assert worker.nonce() == 2


def test_nothing_is_sent_for_a_request_that_ended_in_the_meantime(
    market, model, trained, make_worker, worker, outsider
):
    placed = signed_and_dead(market, model, trained, make_worker)
    market.let_serve(model, outsider.address)
    outsider.send(market.escrow.fulfil(placed.offer, placed.request, b"\1" * 32, b"\0theirs"))

    revived = make_worker()
    revived.drain()

    assert job(revived.journal, placed).state is State.LOST
    assert worker.nonce() == 0
    assert revived.journal.transactions(TransactionState.SIGNED) == []


def test_nothing_is_sent_after_the_deadline(market, model, trained, make_worker, worker, devchain):
    placed = signed_and_dead(market, model, trained, make_worker)
    devchain.increase_time(4_000)

    revived = make_worker()
    revived.drain()

    assert job(revived.journal, placed).state is State.EXPIRED
    assert worker.nonce() == 0


def test_a_bid_that_has_become_too_low_is_raised(
    market, model, trained, make_worker, worker, monkeypatch
):
    placed = market.place(model, trained.row)
    with monkeypatch.context() as patch:
        patch.setattr("modelward.worker.admission.choose_fees", lambda *_: Fees(1, 1))
        with pytest.raises(Killed):
            make_worker(observer=dying_at(Milestone.SIGNED)).step()

    revived = make_worker()
    revived.drain()

    assert len(market.events(InferenceFulfilled, placed)) == 1
    assert len(revived.journal.transactions(TransactionState.REPLACED)) == 1
    assert worker.nonce() == 1


def test_several_answers_may_wait_for_a_block_together(
    market, model, trained, make_worker, worker, manual, control
):
    control("evm_setAutomine", True)
    requests = [market.place(model, trained.row) for _ in range(3)]
    control("evm_setAutomine", False)
    working = make_worker(policy=ONE_BY_ONE)

    working.step()
    assert working.journal.counts() == {State.SENT: 3}
    control("evm_mine")
    working.step()

    assert [len(market.events(InferenceFulfilled, each)) for each in requests] == [1, 1, 1]
    assert worker.nonce() == 3


def test_a_transaction_the_node_forgot_is_sent_again(
    market, model, trained, make_worker, manual, control
):
    control("evm_setAutomine", True)
    placed = market.place(model, trained.row)
    control("evm_setAutomine", False)
    working = make_worker()
    working.step()
    (sent,) = working.journal.transactions(TransactionState.SENT)
    assert control("anvil_dropTransaction", "0x" + sent.hash.hex())
    control("evm_mine")

    working.step()
    control("evm_mine")
    working.step()

    (answer,) = market.events(InferenceFulfilled, placed)
    assert answer.transaction_hash == sent.hash


def test_a_gap_in_the_nonces_is_filled_with_what_was_signed_for_it(
    market, model, trained, make_worker, worker, manual, control
):
    control("evm_setAutomine", True)
    requests = [market.place(model, trained.row) for _ in range(2)]
    control("evm_setAutomine", False)
    working = make_worker(policy=ONE_BY_ONE)
    working.step()
    first, _ = working.journal.transactions(TransactionState.SENT)
    assert control("anvil_dropTransaction", "0x" + first.hash.hex())
    control("evm_mine")

    working.step()
    control("evm_mine")
    working.step()

    assert worker.nonce() == 2
    assert [len(market.events(InferenceFulfilled, each)) for each in requests] == [1, 1]


@pytest.mark.parametrize("fault", [unreachable, failing("insufficient funds for gas")])
def test_while_transactions_are_not_accepted_no_other_is_signed(
    market, model, trained, make_worker, worker, endpoint, fault
):
    requests = [market.place(model, trained.row) for _ in range(2)]
    working = make_worker(policy=ONE_BY_ONE)
    endpoint.faults["eth_sendRawTransaction"] = fault
    for _ in range(2):
        with pytest.raises(RpcUnavailable) if fault is unreachable else nullcontext():
            working.step()
        assert len(working.journal.transactions(*TransactionState)) == 2
        requests.append(market.place(model, trained.row))

    endpoint.faults.clear()
    working.drain()

    assert {len(market.events(InferenceFulfilled, each)) for each in requests} == {1}
    assert worker.nonce() == len(requests)


def test_a_transaction_a_node_will_not_have_holds_up_no_other(
    market, model, trained, make_worker, endpoint, worker
):
    market.place(model, trained.row)
    working = make_worker()
    endpoint.faults["eth_sendRawTransaction"] = failing("not today")

    working.step()
    assert working.journal.counts() == {State.COMPUTED: 1}
    endpoint.faults.clear()
    make_worker().drain()

    assert worker.nonce() == 1


def test_an_account_without_money_waits_for_some(
    market, model, trained, make_worker, worker, control
):
    placed = market.place(model, trained.row)
    control("anvil_setBalance", worker.address, "0x1")
    working = make_worker()

    working.step()
    waiting = job(working.journal, placed)
    assert "cannot pay" in (waiting.reason or "")
    assert not waiting.state.is_end

    control("anvil_setBalance", worker.address, hex(ETHER))
    make_worker().drain()
    assert market.status(placed) is RequestStatus.FULFILLED


def test_a_transaction_that_fails_is_counted_and_sent_anew(
    market, model, trained, make_worker, worker, manual, control
):
    control("evm_setAutomine", True)
    placed = market.place(model, trained.row)
    control("evm_setAutomine", False)
    working = make_worker()
    working.step()
    # In the next block the owner withdraws the grant first, and gives it back right after.
    revoke_ahead(market, model, worker, control)

    working.step()
    assert job(working.journal, placed).failures == 1
    market.let_serve(model, worker.address)
    working.drain()

    assert len(market.events(InferenceFulfilled, placed)) == 1
    assert job(working.journal, placed).state is State.FINAL
    assert worker.nonce() == 2


def revoke_ahead(market, model, worker, control):
    """Get a revocation into the next block, before everything that waits for it."""
    call = market.share.revoke(worker.address, model.model_id)
    signed = market.owner.sign(
        call, gas=100_000, nonce=market.owner.nonce(), fees=Fees(10**12, 10**11)
    )
    market.owner.broadcast(signed)
    control("evm_mine")
    control("evm_setAutomine", True)


def test_a_request_is_given_up_after_failing_too_often(
    market, model, trained, make_worker, worker, endpoint
):
    placed = market.place(model, trained.row)
    with pytest.raises(Killed):
        make_worker(observer=dying_at(Milestone.COMPUTED)).step()
    revived = make_worker()
    for nonce in range(MAX_FAILURES):
        signed = signed_by_hand(worker, nonce)
        revived.journal.record_signed(signed, [placed.id])
        revived.journal.record_failed(signed.hash, 1, b"\0" * 32, "it ran out of gas")

    revived.step()

    assert worker.nonce() == 0
    assert f"{MAX_FAILURES} transactions failed" in (job(revived.journal, placed).reason or "")


def signed_by_hand(worker, nonce):
    """A transaction of the worker's that never was in a block."""
    made = worker.sign(Call(worker.address, b""), gas=21_000, nonce=nonce, fees=Fees(2, 1))
    return SignedAnswer(made.hash, made.raw, nonce, made.gas, 2, 1)


def test_a_gap_is_filled_even_for_a_request_that_somebody_else_has_answered(
    market, model, trained, make_worker, worker, outsider, manual, control
):
    control("evm_setAutomine", True)
    market.let_serve(model, outsider.address)
    theirs, ours = (market.place(model, trained.row, lifetime=t) for t in (600, 900))
    control("evm_setAutomine", False)
    working = make_worker(policy=ONE_BY_ONE)
    working.step()
    first, _ = working.journal.transactions(TransactionState.SENT)
    control("anvil_dropTransaction", "0x" + first.hash.hex())
    outsider.broadcast(
        outsider.prepare(
            market.escrow.fulfil(theirs.offer, theirs.request, b"\1" * 32, b"\0theirs")
        )
    )
    control("evm_mine")
    assert worker.nonce() == 0

    working.step()
    control("evm_mine")
    working.step()

    assert job(working.journal, theirs).state is State.LOST
    assert job(working.journal, ours).state is State.FINAL
    assert worker.nonce() == 2


def test_nonces_in_flight_are_remembered_although_the_node_forgets_them(
    market, model, trained, make_worker, worker, endpoint, manual, control
):
    control("evm_setAutomine", True)
    requests = [market.place(model, trained.row) for _ in range(2)]
    control("evm_setAutomine", False)
    working = make_worker(policy=ONE_BY_ONE)
    endpoint.faults["eth_getTransactionCount"] = lambda answer: answer() | {"result": "0x0"}

    working.step()
    nonces = [t.nonce for t in working.journal.transactions(*TransactionState)]
    assert nonces == [0, 1]
    endpoint.faults.clear()
    control("evm_mine")
    working.step()

    assert [len(market.events(InferenceFulfilled, each)) for each in requests] == [1, 1]
