import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.chain.encoding import to_address
from modelward.chain.events import AccessGranted
from modelward.chain.transactions import Call
from modelward.errors import ContractRefused
from modelward.terms import (
    EVERYTHING,
    NEVER,
    UNLIMITED,
    ZERO_ADDRESS,
    Access,
    Grant,
    GrantTerms,
    Right,
)
from tests.contracts.said import event, said
from tests.contracts.strategies import examples
from tests.contracts.unchecked import unchecked

MODEL = b"\x22" * 32
ALL_RIGHTS = Right.READ | Right.INFER | Right.SERVE


def test_it_stores_the_grant(data_share, owner, requester, escrow):
    terms = GrantTerms(ALL_RIGHTS, expiry=2**39, uses=1000, meter=escrow.address)

    owner.send(data_share.grant(requester.address, MODEL, terms))

    assert data_share.grant_of(owner.address, requester.address, MODEL) == Grant(
        meter=escrow.address, expiry=2**39, uses=1000, generation=0, rights=ALL_RIGHTS
    )


def test_it_says_all_of_it_and_passes_the_wrapped_key_on(data_share, owner, requester, escrow):
    terms = GrantTerms(Right.READ | Right.INFER, expiry=2**39, uses=7, meter=escrow.address)
    wrapped_key = bytes(range(80))
    requester.send(data_share.register_key(b"\x01" * 32))

    receipt = owner.send(data_share.grant(requester.address, MODEL, terms, wrapped_key))

    assert said(receipt, data_share) == [
        event(
            AccessGranted,
            owner=owner.address,
            grantee=requester.address,
            resource=MODEL,
            rights=Right.READ | Right.INFER,
            expiry=2**39,
            uses=7,
            meter=escrow.address,
            generation=0,
            wrapped_key=wrapped_key,
        )
    ]


@pytest.mark.parametrize("right", [Right.READ, Right.SERVE])
def test_a_wrapped_key_is_refused_for_a_grantee_that_could_not_unwrap_it(
    data_share, owner, requester, reverts, right
):
    with reverts("GranteeHasNoKey", grantee=requester.address):
        owner.send(data_share.grant(requester.address, MODEL, GrantTerms(right), b"wrapped"))


def test_it_replaces_the_grant_before_whole(data_share, owner, requester, escrow):
    generous = GrantTerms(ALL_RIGHTS, expiry=NEVER, uses=UNLIMITED, meter=escrow.address)
    owner.send(data_share.grant(requester.address, MODEL, generous))

    owner.send(data_share.grant(requester.address, MODEL, GrantTerms(Right.SERVE, 2**39, uses=0)))

    assert data_share.grant_of(owner.address, requester.address, MODEL) == Grant(
        meter=ZERO_ADDRESS, expiry=2**39, uses=0, generation=0, rights=Right.SERVE
    )


def test_it_covers_its_own_resource_only(data_share, owner, requester):
    owner.send(data_share.grant(requester.address, MODEL, GrantTerms(Right.READ)))

    for resource in (EVERYTHING, b"\x23" * 32):
        access = data_share.access_of(owner.address, requester.address, resource, Right.READ)
        assert access == Access.NOT_GRANTED


def test_it_covers_its_own_grantee_only(data_share, owner, requester, outsider):
    owner.send(data_share.grant(requester.address, MODEL, GrantTerms(Right.READ)))

    access = data_share.access_of(owner.address, outsider.address, MODEL, Right.READ)
    assert access == Access.NOT_GRANTED


def test_anyone_can_grant_but_only_of_their_own(data_share, owner, requester, outsider):
    outsider.send(data_share.grant(requester.address, MODEL, GrantTerms(Right.READ)))

    access = data_share.access_of(owner.address, requester.address, MODEL, Right.READ)
    assert access == Access.NOT_GRANTED


def test_an_owner_may_name_itself_a_worker(data_share, owner):
    owner.send(data_share.grant(owner.address, MODEL, GrantTerms(Right.SERVE)))

    access = data_share.access_of(owner.address, owner.address, MODEL, Right.SERVE)
    assert access == Access.GRANTED


def test_everything_may_be_granted_for_reading(data_share, owner, requester):
    owner.send(data_share.grant(requester.address, EVERYTHING, GrantTerms(Right.READ, 2**39)))

    access = data_share.access_of(owner.address, requester.address, MODEL, Right.READ)
    assert access == Access.GRANTED


@pytest.mark.parametrize("right", [Right.READ, Right.SERVE, Right.READ | Right.SERVE])
def test_without_infer_neither_quota_nor_meter_is_needed(data_share, owner, requester, right):
    owner.send(data_share.grant(requester.address, MODEL, GrantTerms(right, uses=0)))

    access = data_share.access_of(owner.address, requester.address, MODEL, right)
    assert access == Access.GRANTED


def test_the_zero_address_cannot_hold_a_grant(data_share, owner, reverts):
    with reverts("GranteeIsZero"):
        owner.send(data_share.grant(ZERO_ADDRESS, MODEL, GrantTerms(Right.READ)))


@pytest.mark.parametrize("rights", [0, 8, 9, 128, 255])
def test_rights_that_mean_nothing_are_refused(data_share, owner, requester, reverts, rights):
    terms = unchecked(GrantTerms(Right.READ), rights=rights)

    with reverts("InvalidRights", rights=Right(rights), known=7):
        owner.send(data_share.grant(requester.address, MODEL, terms))


@pytest.mark.parametrize("rights", range(2, 8))
def test_everything_cannot_be_granted_for_more_than_reading(
    data_share, owner, requester, escrow, reverts, rights
):
    terms = GrantTerms(Right(rights), meter=escrow.address)

    with reverts("ResourceIsEverything", rights=Right(rights)):
        owner.send(data_share.grant(requester.address, EVERYTHING, terms))


def test_a_grant_that_ends_before_it_begins_is_refused(
    data_share, devchain, owner, requester, mine_at, reverts
):
    now = devchain.time + 10
    terms = GrantTerms(Right.READ, expiry=now - 1)

    with reverts("ExpiryPassed", expiry=now - 1, timestamp=now):
        mine_at(now, owner, data_share.grant(requester.address, MODEL, terms))


def test_a_grant_may_end_in_the_second_it_begins(data_share, devchain, owner, requester, mine_at):
    now = devchain.time + 10
    terms = GrantTerms(Right.READ, expiry=now)

    mine_at(now, owner, data_share.grant(requester.address, MODEL, terms))

    access = data_share.access_of(owner.address, requester.address, MODEL, Right.READ)
    assert access == Access.GRANTED


def test_infer_needs_a_use(data_share, owner, requester, escrow, reverts):
    terms = unchecked(GrantTerms(Right.INFER, meter=escrow.address), uses=0)

    with reverts("QuotaIsZero"):
        owner.send(data_share.grant(requester.address, MODEL, terms))


def test_infer_needs_a_meter(data_share, owner, requester, reverts):
    terms = unchecked(GrantTerms(Right.READ, uses=1), rights=Right.INFER)

    with reverts("MeterIsZero"):
        owner.send(data_share.grant(requester.address, MODEL, terms))


def test_a_refused_grant_leaves_the_one_before(data_share, owner, requester, reverts):
    owner.send(data_share.grant(requester.address, MODEL, GrantTerms(Right.SERVE)))
    before = data_share.grant_of(owner.address, requester.address, MODEL)

    with reverts("InvalidRights", rights=Right(0), known=7):
        nothing = unchecked(GrantTerms(Right.READ), rights=0)
        owner.send(data_share.grant(requester.address, MODEL, nothing))

    assert data_share.grant_of(owner.address, requester.address, MODEL) == before


@pytest.mark.parametrize(
    ("word", "width"), [(0, 160), (2, 8), (3, 40), (4, 24), (5, 160)], ids=lambda value: str(value)
)
def test_an_argument_too_wide_for_its_type_is_refused_not_cut(
    data_share, owner, requester, escrow, word, width
):
    terms = GrantTerms(Right.INFER, expiry=NEVER, uses=1, meter=escrow.address)
    call = data_share.grant(requester.address, MODEL, terms)
    place = 4 + 32 * word
    wide = int.from_bytes(call.data[place : place + 32]) | 1 << width
    data = call.data[:place] + wide.to_bytes(32) + call.data[place + 32 :]

    with pytest.raises(ContractRefused) as refusal:
        owner.send(Call(data_share.address, data))

    assert refusal.value.error == ""


@given(
    grantee=st.binary(min_size=20, max_size=20).filter(any),
    resource=st.binary(min_size=32, max_size=32).filter(any),
    rights=st.integers(1, 7).map(Right),
    lifetime=st.integers(0, 2**39) | st.just(None),
    uses=st.integers(1, UNLIMITED),
    meter=st.binary(min_size=20, max_size=20).filter(any),
    wrapped_key=st.binary(max_size=100),
)
@examples(40)
def test_what_is_granted_is_what_is_stored_and_said(
    data_share, devchain, owner, grantee, resource, rights, lifetime, uses, meter, wrapped_key
):
    expiry = NEVER if lifetime is None else devchain.time + 60 + lifetime
    terms = GrantTerms(rights, expiry, uses, to_address(meter))
    if rights != Right.INFER:
        wrapped_key = b""  # the grantee has registered no key

    receipt = owner.send(data_share.grant(to_address(grantee), resource, terms, wrapped_key))

    stored = data_share.grant_of(owner.address, to_address(grantee), resource)
    assert stored == Grant(terms.meter, expiry, uses, 0, rights)
    assert said(receipt, data_share) == [
        event(
            AccessGranted,
            owner=owner.address,
            grantee=to_address(grantee),
            resource=resource,
            rights=rights,
            expiry=expiry,
            uses=uses,
            meter=terms.meter,
            generation=0,
            wrapped_key=wrapped_key,
        )
    ]
