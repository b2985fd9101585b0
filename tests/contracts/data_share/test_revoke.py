from modelward.chain.events import AccessRevoked
from modelward.terms import EVERYTHING, ZERO_ADDRESS, Access, Grant, GrantTerms, Right
from tests.contracts.said import event, said

DATA_KEY = b"\x11" * 32
MODEL = b"\x22" * 32
NO_GRANT = Grant(ZERO_ADDRESS, expiry=0, uses=0, generation=0, rights=Right(0))


def test_it_ends_the_grant_and_says_so(data_share, owner, worker):
    owner.send(data_share.grant(worker.address, MODEL, GrantTerms(Right.SERVE)))

    receipt = owner.send(data_share.revoke(worker.address, MODEL))

    assert data_share.grant_of(owner.address, worker.address, MODEL) == NO_GRANT
    access = data_share.access_of(owner.address, worker.address, MODEL, Right.SERVE)
    assert access == Access.NOT_GRANTED
    assert said(receipt, data_share) == [
        event(AccessRevoked, owner=owner.address, grantee=worker.address, resource=MODEL)
    ]


def test_it_leaves_the_grantees_other_grants(data_share, owner, worker):
    owner.send(data_share.grant(worker.address, MODEL, GrantTerms(Right.SERVE)))
    owner.send(data_share.grant(worker.address, DATA_KEY, GrantTerms(Right.READ)))

    owner.send(data_share.revoke(worker.address, MODEL))

    access = data_share.access_of(owner.address, worker.address, DATA_KEY, Right.READ)
    assert access == Access.GRANTED


def test_it_leaves_the_grants_of_others(data_share, owner, worker, outsider):
    owner.send(data_share.grant(worker.address, MODEL, GrantTerms(Right.SERVE)))
    owner.send(data_share.grant(outsider.address, MODEL, GrantTerms(Right.SERVE)))

    owner.send(data_share.revoke(outsider.address, MODEL))
    outsider.send(data_share.revoke(worker.address, MODEL))

    access = data_share.access_of(owner.address, worker.address, MODEL, Right.SERVE)
    assert access == Access.GRANTED


def test_read_on_everything_goes_on_covering_the_resource(data_share, owner, requester):
    owner.send(data_share.grant_access(requester.address))
    owner.send(data_share.grant(requester.address, DATA_KEY, GrantTerms(Right.READ)))

    owner.send(data_share.revoke(requester.address, DATA_KEY))

    access = data_share.access_of(owner.address, requester.address, DATA_KEY, Right.READ)
    assert access == Access.GRANTED


def test_read_on_everything_is_revoked_by_itself(data_share, owner, requester):
    owner.send(data_share.grant_access(requester.address))
    owner.send(data_share.grant(requester.address, DATA_KEY, GrantTerms(Right.READ)))

    owner.send(data_share.revoke(requester.address, EVERYTHING))

    for resource, expected in ((DATA_KEY, Access.GRANTED), (MODEL, Access.NOT_GRANTED)):
        access = data_share.access_of(owner.address, requester.address, resource, Right.READ)
        assert access == expected


def test_it_starts_no_new_generation(data_share, owner, requester):
    owner.send(data_share.grant_access(requester.address))

    owner.send(data_share.revoke(requester.address, EVERYTHING))

    assert data_share.generation_of(owner.address, requester.address) == 0


def test_it_never_fails_on_account_of_what_was_granted(data_share, owner, outsider):
    for resource in (MODEL, EVERYTHING):
        receipt = owner.send(data_share.revoke(outsider.address, resource))

        assert said(receipt, data_share) == [
            event(AccessRevoked, owner=owner.address, grantee=outsider.address, resource=resource)
        ]
