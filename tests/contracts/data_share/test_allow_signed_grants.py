from modelward.chain.events import SignedGrantsAllowed
from tests.contracts.said import event, said


def test_nobody_allows_them_to_begin_with(data_share, owner):
    assert not data_share.signed_grants_allowed(owner.address)


def test_an_owner_allows_and_disallows_them_and_says_so(data_share, owner):
    for allowed in (True, False, True):
        receipt = owner.send(data_share.allow_signed_grants(allowed))

        assert data_share.signed_grants_allowed(owner.address) is allowed
        assert said(receipt, data_share) == [
            event(SignedGrantsAllowed, owner=owner.address, allowed=allowed)
        ]


def test_each_owner_decides_for_itself(data_share, owner, outsider):
    outsider.send(data_share.allow_signed_grants(True))

    assert not data_share.signed_grants_allowed(owner.address)


def test_revoking_costs_an_owner_who_allows_none_no_more(data_share, owner, outsider, worker):
    for each in (owner, outsider):
        each.send(data_share.revoke_access(worker.address))
    outsider.send(data_share.allow_signed_grants(True))

    plain = owner.send(data_share.revoke(worker.address, b"\x22" * 32))
    voiding = outsider.send(data_share.revoke(worker.address, b"\x22" * 32))

    assert plain.gas_used < voiding.gas_used
    assert data_share.nonce_of(owner.address, worker.address) == 0
