import pytest

from modelward.terms import EVERYTHING, UNLIMITED, Access, GrantTerms, Right

MODEL = b"\x22" * 32


@pytest.fixture
def meter(sponsor):
    """Whom the grants of this file name as their meter."""
    return sponsor


def infer(meter, uses):
    return GrantTerms(Right.INFER, uses=uses, meter=meter.address)


def test_it_takes_one_use_and_says_nothing(data_share, owner, requester, meter):
    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=3)))

    receipt = meter.send(data_share.consume(owner.address, requester.address, MODEL))

    assert data_share.grant_of(owner.address, requester.address, MODEL).uses == 2
    assert receipt.logs == ()


def test_it_leaves_the_rest_of_the_grant_as_it_was(data_share, devchain, owner, requester, meter):
    owner.send(data_share.revoke_access(requester.address))
    terms = GrantTerms(Right(7), devchain.time + 500, uses=3, meter=meter.address)
    owner.send(data_share.grant(requester.address, MODEL, terms))
    before = data_share.grant_of(owner.address, requester.address, MODEL)

    meter.send(data_share.consume(owner.address, requester.address, MODEL))

    after = data_share.grant_of(owner.address, requester.address, MODEL)
    assert (after.meter, after.expiry, after.generation, after.rights) == (
        before.meter,
        before.expiry,
        before.generation,
        before.rights,
    )


def test_uses_run_out(data_share, owner, requester, meter, reverts):
    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=2)))
    for _ in range(2):
        meter.send(data_share.consume(owner.address, requester.address, MODEL))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=requester.address,
        resource=MODEL,
        right=Right.INFER,
        reason=Access.QUOTA_EXHAUSTED,
    ):
        meter.send(data_share.consume(owner.address, requester.address, MODEL))


def test_an_unlimited_grant_is_never_used_up(data_share, owner, requester, meter):
    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=UNLIMITED)))

    meter.send(data_share.consume(owner.address, requester.address, MODEL))

    assert data_share.grant_of(owner.address, requester.address, MODEL).uses == UNLIMITED


def test_the_largest_limited_quota_counts_down(data_share, owner, requester, meter):
    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=UNLIMITED - 1)))

    meter.send(data_share.consume(owner.address, requester.address, MODEL))

    assert data_share.grant_of(owner.address, requester.address, MODEL).uses == UNLIMITED - 2


def test_a_new_grant_starts_a_new_count(data_share, owner, requester, meter):
    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=1)))
    meter.send(data_share.consume(owner.address, requester.address, MODEL))

    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=5)))

    assert data_share.grant_of(owner.address, requester.address, MODEL).uses == 5


def test_nobody_but_the_meter_may(data_share, owner, requester, meter, outsider, reverts):
    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=1)))

    for caller in (outsider, owner, requester):
        with reverts("NotMeter", meter=meter.address, caller=caller.address):
            caller.send(data_share.consume(owner.address, requester.address, MODEL))


def test_an_owners_use_of_its_own_model_consumes_nothing(data_share, owner, meter, outsider):
    owner.send(data_share.grant(owner.address, MODEL, infer(meter, uses=1)))

    for caller in (meter, outsider):
        caller.send(data_share.consume(owner.address, owner.address, MODEL))

    assert data_share.grant_of(owner.address, owner.address, MODEL).uses == 1


def test_the_last_second_of_a_grant_counts_and_the_next_does_not(
    data_share, devchain, owner, requester, meter, mine_at, reverts
):
    expiry = devchain.time + 100
    terms = GrantTerms(Right.INFER, expiry, uses=5, meter=meter.address)
    owner.send(data_share.grant(requester.address, MODEL, terms))

    consume = data_share.consume(owner.address, requester.address, MODEL)

    mine_at(expiry, meter, consume)
    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=requester.address,
        resource=MODEL,
        right=Right.INFER,
        reason=Access.EXPIRED,
    ):
        mine_at(expiry + 1, meter, consume)


@pytest.mark.parametrize(
    ("ended_by", "reason"),
    [
        ("nothing granted", Access.NOT_GRANTED),
        ("revoke", Access.NOT_GRANTED),
        ("revoke_access", Access.REVOKED),
        ("a grant without infer", Access.RIGHT_MISSING),
    ],
)
def test_without_a_live_grant_it_is_denied(
    data_share, owner, requester, meter, reverts, ended_by, reason
):
    if ended_by != "nothing granted":
        owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=5)))
    if ended_by == "revoke":
        owner.send(data_share.revoke(requester.address, MODEL))
    if ended_by == "revoke_access":
        owner.send(data_share.revoke_access(requester.address))
    if ended_by == "a grant without infer":
        terms = GrantTerms(Right.READ | Right.SERVE, uses=5, meter=meter.address)
        owner.send(data_share.grant(requester.address, MODEL, terms))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=requester.address,
        resource=MODEL,
        right=Right.INFER,
        reason=reason,
    ):
        meter.send(data_share.consume(owner.address, requester.address, MODEL))


def test_read_on_everything_is_no_right_to_infer(data_share, owner, requester, meter, reverts):
    owner.send(data_share.grant_access(requester.address))

    for resource, reason in (
        (MODEL, Access.NOT_GRANTED),
        (EVERYTHING, Access.RIGHT_MISSING),
    ):
        with reverts(
            "AccessDenied",
            owner=owner.address,
            grantee=requester.address,
            resource=resource,
            right=Right.INFER,
            reason=reason,
        ):
            meter.send(data_share.consume(owner.address, requester.address, resource))


@pytest.mark.parametrize("count", [1, 3, 5])
def test_it_takes_several_uses_at_once(data_share, owner, requester, meter, count):
    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=5)))

    meter.send(data_share.consume(owner.address, requester.address, MODEL, count))

    assert data_share.grant_of(owner.address, requester.address, MODEL).uses == 5 - count


@pytest.mark.parametrize("count", [6, 2**24 + 5, 2**256 - 1])
def test_it_takes_all_of_them_or_none(data_share, owner, requester, meter, reverts, count):
    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=5)))

    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=requester.address,
        resource=MODEL,
        right=Right.INFER,
        reason=Access.QUOTA_EXHAUSTED,
    ):
        meter.send(data_share.consume(owner.address, requester.address, MODEL, count))

    assert data_share.grant_of(owner.address, requester.address, MODEL).uses == 5


def test_taking_none_takes_a_live_grant(data_share, owner, requester, meter, reverts):
    consume_none = data_share.consume(owner.address, requester.address, MODEL, 0)
    with reverts(
        "AccessDenied",
        owner=owner.address,
        grantee=requester.address,
        resource=MODEL,
        right=Right.INFER,
        reason=Access.NOT_GRANTED,
    ):
        meter.send(consume_none)

    owner.send(data_share.grant(requester.address, MODEL, infer(meter, uses=5)))
    meter.send(consume_none)

    assert data_share.grant_of(owner.address, requester.address, MODEL).uses == 5
