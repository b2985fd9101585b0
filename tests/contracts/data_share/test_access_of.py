import pytest

from modelward.terms import EVERYTHING, UNLIMITED, Access, GrantTerms, Right

DATA_KEY = b"\x11" * 32
MODEL = b"\x22" * 32


def infer(meter, uses=UNLIMITED):
    return GrantTerms(Right.INFER, uses=uses, meter=meter.address)


def test_there_is_no_grant_unless_one_was_made(data_share, owner, outsider):
    for right in Right:
        for resource in (MODEL, EVERYTHING):
            access = data_share.access_of(owner.address, outsider.address, resource, right)
            assert access == Access.NOT_GRANTED


@pytest.mark.parametrize("held", range(1, 8))
def test_a_grant_covers_its_rights_and_every_combination_of_them(
    data_share, owner, requester, sponsor, held
):
    terms = GrantTerms(Right(held), meter=sponsor.address)
    owner.send(data_share.grant(requester.address, MODEL, terms))

    for asked in (*range(16), 128, 255):
        covered = asked != 0 and asked & held == asked
        access = data_share.access_of(owner.address, requester.address, MODEL, asked)
        assert access == (Access.GRANTED if covered else Access.RIGHT_MISSING), asked


def test_a_grant_is_live_up_to_and_including_its_last_second(
    data_share, devchain, wait_until, owner, worker
):
    expiry = devchain.time + 100
    owner.send(data_share.grant(worker.address, MODEL, GrantTerms(Right.SERVE, expiry)))

    for now, expected in (
        (expiry - 1, Access.GRANTED),
        (expiry, Access.GRANTED),
        (expiry + 1, Access.EXPIRED),
    ):
        wait_until(now)
        access = data_share.access_of(owner.address, worker.address, MODEL, Right.SERVE)
        assert access == expected


def test_a_used_up_quota_denies_infer_and_nothing_else(data_share, owner, requester, sponsor):
    terms = GrantTerms(Right.READ | Right.INFER, uses=1, meter=sponsor.address)
    owner.send(data_share.grant(requester.address, MODEL, terms))
    sponsor.send(data_share.consume(owner.address, requester.address, MODEL))

    for right, expected in (
        (Right.INFER, Access.QUOTA_EXHAUSTED),
        (Right.READ | Right.INFER, Access.QUOTA_EXHAUSTED),
        (Right.READ, Access.GRANTED),
    ):
        access = data_share.access_of(owner.address, requester.address, MODEL, right)
        assert access == expected


def test_the_reason_given_is_the_most_final_one(
    data_share, devchain, wait_until, owner, requester, sponsor
):
    """Revoked, then expired, then lacking the right, then used up."""
    expiry = devchain.time + 100
    terms = GrantTerms(Right.INFER, expiry, uses=1, meter=sponsor.address)
    owner.send(data_share.grant(requester.address, MODEL, terms))

    def reason(right):
        return data_share.access_of(owner.address, requester.address, MODEL, right)

    sponsor.send(data_share.consume(owner.address, requester.address, MODEL))
    assert reason(Right.INFER) == Access.QUOTA_EXHAUSTED
    assert reason(Right.INFER | Right.SERVE) == Access.RIGHT_MISSING

    wait_until(expiry + 1)
    assert reason(Right.INFER) == reason(Right.SERVE) == Access.EXPIRED

    owner.send(data_share.revoke_access(requester.address))
    assert reason(Right.INFER) == reason(Right.SERVE) == Access.REVOKED

    owner.send(data_share.revoke(requester.address, MODEL))
    assert reason(Right.INFER) == Access.NOT_GRANTED


class TestAnOwnerOnItsOwn:
    @pytest.mark.parametrize("right", [Right.READ, Right.INFER, Right.READ | Right.INFER])
    def test_it_may_read_and_infer(self, data_share, owner, right):
        for resource in (MODEL, EVERYTHING):
            access = data_share.access_of(owner.address, owner.address, resource, right)
            assert access == Access.GRANTED

    def test_it_may_do_so_even_after_revoking_itself(self, data_share, owner):
        owner.send(data_share.revoke_access(owner.address))

        access = data_share.access_of(owner.address, owner.address, MODEL, Right.READ)
        assert access == Access.GRANTED

    @pytest.mark.parametrize("right", [Right.SERVE, Right.READ | Right.SERVE, Right(7)])
    def test_it_may_not_serve_without_a_grant(self, data_share, owner, right):
        access = data_share.access_of(owner.address, owner.address, MODEL, right)
        assert access == Access.NOT_GRANTED

    def test_with_a_grant_to_serve_it_may_do_everything(self, data_share, owner):
        owner.send(data_share.grant(owner.address, MODEL, GrantTerms(Right.SERVE)))

        for asked in range(1, 8):
            access = data_share.access_of(owner.address, owner.address, MODEL, asked)
            assert access == Access.GRANTED, asked

    @pytest.mark.parametrize("meaningless", [0, 8, 9, 128, 255])
    def test_it_has_no_right_that_does_not_exist(self, data_share, owner, meaningless):
        access = data_share.access_of(owner.address, owner.address, MODEL, meaningless)
        assert access != Access.GRANTED


class TestReadOnEverything:
    def test_it_is_as_good_as_read_on_the_resource(self, data_share, owner, requester):
        owner.send(data_share.grant_access(requester.address))

        access = data_share.access_of(owner.address, requester.address, DATA_KEY, Right.READ)
        assert access == Access.GRANTED

    @pytest.mark.parametrize("ended", ["revoked", "expired", "lacking"])
    def test_it_covers_for_a_scoped_grant_that_does_not(
        self, data_share, devchain, wait_until, owner, requester, ended
    ):
        expiry = devchain.time + 100
        right = Right.SERVE if ended == "lacking" else Right.READ
        owner.send(data_share.grant(requester.address, DATA_KEY, GrantTerms(right, expiry)))
        if ended == "revoked":
            owner.send(data_share.revoke_access(requester.address))
        if ended == "expired":
            wait_until(expiry + 1)
        owner.send(data_share.grant_access(requester.address))

        access = data_share.access_of(owner.address, requester.address, DATA_KEY, Right.READ)
        assert access == Access.GRANTED

    def test_a_scoped_grant_covers_when_it_has_expired(
        self, data_share, devchain, wait_until, owner, requester
    ):
        expiry = devchain.time + 100
        owner.send(data_share.grant(requester.address, EVERYTHING, GrantTerms(Right.READ, expiry)))
        owner.send(data_share.grant(requester.address, DATA_KEY, GrantTerms(Right.READ)))
        wait_until(expiry + 1)

        for resource, expected in ((DATA_KEY, Access.GRANTED), (MODEL, Access.EXPIRED)):
            access = data_share.access_of(owner.address, requester.address, resource, Right.READ)
            assert access == expected

    def test_it_adds_up_with_the_rights_of_a_scoped_grant(
        self, data_share, owner, requester, sponsor
    ):
        owner.send(data_share.grant_access(requester.address))
        owner.send(data_share.grant(requester.address, MODEL, infer(sponsor)))

        for right, expected in (
            (Right.READ | Right.INFER, Access.GRANTED),
            (Right.READ | Right.SERVE, Access.RIGHT_MISSING),
            (Right.READ | Right.INFER | Right.SERVE, Access.RIGHT_MISSING),
        ):
            access = data_share.access_of(owner.address, requester.address, MODEL, right)
            assert access == expected

    def test_the_scoped_grants_reason_counts_where_neither_covers(
        self, data_share, owner, requester, worker
    ):
        owner.send(data_share.grant(worker.address, DATA_KEY, GrantTerms(Right.SERVE)))
        owner.send(data_share.grant_access(requester.address))
        owner.send(data_share.revoke_access(requester.address))

        for grantee, expected in (
            (worker.address, Access.RIGHT_MISSING),
            (requester.address, Access.REVOKED),
        ):
            access = data_share.access_of(owner.address, grantee, DATA_KEY, Right.READ)
            assert access == expected
