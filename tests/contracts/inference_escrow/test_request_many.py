import pytest

from modelward import commitments
from modelward.chain.abi import contract_abi
from modelward.chain.events import InferenceRequested
from modelward.terms import Access, GrantTerms, RequestStatus, Right
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE, QUOTA

INPUTS = [b"\x00one", b"", b"\x00three"]


@pytest.fixture
def several(ask):
    return [ask(f"input {number}") for number in range(3)]


@pytest.fixture
def ids(chain, escrow, offer, several):
    where = {"chain_id": chain.chain_id, "escrow": escrow.address}
    return [commitments.request_id(offer, terms, **where) for terms in several]


@pytest.fixture
def request_many(escrow, offer):
    def call(several, inputs, value):
        return escrow.request_many(offer.model_id, offer.version_id, several, inputs, value=value)

    return call


def test_each_is_open_and_all_the_fees_are_held(
    escrow, chain, requester, several, ids, request_many
):
    requester.send(request_many(several, INPUTS, 3 * FEE))

    for request_id, terms in zip(ids, several, strict=True):
        state = escrow.request_of(request_id)
        assert (state.status, state.payer, state.fee, state.deadline) == (
            RequestStatus.OPEN,
            requester.address,
            FEE,
            terms.deadline,
        )
    assert chain.balance(escrow.address) == 3 * FEE


def test_each_is_said_with_its_own_input(escrow, requester, offer, several, ids, request_many):
    receipt = requester.send(request_many(several, INPUTS, 3 * FEE))

    assert said(receipt, escrow) == [
        event(
            InferenceRequested,
            request_id=request_id,
            model_id=offer.model_id,
            requester=requester.address,
            offer=offer,
            request=terms,
            input=input_,
        )
        for request_id, terms, input_ in zip(ids, several, INPUTS, strict=True)
    ]


def test_it_returns_the_ids(chain, requester, several, ids, request_many):
    call = request_many(several, INPUTS, 3 * FEE)

    returned = chain.call(call.to, call.data, sender=requester.address, value=call.value)

    decoded = contract_abi("InferenceEscrow").decode_result("requestMany", returned)
    assert list(decoded) == ids


def test_each_takes_a_use_of_the_grant(data_share, owner, requester, offer, several, request_many):
    requester.send(request_many(several, INPUTS, 3 * FEE))

    grant = data_share.grant_of(owner.address, requester.address, offer.model_id)
    assert grant.uses == QUOTA - 3


def test_without_uses_for_all_there_is_none(
    data_share, escrow, owner, requester, offer, several, ids, request_many, reverts
):
    infer = GrantTerms(Right.INFER, uses=2, meter=escrow.address)
    owner.send(data_share.grant(requester.address, offer.model_id, infer))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=requester.address,
        resource=offer.model_id,
        right=Right.INFER,
        reason=Access.QUOTA_EXHAUSTED,
    ):
        requester.send(request_many(several, INPUTS, 3 * FEE))

    assert {escrow.request_of(each).status for each in ids} == {RequestStatus.NONE}


@pytest.mark.parametrize("sent", [0, FEE, 3 * FEE - 1, 3 * FEE + 1])
def test_all_the_fees_must_be_sent_exactly(requester, several, request_many, reverts, sent):
    with reverts("WrongFee", sent=sent, fee=3 * FEE):
        requester.send(request_many(several, INPUTS, sent))


@pytest.mark.parametrize("count", [0, 2, 4])
def test_there_is_an_input_for_each(requester, several, request_many, reverts, count):
    with reverts("LengthMismatch", queries=3, inputs=count):
        requester.send(request_many(several, [b""] * count, 3 * FEE))


def test_one_that_is_refused_takes_the_others_along(
    escrow, devchain, requester, ask, several, ids, request_many, mine_at, reverts
):
    now = devchain.time + 100
    late = ask("late", deadline=now)

    with reverts("DeadlineOutOfBounds", deadline=now, timestamp=now, latest=now + 86_400):
        mine_at(now, requester, request_many([*several, late], [b""] * 4, 4 * FEE))

    assert {escrow.request_of(each).status for each in ids} == {RequestStatus.NONE}


def test_the_same_request_twice_is_refused(requester, several, ids, request_many, reverts):
    with reverts("RequestExists", id=ids[0], status=RequestStatus.OPEN):
        requester.send(request_many([several[0]] * 2, [b""] * 2, 2 * FEE))


def test_none_at_all_are_placed_for_nothing(escrow, chain, requester, request_many):
    assert requester.send(request_many([], [], 0)).logs == ()
    assert chain.balance(escrow.address) == 0
