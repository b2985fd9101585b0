from modelward.terms import EVERYTHING, ZERO_ADDRESS, Grant, GrantTerms, Right

MODEL = b"\x22" * 32


def test_where_nothing_was_granted_it_is_empty(data_share, owner, outsider):
    empty = Grant(ZERO_ADDRESS, expiry=0, uses=0, generation=0, rights=Right(0))

    for resource in (MODEL, EVERYTHING):
        assert data_share.grant_of(owner.address, outsider.address, resource) == empty


def test_it_shows_expired_and_revoked_grants_as_stored(
    data_share, devchain, wait_until, owner, worker
):
    expiry = devchain.time + 100
    owner.send(data_share.grant(worker.address, MODEL, GrantTerms(Right.SERVE, expiry, uses=9)))
    owner.send(data_share.revoke_access(worker.address))
    wait_until(expiry + 1)

    assert data_share.grant_of(owner.address, worker.address, MODEL) == Grant(
        meter=ZERO_ADDRESS, expiry=expiry, uses=9, generation=0, rights=Right.SERVE
    )
