import pytest

from modelward.terms import EVERYTHING, Access, GrantTerms, Right

DATA_KEY = b"\x11" * 32
CONTENT_HASH = b"\xc0" * 32


@pytest.fixture(autouse=True)
def published(data_share, owner, isolation):
    owner.send(data_share.publish_data(DATA_KEY, CONTENT_HASH, "file:///data"))


def test_a_grantee_of_everything_gets_the_published_hash(data_share, owner, requester):
    owner.send(data_share.grant_access(requester.address))

    assert data_share.fetch_data(owner.address, DATA_KEY, sender=requester.address) == CONTENT_HASH


def test_a_grantee_of_the_data_key_gets_the_published_hash(data_share, owner, requester):
    owner.send(data_share.grant(requester.address, DATA_KEY, GrantTerms(Right.READ)))

    assert data_share.fetch_data(owner.address, DATA_KEY, sender=requester.address) == CONTENT_HASH


def test_the_owner_needs_no_grant(data_share, owner):
    assert data_share.fetch_data(owner.address, DATA_KEY, sender=owner.address) == CONTENT_HASH


def test_an_outsider_is_denied(data_share, owner, outsider, reverts):
    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=outsider.address,
        resource=DATA_KEY,
        right=Right.READ,
        reason=Access.NOT_GRANTED,
    ):
        data_share.fetch_data(owner.address, DATA_KEY, sender=outsider.address)


def test_what_the_caller_granted_the_owner_counts_for_nothing(
    data_share, owner, requester, reverts
):
    requester.send(data_share.grant_access(owner.address))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=requester.address,
        resource=DATA_KEY,
        right=Right.READ,
        reason=Access.NOT_GRANTED,
    ):
        data_share.fetch_data(owner.address, DATA_KEY, sender=requester.address)


def test_a_grant_for_another_data_key_counts_for_nothing(data_share, owner, requester, reverts):
    owner.send(data_share.grant(requester.address, b"\x12" * 32, GrantTerms(Right.READ)))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=requester.address,
        resource=DATA_KEY,
        right=Right.READ,
        reason=Access.NOT_GRANTED,
    ):
        data_share.fetch_data(owner.address, DATA_KEY, sender=requester.address)


def test_once_revoked_the_caller_is_denied(data_share, owner, requester, reverts):
    owner.send(data_share.grant_access(requester.address))
    owner.send(data_share.revoke_access(requester.address))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=requester.address,
        resource=DATA_KEY,
        right=Right.READ,
        reason=Access.REVOKED,
    ):
        data_share.fetch_data(owner.address, DATA_KEY, sender=requester.address)


def test_the_right_to_serve_is_not_the_right_to_read(data_share, owner, worker, reverts):
    owner.send(data_share.grant(worker.address, DATA_KEY, GrantTerms(Right.SERVE)))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=worker.address,
        resource=DATA_KEY,
        right=Right.READ,
        reason=Access.RIGHT_MISSING,
    ):
        data_share.fetch_data(owner.address, DATA_KEY, sender=worker.address)


@pytest.mark.parametrize("data_key", [b"\x12" * 32, EVERYTHING])
def test_what_was_never_published_cannot_be_fetched(
    data_share, owner, requester, reverts, data_key
):
    owner.send(data_share.grant_access(requester.address))

    with reverts("NotPublished", owner=owner.address, dataKey=data_key):
        data_share.fetch_data(owner.address, data_key, sender=requester.address)
