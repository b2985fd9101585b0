from dataclasses import replace

import pytest

from modelward.chain.events import InferenceFulfilled
from modelward.terms import (
    ETH,
    GWEI,
    INLINE_ONLY,
    ZERO_ADDRESS,
    RequestState,
    RequestStatus,
)
from tests.contracts.inference_escrow.answers import (
    COMMITMENT,
    OUTPUT,
    REFERENCE,
    SEALED,
    SEALED_REFERENCE,
)
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE, TERMS


def test_it_ends_the_request_and_records_31_bytes_of_the_commitment(escrow, worker, placed):
    worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))

    assert escrow.request_of(placed.id) == RequestState(
        status=RequestStatus.FULFILLED,
        payer=ZERO_ADDRESS,
        token=ETH,
        fee=0,
        deadline=0,
        commitment=COMMITMENT[:31],
    )


def test_it_says_the_commitment_and_passes_the_output_on(escrow, worker, placed):
    receipt = worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))

    assert said(receipt, escrow) == [
        event(
            InferenceFulfilled,
            request_id=placed.id,
            model_id=placed.offer.model_id,
            worker=worker.address,
            commitment=COMMITMENT,
            output=OUTPUT,
        )
    ]


def test_it_splits_the_fee_between_payee_and_worker(escrow, chain, owner, worker, placed):
    worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))

    assert escrow.credit_of(owner.address) == FEE * 3 // 10
    assert escrow.credit_of(worker.address) == FEE * 7 // 10
    assert chain.balance(escrow.address) == FEE


@pytest.mark.parametrize("fee", [0, GWEI, 3 * GWEI, 12_345_679 * GWEI])
@pytest.mark.parametrize("share", [0, 1, 3_333, 9_999, 10_000])
def test_the_payees_share_is_rounded_down_and_not_a_wei_is_lost(
    escrow, registry, owner, worker, offer, place, ask, fee, share
):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, fee=fee, payee_bps=share)))
    placed = place(ask())

    worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))

    assert escrow.credit_of(owner.address) == placed.offer.payee_share == fee * share // 10_000
    assert escrow.credit_of(worker.address) == placed.offer.worker_share
    assert escrow.credit_of(owner.address) + escrow.credit_of(worker.address) == fee


def test_a_payee_other_than_the_owner_is_credited_in_its_place(
    escrow, registry, owner, worker, sponsor, offer, place, ask
):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, payee=sponsor.address)))
    placed = place(ask())

    worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))

    assert escrow.credit_of(sponsor.address) == FEE * 3 // 10
    assert escrow.credit_of(owner.address) == 0


def test_a_worker_that_is_the_payee_gets_both_shares(
    escrow, registry, owner, worker, offer, place, ask
):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, payee=worker.address)))
    placed = place(ask())

    worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))

    assert escrow.credit_of(worker.address) == FEE


def test_credits_add_up(escrow, owner, worker, place, ask):
    for number in range(3):
        placed = place(ask(f"input {number}"))
        worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))

    assert escrow.credit_of(owner.address) == 3 * FEE * 3 // 10
    assert escrow.credit_of(worker.address) == 3 * FEE * 7 // 10


def test_nothing_is_sent_to_anyone(escrow, chain, owner, worker, placed):
    before = chain.balance(owner.address), chain.balance(worker.address)

    receipt = worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))

    after = chain.balance(owner.address), chain.balance(worker.address) + receipt.fee
    assert after == before


def test_other_requests_stay_open(escrow, worker, place, ask):
    first, second = place(ask("first")), place(ask("second"))

    worker.send(escrow.fulfil(first.offer, first.terms, COMMITMENT, OUTPUT))

    assert escrow.request_of(second.id).status == RequestStatus.OPEN


def test_a_named_worker_answers(escrow, worker, place, ask):
    placed = place(ask(worker=worker.address))

    worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))

    assert escrow.request_of(placed.id).status == RequestStatus.FULFILLED


class TestTheOutput:
    @pytest.mark.parametrize(
        "output", [b"", OUTPUT, SEALED, REFERENCE, SEALED_REFERENCE, bytes(1024)], ids=len
    )
    def test_it_may_be_anything_up_to_1024_bytes(self, escrow, worker, placed, output):
        receipt = worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, output))

        assert said(receipt, escrow)[0][1]["output"] == output

    def test_a_longer_one_is_refused(self, escrow, worker, placed, reverts):
        with reverts("OutputTooLong", length=1025, most=1024):
            worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, bytes(1025)))

    @pytest.mark.parametrize("output", [b"\x00", OUTPUT, SEALED], ids=len)
    def test_it_is_accepted_where_it_is_asked_for_inline(self, escrow, worker, place, ask, output):
        placed = place(ask(flags=INLINE_ONLY))

        worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, output))

        assert escrow.request_of(placed.id).status == RequestStatus.FULFILLED

    @pytest.mark.parametrize("output", [b"", REFERENCE, SEALED_REFERENCE], ids=len)
    def test_none_or_a_reference_is_refused_where_it_is_asked_for_inline(
        self, escrow, worker, place, ask, reverts, output
    ):
        placed = place(ask(flags=INLINE_ONLY))

        with reverts("OutputNotInline"):
            worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, output))


def test_an_answer_commits_to_something(escrow, worker, placed, reverts):
    with reverts("CommitmentIsZero"):
        worker.send(escrow.fulfil(placed.offer, placed.terms, bytes(32), OUTPUT))
