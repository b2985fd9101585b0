"""Requests paid for in a token, and requests that ask for a callback."""

from __future__ import annotations

import pytest

from modelward.chain.events import CallbackRun, InferenceFulfilled, InferenceRefused
from modelward.chain.sender import Sender
from modelward.commitments import result_commitment
from modelward.config import Policy, TokenPrice
from modelward.journal import State
from modelward.terms import (
    ETHER,
    GWEI,
    RefusalReason,
    RequestStatus,
    format_amount,
    frame_clear_output,
)
from tests.worker.trading import FEE, PAYEE_BPS, job, why

GAS = 600_000
GENEROUS = Policy(allow_loss=True)
REVERT, REVERT_WITH_BOMB, BURN_GAS, RETURN_BOMB = range(1, 5)


def priced(token, wei):
    """A policy to which a whole token of 6 decimals is worth so many wei."""
    return Policy(tokens={token.address: TokenPrice(wei, 6)})


def test_a_request_paid_in_a_token_is_answered_and_paid(
    market, in_token, trained, make_worker, worker, token
):
    placed = market.place(in_token, trained.row)

    working = make_worker(policy=priced(token, ETHER))
    working.drain()

    (answer,) = market.events(InferenceFulfilled, placed)
    assert answer.output == frame_clear_output(trained.output)
    assert job(working.journal, placed).state is State.FINAL
    payees = 1_000_003 * PAYEE_BPS // 10_000
    assert market.escrow.credit_of(worker.address, token.address) == 1_000_003 - payees
    worker.send(market.escrow.withdraw(worker.address, token.address))
    assert token.view("balanceOf", worker.address) == 1_000_003 - payees


def test_a_token_without_a_price_is_left_alone(
    market, in_token, trained, make_worker, worker, token
):
    placed = market.place(in_token, trained.row)
    working = make_worker()
    working.step()
    assert worker.nonce() == 0
    assert f"the token {token.address}, which has no price" in why(working.journal, placed)


def test_or_refused_if_the_operator_says_so(market, in_token, trained, make_worker):
    placed = market.place(in_token, trained.row)
    make_worker(policy=Policy(refuse_unpriced=True, allow_loss=True)).step()
    (refused,) = market.events(InferenceRefused, placed)
    assert refused.reason == RefusalReason.MODE_UNSUPPORTED


@pytest.mark.parametrize(("wei", "answered"), [(ETHER, True), (10**6, False)])
def test_what_a_token_is_worth_decides_whether_it_pays_for_the_gas(
    market, in_token, trained, make_worker, token, wei, answered
):
    placed = market.place(in_token, trained.row)
    working = make_worker(policy=priced(token, wei))
    working.step()
    assert (market.status(placed) is RequestStatus.FULFILLED) == answered
    if not answered:
        assert f"and pays {format_amount(700_003)}" in why(working.journal, placed)


def test_the_worth_of_an_amount_is_rounded_down():
    assert TokenPrice(3, 1).worth(9) == 2
    assert TokenPrice(7, 0).worth(9) == 63


# --- callbacks -----------------------------------------------------------------------------------


def test_a_request_that_asks_for_a_callback_is_answered_with_one(
    market, model, trained, make_worker, consumer
):
    placed = market.place(model, trained.row, callback_gas=GAS)

    working = make_worker(policy=GENEROUS)
    working.drain()

    (answer,) = market.events(InferenceFulfilled, placed)
    (called,) = market.events(CallbackRun, placed)
    assert answer.commitment == result_commitment(placed.id, trained.output, placed.secret)
    assert called.succeeded
    assert trained.output in consumer.view("lastData")
    assert job(working.journal, placed).state is State.FINAL


@pytest.mark.parametrize("behaviour", [REVERT, REVERT_WITH_BOMB, BURN_GAS, RETURN_BOMB])
def test_whatever_the_callback_does_the_worker_is_paid(
    market, model, trained, make_worker, consumer, worker, behaviour
):
    market.owner.send(consumer.call("behave", behaviour))
    placed = market.place(model, trained.row, callback_gas=GAS)

    make_worker(policy=GENEROUS).drain()

    assert market.status(placed) is RequestStatus.FULFILLED
    assert market.escrow.credit_of(worker.address) == FEE - FEE * PAYEE_BPS // 10_000


def test_a_requester_without_code_is_answered_all_the_same(market, model, trained, make_worker):
    placed = market.place(model, trained.row, callback_gas=GAS)
    make_worker(policy=GENEROUS).drain()
    (called,) = market.events(CallbackRun, placed)
    assert not called.succeeded


def test_the_gas_of_the_callback_counts_among_the_costs(
    market, trained, make_worker, worker, outsider, chain
):
    gas_price = (
        Sender(chain, worker.account)
        .prepare(market.share.register_key(b"\1" * 32))
        .fees.price(chain.head().base_fee)
    )
    fee = 300_000 * gas_price * 10 // 7 // GWEI * GWEI  # enough for an answer, not for a million
    model = market.publish(trained.packaged.bundle, fee=fee, name="callback")
    market.let_serve(model, worker.address)
    plain = market.place(model, trained.row)
    dear = market.place(model, trained.row, callback_gas=1_000_000)

    working = make_worker()
    working.step()

    assert market.status(plain) is RequestStatus.FULFILLED
    assert market.status(dear) is RequestStatus.OPEN
    assert "answering costs about" in why(working.journal, dear)
