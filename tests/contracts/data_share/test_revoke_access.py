from modelward.chain.events import AccessGranted, AllAccessRevoked
from modelward.terms import EVERYTHING, ZERO_ADDRESS, Access, GrantTerms, Right
from tests.contracts.said import event, said

DATA_KEY = b"\x11" * 32
MODEL = b"\x22" * 32


def test_it_says_which_generation_later_grants_will_carry(data_share, owner, requester):
    first = owner.send(data_share.revoke_access(requester.address))
    second = owner.send(data_share.revoke_access(requester.address))

    for generation, receipt in enumerate((first, second), start=1):
        assert said(receipt, data_share) == [
            event(
                AllAccessRevoked,
                owner=owner.address,
                grantee=requester.address,
                generation=generation,
            )
        ]
    assert data_share.generation_of(owner.address, requester.address) == 2


def test_it_ends_every_grant_blanket_and_scoped(data_share, owner, requester, sponsor):
    infer = GrantTerms(Right.INFER, uses=3, meter=sponsor.address)
    owner.send(data_share.grant_access(requester.address))
    owner.send(data_share.grant(requester.address, DATA_KEY, GrantTerms(Right.READ)))
    owner.send(data_share.grant(requester.address, MODEL, infer))
    owner.send(data_share.grant(requester.address, b"\x33" * 32, GrantTerms(Right.SERVE)))

    owner.send(data_share.revoke_access(requester.address))

    for resource, right in (
        (EVERYTHING, Right.READ),
        (DATA_KEY, Right.READ),
        (MODEL, Right.INFER),
        (b"\x33" * 32, Right.SERVE),
    ):
        access = data_share.access_of(owner.address, requester.address, resource, right)
        assert access == Access.REVOKED


def test_it_leaves_the_owners_grants_to_others(data_share, owner, requester, outsider):
    owner.send(data_share.grant_access(requester.address))
    owner.send(data_share.grant_access(outsider.address))

    owner.send(data_share.revoke_access(outsider.address))

    access = data_share.access_of(owner.address, requester.address, DATA_KEY, Right.READ)
    assert access == Access.GRANTED
    assert data_share.generation_of(owner.address, requester.address) == 0


def test_it_leaves_what_others_granted(data_share, owner, requester, outsider):
    owner.send(data_share.grant_access(requester.address))

    outsider.send(data_share.revoke_access(requester.address))
    requester.send(data_share.revoke_access(owner.address))

    access = data_share.access_of(owner.address, requester.address, DATA_KEY, Right.READ)
    assert access == Access.GRANTED


def test_a_later_grant_is_of_the_new_generation_and_brings_no_old_one_back(
    data_share, owner, requester
):
    owner.send(data_share.grant_access(requester.address))
    owner.send(data_share.grant(requester.address, MODEL, GrantTerms(Right.SERVE)))
    owner.send(data_share.revoke_access(requester.address))

    receipt = owner.send(data_share.grant(requester.address, DATA_KEY, GrantTerms(Right.READ)))

    [(kind, fields)] = said(receipt, data_share)
    assert kind is AccessGranted
    assert fields["generation"] == 1
    assert data_share.grant_of(owner.address, requester.address, DATA_KEY).generation == 1
    for resource, right, expected in (
        (DATA_KEY, Right.READ, Access.GRANTED),
        (EVERYTHING, Right.READ, Access.REVOKED),
        (MODEL, Right.SERVE, Access.REVOKED),
    ):
        access = data_share.access_of(owner.address, requester.address, resource, right)
        assert access == expected


def test_it_never_fails_on_account_of_what_was_granted(data_share, owner, outsider):
    for user in (outsider.address, owner.address, data_share.address, ZERO_ADDRESS):
        owner.send(data_share.revoke_access(user))
        assert data_share.generation_of(owner.address, user) == 1


def test_it_costs_the_same_whatever_was_granted(data_share, owner, requester):
    owner.send(data_share.revoke_access(requester.address))
    before = owner.send(data_share.revoke_access(requester.address))

    for number in range(30):
        resource = bytes([number + 1]) * 32
        owner.send(data_share.grant(requester.address, resource, GrantTerms(Right.READ)))
    after = owner.send(data_share.revoke_access(requester.address))

    assert before.gas_used == after.gas_used
