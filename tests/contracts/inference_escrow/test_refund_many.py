"""`refundMany` and `refundAndWithdraw`."""

import pytest

from modelward.chain.abi import contract_abi
from modelward.chain.events import InferenceRefunded, Withdrawn
from modelward.terms import ETH, ZERO_ADDRESS, RequestStatus
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE


@pytest.fixture
def overdue(place, ask, wait_until):
    """Two requests that nobody answered in time."""
    requests = [place(ask(f"input {number}")) for number in range(2)]
    wait_until(requests[0].terms.deadline + 1)
    wait_until(requests[1].terms.deadline + 1)
    return requests


class TestRefundMany:
    def test_each_that_is_due_is_refunded_and_said(self, escrow, requester, outsider, overdue):
        receipt = outsider.send(escrow.refund_many([each.id for each in overdue]))

        assert said(receipt, escrow) == [
            event(
                InferenceRefunded,
                request_id=each.id,
                payer=requester.address,
                token=ETH,
                amount=FEE,
            )
            for each in overdue
        ]
        assert escrow.credit_of(requester.address) == 2 * FEE

    def test_what_is_not_due_is_passed_over(
        self, escrow, requester, outsider, worker, place, ask, overdue
    ):
        still_open, answered = place(ask("still open")), place(ask("answered"))
        worker.send(escrow.fulfil(answered.offer, answered.terms, COMMITMENT, OUTPUT))
        unknown = b"\x99" * 32
        ids = [still_open.id, overdue[0].id, answered.id, unknown, overdue[0].id]

        receipt = outsider.send(escrow.refund_many(ids))

        assert [fields["request_id"] for _, fields in said(receipt, escrow)] == [overdue[0].id]
        assert escrow.credit_of(requester.address) == FEE
        assert [escrow.request_of(each).status for each in ids] == [
            RequestStatus.OPEN,
            RequestStatus.REFUNDED,
            RequestStatus.FULFILLED,
            RequestStatus.NONE,
            RequestStatus.REFUNDED,
        ]

    @pytest.mark.parametrize(("offset", "refunded"), [(0, 0), (1, 1)])
    def test_in_the_last_second_of_an_answer_it_is_too_early(
        self, escrow, outsider, placed, mine_at, offset, refunded
    ):
        call = escrow.refund_many([placed.id])

        receipt = mine_at(placed.terms.deadline + offset, outsider, call)

        assert len(said(receipt, escrow)) == refunded

    def test_it_returns_how_many_were_refunded(self, chain, escrow, outsider, overdue):
        call = escrow.refund_many([overdue[0].id, b"\x99" * 32, overdue[1].id, overdue[0].id])

        returned = chain.call(call.to, call.data, sender=outsider.address)

        assert contract_abi("InferenceEscrow").decode_result("refundMany", returned) == 2


class TestRefundAndWithdraw:
    def test_the_payer_takes_all_that_it_is_owed(
        self, escrow, chain, requester, sponsor, outsider, overdue
    ):
        outsider.send(escrow.refund(overdue[1].id))
        before = chain.balance(sponsor.address)

        receipt = requester.send(escrow.refund_and_withdraw(overdue[0].id, sponsor.address))

        assert said(receipt, escrow) == [
            event(
                InferenceRefunded,
                request_id=overdue[0].id,
                payer=requester.address,
                token=ETH,
                amount=FEE,
            ),
            event(
                Withdrawn,
                account=requester.address,
                token=ETH,
                to=sponsor.address,
                amount=2 * FEE,
            ),
        ]
        assert chain.balance(sponsor.address) == before + 2 * FEE
        assert escrow.credit_of(requester.address) == 0

    def test_who_is_owed_nothing_itself_gets_nothing(self, escrow, outsider, overdue, reverts):
        call = escrow.refund_and_withdraw(overdue[0].id, outsider.address)
        with reverts("NothingToWithdraw", account=outsider.address, token=ETH):
            outsider.send(call)

        assert escrow.request_of(overdue[0].id).status == RequestStatus.OPEN

    def test_what_is_not_due_is_refused(self, escrow, requester, placed, mine_at, reverts):
        deadline = placed.terms.deadline
        call = escrow.refund_and_withdraw(placed.id, requester.address)

        with reverts("DeadlineNotPassed", deadline=deadline, timestamp=deadline):
            mine_at(deadline, requester, call)

    def test_nothing_is_sent_to_the_zero_address(self, escrow, requester, overdue, reverts):
        with reverts("ReceiverIsZero"):
            requester.send(escrow.refund_and_withdraw(overdue[0].id, ZERO_ADDRESS))
