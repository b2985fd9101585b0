"""A request without a usable answer is given up by anyone, and its fee goes back to its funder."""

import pytest

from modelward.terms import ETH, ZERO_ADDRESS, PredictionStatus, RequestStatus
from tests.contracts.prediction_consumer.conftest import CONTEXT, OUTPUT, SALT
from tests.contracts.puppet import SOURCE, Puppet
from tests.contracts.specimens import FEE


@pytest.fixture
def cleared(consumer, outsider, wait_until, asked):
    """A request that nobody answered, given up."""
    wait_until(asked.terms.deadline + 1)
    return outsider.send(consumer.call("clear", asked.id))


def test_what_nobody_answered_is_refunded_and_cleared(
    consumer, escrow, requester, asked, cleared, prediction_of
):
    assert escrow.request_of(asked.id).status is RequestStatus.REFUNDED
    assert prediction_of(asked).status is PredictionStatus.CLEARED
    assert consumer.view("feesOf", ETH, requester.address) == FEE
    assert (consumer.view("clearances"), consumer.view("lastContext")) == (1, CONTEXT)
    (said,) = consumer.said(cleared, "PredictionCleared")
    assert said == {"id": asked.id, "context": CONTEXT, "ended": RequestStatus.REFUNDED}


def test_also_if_it_was_refunded_before(consumer, escrow, requester, outsider, asked, wait_until):
    wait_until(asked.terms.deadline + 1)
    outsider.send(escrow.refund(asked.id))

    outsider.send(consumer.call("clear", asked.id))

    assert consumer.view("feesOf", ETH, requester.address) == FEE


def test_what_a_worker_refused_is_cleared_at_once(
    consumer, escrow, requester, outsider, worker, asked
):
    worker.send(escrow.refuse(asked.offer, asked.terms, 1))

    outsider.send(consumer.call("clear", asked.id))

    assert consumer.view("feesOf", ETH, requester.address) == FEE


def test_while_it_may_be_answered_it_is_not(consumer, outsider, asked, mine_at, reverts):
    call = consumer.call("clear", asked.id)
    with reverts("NotOver", id=asked.id, status=RequestStatus.OPEN):
        mine_at(asked.terms.deadline, outsider, call)


class TestAnswered:
    @pytest.fixture
    def missed(self, consumer, outsider, worker, asked, answer):
        """Answered, without the consumer having taken it."""
        outsider.send(consumer.call("fail", True))
        worker.send(answer(asked))
        return asked

    def test_it_is_not_while_the_answer_can_be_delivered(
        self, consumer, outsider, missed, terms, mine_at, reverts
    ):
        with reverts("NotOver", id=missed.id, status=RequestStatus.FULFILLED):
            mine_at(terms.usable_until, outsider, consumer.call("clear", missed.id))

    def test_afterwards_it_is_and_the_worker_keeps_its_fee(
        self, consumer, escrow, requester, outsider, missed, terms, wait_until, prediction_of
    ):
        wait_until(terms.usable_until + 1)
        outsider.send(consumer.call("clear", missed.id))

        assert prediction_of(missed).status is PredictionStatus.CLEARED
        assert consumer.view("feesOf", ETH, requester.address) == 0

    def test_what_was_used_cannot_be_cleared(
        self, consumer, outsider, worker, asked, answer, wait_until, terms, reverts
    ):
        worker.send(answer(asked))
        wait_until(terms.usable_until + 1)
        with reverts("NotAwaited", id=asked.id, status=PredictionStatus.USED):
            outsider.send(consumer.call("clear", asked.id))

    def test_what_was_cleared_is_not_used(self, consumer, outsider, asked, cleared, reverts):
        for call in (
            consumer.call("deliver", asked.id, OUTPUT, SALT),
            consumer.call("clear", asked.id),
        ):
            with reverts("NotAwaited", id=asked.id, status=PredictionStatus.CLEARED):
                outsider.send(call)


class TestWithdrawal:
    def test_the_funder_takes_the_fee_back(self, chain, consumer, requester, outsider, cleared):
        receiver = "0x" + "Ab" * 20

        receipt = requester.send(consumer.call("withdrawFees", ETH, receiver))

        assert chain.balance(receiver) == FEE
        assert chain.balance(consumer.address) == 0
        (said,) = consumer.said(receipt, "FeeWithdrawn")
        assert (said["account"], said["token"], said["amount"]) == (requester.address, ETH, FEE)

    def test_nobody_else_does(self, consumer, outsider, cleared, reverts):
        with reverts("NoFeeToWithdraw", account=outsider.address, token=ETH):
            outsider.send(consumer.call("withdrawFees", ETH, outsider.address))

    def test_nor_twice(self, consumer, requester, cleared, reverts):
        requester.send(consumer.call("withdrawFees", ETH, requester.address))
        with reverts("NoFeeToWithdraw", account=requester.address, token=ETH):
            requester.send(consumer.call("withdrawFees", ETH, requester.address))

    def test_nothing_is_sent_to_the_zero_address(self, consumer, requester, cleared, reverts):
        with reverts("ReceiverIsZero"):
            requester.send(consumer.call("withdrawFees", ETH, ZERO_ADDRESS))

    def test_what_a_receiver_does_not_take_is_still_owed(
        self, compile_solidity, consumer, requester, outsider, cleared, reverts
    ):
        rejecting = Puppet.deploy(outsider, compile_solidity(SOURCE)["RejectingReceiver"])
        with reverts("WithdrawalFailed", to=rejecting.address, amount=FEE):
            requester.send(consumer.call("withdrawFees", ETH, rejecting.address))
        assert consumer.view("feesOf", ETH, requester.address) == FEE
