"""Sweeping refunds what expired, to whoever paid, and costs no more than its limits allow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelward.chain.fees import Fees
from modelward.errors import TimedOut
from modelward.keepers import Sweeper, SweepLimits
from modelward.terms import ETH, GWEI, RequestStatus
from tests.market import MODEL, PRICE

ALL = SweepLimits(everybody=True)


def status(connection, placed):
    return connection.escrow.request_of(placed.id).status


def test_the_payer_is_credited_and_the_keeper_pays_the_gas(keeper, expired, requester):
    requests = expired(3)
    before = keeper.chain.balance(keeper.address)

    swept = Sweeper(keeper, ALL).sweep()

    assert {each.request_id for each in swept.refunds} == {placed.id for placed in requests}
    assert {each.transaction_hash for each in swept.refunds} == {swept.refunds[0].transaction_hash}
    assert all(each.amount == PRICE and each.token == ETH for each in swept.refunds)
    assert keeper.escrow.credit_of(requester.address) == 3 * PRICE
    assert keeper.escrow.credit_of(keeper.address) == 0
    spent = before - keeper.chain.balance(keeper.address)
    assert 0 <= spent - sum(each.cost for each in swept.refunds) < 3
    assert {status(keeper, placed) for placed in requests} == {RequestStatus.REFUNDED}


def test_a_second_sweep_finds_nothing_to_do(keeper, expired):
    expired(2)
    sweeper = Sweeper(keeper, ALL)
    assert len(sweeper.sweep().refunds) == 2
    nonce = keeper.sender.nonce()
    assert sweeper.sweep() == Sweeper(keeper, ALL).sweep()
    assert keeper.sender.nonce() == nonce


def test_what_is_open_or_answered_is_left_alone(keeper, market, requester, worker, row):
    answered, still_open = (requester.send(MODEL, row, delay=500) for _ in range(2))
    worker.answer(answered.id)
    assert Sweeper(keeper, ALL).sweep().refunds == ()
    assert status(keeper, still_open) is RequestStatus.OPEN


def test_the_deadline_itself_is_not_too_late(keeper, market, requester, row):
    placed = requester.send(MODEL, row, delay=100)
    market.devchain.set_next_timestamp(placed.deadline)
    market.devchain.mine()
    sweeper = Sweeper(keeper, ALL)
    assert sweeper.sweep().refunds == ()
    market.devchain.mine()
    assert [each.request_id for each in sweeper.sweep().refunds] == [placed.id]


def test_requests_of_others_are_left_unless_asked_for(keeper, market, expired, requester):
    [placed] = expired()
    (left,) = Sweeper(keeper).sweep().left
    assert (left.request_id, left.payer) == (placed.id, requester.address)
    assert status(keeper, placed) is RequestStatus.OPEN
    own = Sweeper(market.connection("requester")).sweep()
    assert [each.request_id for each in own.refunds] == [placed.id]


def test_batches_are_no_larger_than_told(keeper, expired):
    expired(5)
    swept = Sweeper(keeper, replace(ALL, batch=2)).sweep()
    assert len(swept.refunds) == 5
    assert len({each.transaction_hash for each in swept.refunds}) == 3


def test_a_day_costs_no_more_than_its_limit(keeper, market, expired):
    one_by_one = replace(ALL, batch=1)
    expired(2)
    cost = Sweeper(keeper, one_by_one).sweep().refunds[-1].cost
    expired(3)
    sweeper = Sweeper(keeper, replace(one_by_one, max_spend=cost * 5 // 2))

    first = sweeper.sweep()
    assert (len(first.refunds), len(first.left)) == (2, 1)
    assert "a day's gas is limited" in first.left[0].reason
    assert sweeper.sweep().refunds == ()

    market.devchain.increase_time(86_401)
    market.devchain.mine()
    assert len(sweeper.sweep().refunds) == 1


def test_dear_gas_is_waited_out(keeper, expired):
    expired()
    (left,) = Sweeper(keeper, replace(ALL, max_gas_price=1)).sweep().left
    assert "gas costs" in left.reason
    assert len(Sweeper(keeper, replace(ALL, max_gas_price=10_000 * GWEI)).sweep().refunds) == 1


def test_ones_own_refund_must_be_worth_its_gas(market, expired, monkeypatch):
    [placed] = expired()
    mine = market.connection("requester")
    dear = Fees(max_fee=PRICE // 1_000, tip=PRICE // 1_000)
    monkeypatch.setattr("modelward.keepers.sweep.choose_fees", lambda *_: dear)
    (left,) = Sweeper(mine, SweepLimits(max_spend=10**24)).sweep().left
    assert "of gas" in left.reason
    assert Sweeper(mine, SweepLimits(max_spend=10**24, allow_loss=True)).sweep().refunds
    assert status(mine, placed) is RequestStatus.REFUNDED


def test_what_a_killed_sweep_sent_is_not_paid_for_twice(keeper, expired, monkeypatch):
    expired()
    monkeypatch.setattr(keeper.sender.__class__, "next_nonce", lambda self: self.nonce() + 1)
    sweeper = Sweeper(keeper, ALL)
    wait = sweeper._wait_for_earlier_transactions
    monkeypatch.setattr(sweeper, "_wait_for_earlier_transactions", lambda: wait(timeout=0.0))
    nonce = keeper.sender.nonce()
    with pytest.raises(TimedOut):
        sweeper.sweep()
    assert keeper.sender.nonce() == nonce
    monkeypatch.undo()
    assert len(Sweeper(keeper, ALL).sweep().refunds) == 1
