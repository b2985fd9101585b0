from dataclasses import replace

import pytest

from modelward.chain.events import InferenceRefused
from modelward.terms import ETH, ZERO_ADDRESS, RefusalReason, RequestState, RequestStatus
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE, TERMS


def test_it_ends_the_request_without_a_result(escrow, worker, placed):
    worker.send(escrow.refuse(placed.offer, placed.terms, RefusalReason.PREDICTION_FAILED))

    assert escrow.request_of(placed.id) == RequestState(
        status=RequestStatus.REFUSED,
        payer=ZERO_ADDRESS,
        token=ETH,
        fee=0,
        deadline=0,
        commitment=bytes(31),
    )


@pytest.mark.parametrize("reason", [0, RefusalReason.INPUT_OUT_OF_SCHEMA, 255])
def test_it_says_who_refused_whom_and_why(escrow, requester, worker, placed, reason):
    receipt = worker.send(escrow.refuse(placed.offer, placed.terms, reason))

    assert said(receipt, escrow) == [
        event(
            InferenceRefused,
            request_id=placed.id,
            worker=worker.address,
            payer=requester.address,
            reason=reason,
        )
    ]


def test_it_credits_the_whole_fee_to_the_payer_at_once(
    escrow, chain, owner, requester, worker, placed
):
    worker.send(escrow.refuse(placed.offer, placed.terms, 1))

    assert escrow.credit_of(requester.address) == FEE
    assert escrow.credit_of(owner.address) == escrow.credit_of(worker.address) == 0
    assert chain.balance(escrow.address) == FEE


def test_a_use_of_the_grant_is_not_given_back(data_share, escrow, owner, requester, worker, placed):
    def uses():
        grant = data_share.grant_of(owner.address, requester.address, placed.offer.model_id)
        return grant.uses

    before = uses()

    worker.send(escrow.refuse(placed.offer, placed.terms, 1))

    assert uses() == before


def test_a_free_request_can_be_refused(
    escrow, registry, owner, requester, worker, offer, place, ask
):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, fee=0)))
    placed = place(ask())

    worker.send(escrow.refuse(placed.offer, placed.terms, 1))

    assert escrow.request_of(placed.id).status == RequestStatus.REFUSED
    assert escrow.credit_of(requester.address) == 0
