"""`requestOf`, `resultOf` and `creditOf` at every stage of a request."""

import pytest

from modelward.terms import ETH, ZERO_ADDRESS, RequestState, RequestStatus
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT

NOTHING = bytes(31)


def test_there_is_no_request_of_an_unknown_id(escrow):
    unknown = RequestState(
        RequestStatus.NONE, ZERO_ADDRESS, ETH, fee=0, deadline=0, commitment=NOTHING
    )

    assert escrow.request_of(b"\x99" * 32) == unknown
    assert escrow.result_of(b"\x99" * 32) == (RequestStatus.NONE, NOTHING)


def test_an_open_request_has_no_result(escrow, placed):
    assert escrow.result_of(placed.id) == (RequestStatus.OPEN, NOTHING)


@pytest.mark.parametrize(
    "commitment", [COMMITMENT, b"\xff" * 32, b"\x00" * 30 + b"\x01\x02"], ids=bytes.hex
)
def test_an_answered_request_shows_31_bytes_of_its_commitment(escrow, worker, placed, commitment):
    worker.send(escrow.fulfil(placed.offer, placed.terms, commitment, OUTPUT))

    assert escrow.result_of(placed.id) == (RequestStatus.FULFILLED, commitment[:31])
    assert escrow.request_of(placed.id).commitment == commitment[:31]


def test_a_refused_request_has_no_result(escrow, worker, placed):
    worker.send(escrow.refuse(placed.offer, placed.terms, 255))

    assert escrow.result_of(placed.id) == (RequestStatus.REFUSED, NOTHING)


def test_a_refunded_request_has_no_result(escrow, wait_until, outsider, placed):
    wait_until(placed.terms.deadline + 1)
    outsider.send(escrow.refund(placed.id))

    assert escrow.result_of(placed.id) == (RequestStatus.REFUNDED, NOTHING)


def test_who_was_never_paid_has_no_credit(escrow, owner, requester, worker, placed):
    for account in (owner, requester, worker):
        assert escrow.credit_of(account.address) == 0
