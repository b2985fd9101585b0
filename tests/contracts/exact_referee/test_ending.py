"""`accept`, `settle` and `release`: the ends of an answer that nobody showed to be wrong."""

from dataclasses import replace

import pytest

from modelward import commitments
from modelward.chain.events import BondReleased, CallbackRun, InferenceFulfilled
from modelward.terms import ZERO_HASH, ExactAnswer, RequestStatus
from tests.contracts.exact_referee.conftest import (
    BOND,
    DAY,
    OUTPUT,
    SECRET,
    STAKED,
    WINDOW,
)
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE

ANOTHER = {
    "worker": "0x" + "Ee" * 20,
    "settle_after": 1,
    "bond": 1,
    "commitment": b"\x01" * 32,
    "result_salt": b"\x01" * 32,
    "output": b"\x01",
}
"""Another value for each field of an answer."""


@pytest.fixture
def settled_at(referee, mine_at, outsider):
    def settle(timestamp, answered):
        return mine_at(timestamp, outsider, referee.settle(*answered.arguments))

    return settle


def test_a_settled_answer_is_paid_and_its_bond_free(
    referee, escrow, owner, worker, right, settled_at
):
    asked, answer, _ = right

    receipt = settled_at(answer.settle_after + 1, right)

    assert said(receipt, referee, escrow) == [
        event(BondReleased, request_id=asked.id, worker=worker.address, amount=BOND),
        event(
            InferenceFulfilled,
            request_id=asked.id,
            model_id=asked.offer.model_id,
            worker=worker.address,
            commitment=asked.right,
            output=answer.output,
        ),
    ]
    assert referee.balance_of(worker.address) == STAKED
    assert referee.pending_of(asked.id) == ZERO_HASH
    assert escrow.credit_of(worker.address) == asked.offer.worker_share
    assert escrow.credit_of(owner.address) == asked.offer.payee_share


@pytest.mark.parametrize("offset", [-1, 0])
def test_not_while_it_can_be_challenged(right, settled_at, reverts, offset):
    settle_after = right.answer.settle_after
    with reverts("WindowOpen", settleAfter=settle_after, timestamp=settle_after + offset):
        settled_at(settle_after + offset, right)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_up_to_the_end_of_the_hold(escrow, right, settled_at, reverts, offset):
    until = right.answer.settle_after + DAY
    if offset <= 0:
        settled_at(until + offset, right)
        assert escrow.request_of(right.asked.id).status == RequestStatus.FULFILLED
        return
    with reverts("DeadlinePassed", deadline=until, timestamp=until + 1):
        settled_at(until + 1, right)


def test_the_requester_accepts_at_once_even_what_is_wrong(
    referee, escrow, requester, worker, wrong
):
    requester.send(referee.accept(*wrong.arguments))

    assert escrow.credit_of(worker.address) == wrong.asked.offer.worker_share
    assert referee.balance_of(worker.address) == STAKED


def test_nobody_else_accepts(referee, requester, worker, outsider, right, reverts):
    for caller in (worker, outsider):
        with reverts("NotRequester", requester=requester.address, caller=caller.address):
            caller.send(referee.accept(*right.arguments))


def test_a_sponsor_does_not_accept_for_its_requester(referee, requester, sponsor, right, reverts):
    offer, terms, answer = right.arguments
    posing = replace(terms, requester=sponsor.address)
    request = commitments.request_id(
        offer,
        posing,
        chain_id=referee.chain.chain_id,
        escrow=referee.escrow(),
    )
    given = commitments.exact_answer_hash(answer)
    with reverts("UnknownAnswer", id=request, pending=ZERO_HASH, given=given):
        sponsor.send(referee.accept(offer, posing, answer))


@pytest.mark.parametrize("field", ANOTHER)
def test_every_field_of_the_answer_counts(referee, requester, right, reverts, field):
    offer, terms, answer = right.arguments
    other = replace(answer, **{field: ANOTHER[field]})
    error = {
        "id": right.asked.id,
        "pending": commitments.exact_answer_hash(answer),
        "given": commitments.exact_answer_hash(other),
    }
    with reverts("UnknownAnswer", **error):
        requester.send(referee.accept(offer, terms, other))
    with reverts("UnknownAnswer", **error):
        requester.send(referee.challenge(offer, terms, other, SECRET, b""))
    with reverts("UnknownAnswer", **error):
        requester.send(referee.release(right.asked.id, other))


def test_it_ends_once(referee, outsider, requester, right, reverts):
    requester.send(referee.accept(*right.arguments))
    given = commitments.exact_answer_hash(right.answer)
    with reverts("UnknownAnswer", id=right.asked.id, pending=ZERO_HASH, given=given):
        requester.send(referee.accept(*right.arguments))
    with reverts("UnknownAnswer", id=right.asked.id, pending=ZERO_HASH, given=given):
        outsider.send(referee.release(right.asked.id, right.answer))


def test_a_worker_that_lost_its_grant_is_still_paid(
    referee, data_share, escrow, owner, worker, right, settled_at
):
    owner.send(data_share.revoke_access(worker.address))

    settled_at(right.answer.settle_after + 1, right)

    assert escrow.credit_of(worker.address) == right.asked.offer.worker_share


class TestRelease:
    @pytest.mark.parametrize("offset", [-1, 0])
    def test_not_while_it_can_be_settled(self, referee, outsider, right, mine_at, reverts, offset):
        until = right.answer.settle_after + DAY
        with reverts("NotLapsed", until=until, timestamp=until + offset):
            mine_at(until + offset, outsider, referee.release(right.asked.id, right.answer))

    @pytest.mark.parametrize("refunded", [False, True])
    def test_then_the_worker_has_its_bond_and_the_payer_the_fee(
        self, referee, escrow, requester, worker, outsider, right, mine_at, refunded
    ):
        until, request = right.answer.settle_after + DAY, right.asked.id
        if refunded:
            mine_at(until + 1, outsider, escrow.refund(request))

        receipt = mine_at(until + 2, outsider, referee.release(request, right.answer))

        assert said(receipt, referee) == [
            event(BondReleased, request_id=request, worker=worker.address, amount=BOND)
        ]
        assert referee.balance_of(worker.address) == STAKED
        if not refunded:
            outsider.send(escrow.refund(request))
        assert escrow.credit_of(requester.address) == FEE


class TestWithCallback:
    @pytest.fixture
    def called(self, referee, chain, inquire, admitted, worker, staked):
        asked = inquire(callback_gas=100_000, reply_key=ZERO_HASH)
        salt = commitments.result_salt(SECRET)
        call = referee.answer_with_callback(asked.offer, asked.terms, salt, OUTPUT)
        receipt = worker.send(call)
        settle_after = chain.block(receipt.block_hash).timestamp + WINDOW
        answer = ExactAnswer(
            worker.address, settle_after, BOND, asked.right, salt, b"\x00" + OUTPUT
        )
        return asked, answer

    def test_it_is_made_when_the_answer_is_settled(
        self, referee, escrow, worker, outsider, called, mine_at
    ):
        asked, answer = called
        call = referee.settle(asked.offer, asked.terms, answer)

        receipt = mine_at(answer.settle_after + 1, outsider, call)

        assert said(receipt, referee, escrow) == [
            event(BondReleased, request_id=asked.id, worker=worker.address, amount=BOND),
            event(
                InferenceFulfilled,
                request_id=asked.id,
                model_id=asked.offer.model_id,
                worker=worker.address,
                commitment=asked.right,
                output=b"\x00" + OUTPUT,
            ),
            event(CallbackRun, request_id=asked.id, succeeded=False),
        ]
