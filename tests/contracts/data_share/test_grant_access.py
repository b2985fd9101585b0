import pytest

from modelward.chain.events import AccessGranted
from modelward.terms import EVERYTHING, NEVER, UNLIMITED, ZERO_ADDRESS, Access, Grant, Right
from tests.contracts.said import event, said

DATA_KEY = b"\x11" * 32


def test_it_grants_read_on_everything_for_ever(data_share, owner, requester):
    owner.send(data_share.grant_access(requester.address))

    assert data_share.grant_of(owner.address, requester.address, EVERYTHING) == Grant(
        meter=ZERO_ADDRESS, expiry=NEVER, uses=UNLIMITED, generation=0, rights=Right.READ
    )


def test_it_says_what_was_granted(data_share, owner, requester):
    receipt = owner.send(data_share.grant_access(requester.address))

    assert said(receipt, data_share) == [
        event(
            AccessGranted,
            owner=owner.address,
            grantee=requester.address,
            resource=EVERYTHING,
            rights=Right.READ,
            expiry=NEVER,
            uses=UNLIMITED,
            meter=ZERO_ADDRESS,
            generation=0,
            wrapped_key=b"",
        )
    ]


def test_it_covers_every_resource_of_the_owner(data_share, owner, requester):
    owner.send(data_share.grant_access(requester.address))

    for resource in (EVERYTHING, DATA_KEY, b"\xff" * 32):
        access = data_share.access_of(owner.address, requester.address, resource, Right.READ)
        assert access == Access.GRANTED


def test_it_covers_nothing_of_another_owner(data_share, owner, outsider, requester):
    owner.send(data_share.grant_access(requester.address))

    access = data_share.access_of(outsider.address, requester.address, DATA_KEY, Right.READ)
    assert access == Access.NOT_GRANTED


def test_it_gives_the_grantor_nothing_of_the_grantee(data_share, owner, requester):
    owner.send(data_share.grant_access(requester.address))

    access = data_share.access_of(requester.address, owner.address, DATA_KEY, Right.READ)
    assert access == Access.NOT_GRANTED


@pytest.mark.parametrize("right", [Right.INFER, Right.SERVE])
def test_it_gives_no_right_but_read(data_share, owner, requester, right):
    owner.send(data_share.grant_access(requester.address))

    for resource in (EVERYTHING, DATA_KEY):
        access = data_share.access_of(owner.address, requester.address, resource, right)
        assert access != Access.GRANTED


def test_it_may_be_given_twice(data_share, owner, requester):
    owner.send(data_share.grant_access(requester.address))
    owner.send(data_share.grant_access(requester.address))

    access = data_share.access_of(owner.address, requester.address, DATA_KEY, Right.READ)
    assert access == Access.GRANTED


def test_the_zero_address_cannot_hold_a_grant(data_share, owner, reverts):
    with reverts("GranteeIsZero"):
        owner.send(data_share.grant_access(ZERO_ADDRESS))
