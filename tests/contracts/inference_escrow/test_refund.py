from dataclasses import replace

import pytest

from modelward.chain.events import InferenceRefunded
from modelward.terms import ETH, ZERO_ADDRESS, RequestState, RequestStatus
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE, TERMS, version_of


@pytest.fixture
def overdue(wait_until, placed):
    """A request that nobody answered in time."""
    wait_until(placed.terms.deadline + 1)
    return placed


def test_it_ends_the_request_without_a_result(escrow, requester, overdue):
    requester.send(escrow.refund(overdue.id))

    assert escrow.request_of(overdue.id) == RequestState(
        status=RequestStatus.REFUNDED,
        payer=ZERO_ADDRESS,
        token=ETH,
        fee=0,
        deadline=0,
        commitment=bytes(31),
    )


def test_it_says_who_is_credited_what(escrow, requester, overdue):
    receipt = requester.send(escrow.refund(overdue.id))

    assert said(receipt, escrow) == [
        event(
            InferenceRefunded,
            request_id=overdue.id,
            payer=requester.address,
            token=ETH,
            amount=FEE,
        )
    ]


def test_anyone_may_call_it_and_the_payer_is_credited(
    escrow, chain, requester, outsider, worker, owner, overdue
):
    outsider.send(escrow.refund(overdue.id))

    assert escrow.credit_of(requester.address) == FEE
    for other in (outsider, worker, owner):
        assert escrow.credit_of(other.address) == 0
    assert chain.balance(escrow.address) == FEE


@pytest.mark.parametrize("offset", [-1_000, -1, 0])
def test_up_to_and_in_the_last_second_of_an_answer_it_is_too_early(
    escrow, requester, placed, mine_at, reverts, offset
):
    deadline = placed.terms.deadline

    with reverts("DeadlineNotPassed", deadline=deadline, timestamp=deadline + offset):
        mine_at(deadline + offset, requester, escrow.refund(placed.id))


@pytest.mark.parametrize("offset", [1, 2, 10**8])
def test_from_the_next_second_on_it_is_never_too_late(escrow, requester, placed, mine_at, offset):
    mine_at(placed.terms.deadline + offset, requester, escrow.refund(placed.id))

    assert escrow.credit_of(requester.address) == FEE


def test_a_second_refund_is_refused(escrow, requester, overdue, reverts):
    requester.send(escrow.refund(overdue.id))

    with reverts("NotOpen", id=overdue.id, status=RequestStatus.REFUNDED):
        requester.send(escrow.refund(overdue.id))
    assert escrow.credit_of(requester.address) == FEE


def test_a_request_that_was_never_placed_has_no_refund(escrow, outsider, reverts):
    with reverts("NotOpen", id=b"\x99" * 32, status=RequestStatus.NONE):
        outsider.send(escrow.refund(b"\x99" * 32))


def test_a_request_that_named_a_worker_is_refunded_too(
    escrow, wait_until, requester, worker, place, ask
):
    placed = place(ask(worker=worker.address))
    wait_until(placed.terms.deadline + 1)

    requester.send(escrow.refund(placed.id))

    assert escrow.credit_of(requester.address) == FEE


def test_a_request_that_a_verifier_decides_is_refunded_too(
    escrow, registry, wait_until, owner, requester, sponsor, offer, place, ask
):
    verified = version_of(offer.model_id, owner.address, "verified", verifier=sponsor.address)
    owner.send(registry.publish_version(verified))
    placed = place(ask(), version=registry.version_id_of(verified))
    wait_until(placed.terms.deadline + 1)

    requester.send(escrow.refund(placed.id))

    assert escrow.credit_of(requester.address) == FEE


def test_nothing_an_owner_can_do_stops_it(
    escrow, registry, data_share, owner, requester, outsider, worker, overdue
):
    owner.send(registry.set_terms(overdue.offer.model_id, replace(TERMS, fee=0)))
    owner.send(registry.retire_version(overdue.offer.model_id, overdue.offer.version_id))
    owner.send(registry.retire_model(overdue.offer.model_id))
    owner.send(data_share.revoke_access(requester.address))
    owner.send(data_share.revoke_access(worker.address))

    outsider.send(escrow.refund(overdue.id))

    assert escrow.credit_of(requester.address) == FEE


def test_a_use_of_the_grant_is_not_given_back(data_share, escrow, owner, requester, overdue):
    model_id = overdue.offer.model_id
    before = data_share.grant_of(owner.address, requester.address, model_id).uses

    requester.send(escrow.refund(overdue.id))

    assert data_share.grant_of(owner.address, requester.address, model_id).uses == before
