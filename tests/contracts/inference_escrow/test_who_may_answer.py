"""`fulfil` and `refuse` ask the same of their caller, the terms and the time."""

from dataclasses import replace

import pytest

from modelward import commitments
from modelward.chain.fees import choose_fees
from modelward.terms import Access, GrantTerms, RequestStatus, Right
from tests.contracts.inference_escrow.answers import (
    CHANGED_OFFER,
    CHANGED_REQUEST,
    COMMITMENT,
    OUTPUT,
)
from tests.contracts.specimens import FEE, version_of


@pytest.fixture(params=["fulfil", "refuse"])
def answer(request, escrow):
    """Either way of ending a request before its deadline."""

    def call(offer, terms):
        if request.param == "fulfil":
            return escrow.fulfil(offer, terms, COMMITMENT, OUTPUT)
        return escrow.refuse(offer, terms, 1)

    return call


@pytest.fixture
def ended(escrow):
    return lambda placed: escrow.request_of(placed.id).status != RequestStatus.OPEN


@pytest.mark.parametrize("offset", [-1, 0])
def test_up_to_and_in_the_last_second_a_worker_may(worker, placed, answer, ended, mine_at, offset):
    mine_at(placed.terms.deadline + offset, worker, answer(placed.offer, placed.terms))

    assert ended(placed)


@pytest.mark.parametrize("offset", [1, 10**6])
def test_after_the_deadline_nobody_may(worker, placed, answer, mine_at, reverts, offset):
    deadline = placed.terms.deadline

    with reverts("DeadlinePassed", deadline=deadline, timestamp=deadline + offset):
        mine_at(deadline + offset, worker, answer(placed.offer, placed.terms))


@pytest.mark.parametrize("field", CHANGED_OFFER)
def test_with_another_offer_it_is_another_request(
    escrow, chain, worker, placed, answer, reverts, field
):
    offer = replace(placed.offer, **{field: CHANGED_OFFER[field]})
    other = commitments.request_id(
        offer, placed.terms, chain_id=chain.chain_id, escrow=escrow.address
    )

    with reverts("NotOpen", id=other, status=RequestStatus.NONE):
        worker.send(answer(offer, placed.terms))


@pytest.mark.parametrize("field", [name for name in CHANGED_REQUEST if name != "callback_gas"])
def test_with_other_terms_it_is_another_request(
    escrow, chain, worker, placed, answer, reverts, field
):
    terms = replace(placed.terms, **{field: CHANGED_REQUEST[field]})
    other = commitments.request_id(
        placed.offer, terms, chain_id=chain.chain_id, escrow=escrow.address
    )

    with reverts("NotOpen", id=other, status=RequestStatus.NONE):
        worker.send(answer(placed.offer, terms))


def test_neither_requester_nor_owner_nor_outsider_may(
    owner, requester, outsider, placed, answer, reverts
):
    for caller in (owner, requester, outsider):
        reason = Access.RIGHT_MISSING if caller is requester else Access.NOT_GRANTED
        with reverts(
            "AccessDenied",
            owner=owner.address,
            grantee=caller.address,
            resource=placed.offer.model_id,
            right=Right.SERVE,
            reason=reason,
        ):
            caller.send(answer(placed.offer, placed.terms))


def test_an_owner_that_named_itself_a_worker_may(data_share, owner, placed, answer, ended):
    owner.send(data_share.grant(owner.address, placed.offer.model_id, GrantTerms(Right.SERVE)))

    owner.send(answer(placed.offer, placed.terms))

    assert ended(placed)


def test_a_requester_that_serves_the_model_may(data_share, owner, requester, placed, answer, ended):
    serve = GrantTerms(Right.SERVE)
    owner.send(data_share.grant(requester.address, placed.offer.model_id, serve))

    requester.send(answer(placed.offer, placed.terms))

    assert ended(placed)


def test_a_worker_of_another_owner_may_not(
    data_share, owner, outsider, sponsor, placed, answer, reverts
):
    sponsor.send(data_share.grant(outsider.address, placed.offer.model_id, GrantTerms(Right.SERVE)))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=outsider.address,
        resource=placed.offer.model_id,
        right=Right.SERVE,
        reason=Access.NOT_GRANTED,
    ):
        outsider.send(answer(placed.offer, placed.terms))


@pytest.mark.parametrize(
    ("removed_by", "reason"),
    [
        ("revoke", Access.NOT_GRANTED),
        ("revoke_access", Access.REVOKED),
        ("read instead", Access.RIGHT_MISSING),
        ("expiry", Access.EXPIRED),
    ],
)
def test_a_removed_worker_may_not_from_that_moment_on(
    data_share, devchain, wait_until, owner, worker, placed, answer, reverts, removed_by, reason
):
    model_id = placed.offer.model_id
    match removed_by:
        case "revoke":
            owner.send(data_share.revoke(worker.address, model_id))
        case "revoke_access":
            owner.send(data_share.revoke_access(worker.address))
        case "read instead":
            owner.send(data_share.grant(worker.address, model_id, GrantTerms(Right.READ)))
        case "expiry":
            expiry = devchain.time + 60
            owner.send(data_share.grant(worker.address, model_id, GrantTerms(Right.SERVE, expiry)))
            wait_until(expiry + 1)

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=worker.address,
        resource=model_id,
        right=Right.SERVE,
        reason=reason,
    ):
        worker.send(answer(placed.offer, placed.terms))


def test_another_worker_answers_in_a_removed_ones_place(
    data_share, owner, worker, keeper, placed, answer, ended
):
    owner.send(data_share.revoke_access(worker.address))
    owner.send(data_share.grant(keeper.address, placed.offer.model_id, GrantTerms(Right.SERVE)))

    keeper.send(answer(placed.offer, placed.terms))

    assert ended(placed)


def test_a_worker_added_after_the_request_may(data_share, owner, keeper, placed, answer, ended):
    owner.send(data_share.grant(keeper.address, placed.offer.model_id, GrantTerms(Right.SERVE)))

    keeper.send(answer(placed.offer, placed.terms))

    assert ended(placed)


def test_where_a_worker_is_named_no_other_may(
    data_share, owner, worker, keeper, place, ask, answer, reverts
):
    placed = place(ask(worker=worker.address))
    owner.send(data_share.grant(keeper.address, placed.offer.model_id, GrantTerms(Right.SERVE)))

    with reverts("NotNamedWorker", worker=worker.address, caller=keeper.address):
        keeper.send(answer(placed.offer, placed.terms))


def test_to_be_named_does_not_make_a_worker(owner, outsider, place, ask, answer, reverts):
    placed = place(ask(worker=outsider.address))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=outsider.address,
        resource=placed.offer.model_id,
        right=Right.SERVE,
        reason=Access.NOT_GRANTED,
    ):
        outsider.send(answer(placed.offer, placed.terms))


def test_where_a_verifier_decides_no_worker_may(
    registry, owner, worker, sponsor, offer, place, ask, answer, reverts
):
    verified = version_of(offer.model_id, owner.address, "verified", verifier=sponsor.address)
    owner.send(registry.publish_version(verified))
    placed = place(ask(), version=registry.version_id_of(verified))

    with reverts("NotVerifier", verifier=sponsor.address, caller=worker.address):
        worker.send(answer(placed.offer, placed.terms))


def test_of_two_workers_only_the_first_is_paid(
    data_share, escrow, chain, owner, worker, keeper, placed
):
    """Both answers are in the same block, the second signed before the first was mined."""
    owner.send(data_share.grant(keeper.address, placed.offer.model_id, GrantTerms(Right.SERVE)))
    call = escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT)
    chain.rpc("evm_setAutomine", [False])
    signed = [
        each.sign(call, gas=150_000, nonce=each.next_nonce(), fees=choose_fees(chain))
        for each in (worker, keeper)
    ]
    worker.broadcast(signed[0])
    keeper.broadcast(signed[1])
    chain.rpc("evm_mine")

    receipts = [worker.wait(signed[0].hash), keeper.wait(signed[1].hash)]

    assert receipts[0].block_number == receipts[1].block_number
    assert sorted(receipt.succeeded for receipt in receipts) == [False, True]
    paid = escrow.credit_of(worker.address) + escrow.credit_of(keeper.address)
    assert paid == placed.offer.worker_share
    assert chain.balance(escrow.address) == FEE
