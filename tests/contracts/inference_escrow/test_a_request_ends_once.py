import pytest

from modelward.terms import RequestStatus
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT

ENDINGS = {
    "fulfilled": RequestStatus.FULFILLED,
    "refused": RequestStatus.REFUSED,
    "refunded": RequestStatus.REFUNDED,
}


@pytest.fixture(params=ENDINGS)
def ended(request, wait_until, escrow, worker, outsider, placed):
    """A request that has ended in one of the three ways, with its final status."""
    if request.param == "fulfilled":
        worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))
    elif request.param == "refused":
        worker.send(escrow.refuse(placed.offer, placed.terms, 1))
    else:
        wait_until(placed.terms.deadline + 1)
        outsider.send(escrow.refund(placed.id))
    return placed, ENDINGS[request.param]


@pytest.mark.parametrize("later", [False, True], ids=["at once", "after the deadline"])
def test_nothing_ends_it_again(
    escrow, devchain, wait_until, owner, requester, worker, outsider, ended, later, reverts
):
    placed, status = ended
    before = escrow.request_of(placed.id)
    credits_before = [escrow.credit_of(each.address) for each in (owner, requester, worker)]
    if later:
        wait_until(max(devchain.time, placed.terms.deadline) + 1)

    for caller, call in (
        (worker, escrow.fulfil(placed.offer, placed.terms, b"\x01" * 32, OUTPUT)),
        (worker, escrow.refuse(placed.offer, placed.terms, 1)),
        (outsider, escrow.refund(placed.id)),
    ):
        with reverts("NotOpen", id=placed.id, status=status):
            caller.send(call)

    assert escrow.request_of(placed.id) == before
    assert [escrow.credit_of(each.address) for each in (owner, requester, worker)] == credits_before
