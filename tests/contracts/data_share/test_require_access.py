from modelward.terms import Access, GrantTerms, Right

MODEL = b"\x22" * 32


def test_it_is_silent_where_access_is_granted(data_share, owner, worker):
    owner.send(data_share.grant(worker.address, MODEL, GrantTerms(Right.SERVE)))

    data_share.require_access(owner.address, worker.address, MODEL, Right.SERVE)
    data_share.require_access(owner.address, owner.address, MODEL, Right.READ)


def test_it_denies_with_the_reason_access_of_gives(data_share, owner, worker, reverts):
    owner.send(data_share.grant(worker.address, MODEL, GrantTerms(Right.SERVE)))
    owner.send(data_share.revoke_access(worker.address))

    for right in (Right.SERVE, Right.READ, Right.READ | Right.INFER):
        reason = data_share.access_of(owner.address, worker.address, MODEL, right)
        assert reason == Access.REVOKED
        with reverts(
            "AccessDenied",
            owner=owner.address,
            grantee=worker.address,
            resource=MODEL,
            right=right,
            reason=reason,
        ):
            data_share.require_access(owner.address, worker.address, MODEL, right)
