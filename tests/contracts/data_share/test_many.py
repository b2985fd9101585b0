"""`grantMany` and `revokeMany`."""

import pytest

from modelward.chain.events import AccessGranted, AccessRevoked
from modelward.terms import (
    ZERO_ADDRESS,
    Access,
    GrantItem,
    GrantTerms,
    RevokeItem,
    Right,
)
from tests.contracts.said import event, said

DATA_KEY = b"\x11" * 32
MODEL = b"\x22" * 32


@pytest.fixture
def items(data_share, requester, worker, escrow):
    worker.send(data_share.register_key(b"\x0a" * 32))
    return [
        GrantItem(requester.address, MODEL, GrantTerms(Right.INFER, meter=escrow.address)),
        GrantItem(worker.address, MODEL, GrantTerms(Right.SERVE, 2**39, 5), bytes(range(80))),
        GrantItem(requester.address, DATA_KEY, GrantTerms(Right.READ)),
    ]


def test_they_are_granted_as_one_by_one(data_share, devchain, owner, items):
    def stored():
        return [data_share.grant_of(owner.address, item.grantee, item.resource) for item in items]

    snapshot = devchain.snapshot()
    one_by_one = []
    for item in items:
        receipt = owner.send(
            data_share.grant(item.grantee, item.resource, item.terms, item.wrapped_key)
        )
        one_by_one += said(receipt, data_share)
    expected = stored()
    devchain.revert(snapshot)

    receipt = owner.send(data_share.grant_many(items))

    assert stored() == expected
    assert said(receipt, data_share) == one_by_one
    assert [kind for kind, _ in one_by_one] == [AccessGranted] * 3


def test_all_are_granted_or_none(data_share, owner, items, reverts):
    bad = GrantItem(ZERO_ADDRESS, MODEL, GrantTerms(Right.SERVE))

    with reverts("GranteeIsZero"):
        owner.send(data_share.grant_many([*items, bad]))

    for item in items:
        access = data_share.access_of(owner.address, item.grantee, item.resource, item.terms.rights)
        assert access == Access.NOT_GRANTED


def test_of_two_for_the_same_the_later_stands(data_share, owner, worker):
    serve, read = GrantTerms(Right.SERVE), GrantTerms(Right.READ)
    items = [GrantItem(worker.address, MODEL, serve), GrantItem(worker.address, MODEL, read)]

    owner.send(data_share.grant_many(items))

    assert data_share.grant_of(owner.address, worker.address, MODEL).rights == Right.READ


def test_they_are_revoked_as_one_by_one(data_share, owner, items):
    owner.send(data_share.grant_many(items))
    ended = [RevokeItem(item.grantee, item.resource) for item in items[:2]]

    receipt = owner.send(data_share.revoke_many(ended))

    assert said(receipt, data_share) == [
        event(AccessRevoked, owner=owner.address, grantee=item.grantee, resource=item.resource)
        for item in ended
    ]
    for item, expected in zip(
        items, (Access.NOT_GRANTED, Access.NOT_GRANTED, Access.GRANTED), strict=True
    ):
        access = data_share.access_of(owner.address, item.grantee, item.resource, item.terms.rights)
        assert access == expected


def test_nothing_is_done_for_nothing(data_share, owner):
    for call in (data_share.grant_many([]), data_share.revoke_many([])):
        assert owner.send(call).logs == ()
