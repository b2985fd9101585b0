import pytest

from modelward.chain.events import KeyRegistered
from modelward.terms import GrantTerms, Right
from tests.contracts.said import event, said

MODEL = b"\x22" * 32
FIRST, SECOND = b"\x0a" * 32, b"\x0b" * 32
WRAPPED_KEY = bytes(range(80))


def test_an_account_has_no_key_unless_it_registered_one(data_share, requester):
    assert data_share.key_of(requester.address) == (0, bytes(32))
    assert data_share.key_at(requester.address, 0) == bytes(32)
    assert data_share.key_at(requester.address, 1) == bytes(32)


def test_keys_are_counted_from_1_and_said(data_share, requester):
    for index, key in enumerate((FIRST, SECOND, FIRST), start=1):
        receipt = requester.send(data_share.register_key(key))

        assert data_share.key_of(requester.address) == (index, key)
        assert said(receipt, data_share) == [
            event(KeyRegistered, account=requester.address, index=index, public_key=key)
        ]


def test_it_returns_the_index(data_share, requester):
    requester.send(data_share.register_key(FIRST))

    assert data_share.view("registerKey", SECOND, sender=requester.address) == 2


def test_earlier_keys_stay_readable(data_share, requester):
    for key in (FIRST, SECOND):
        requester.send(data_share.register_key(key))

    keys = [data_share.key_at(requester.address, index) for index in range(4)]
    assert keys == [bytes(32), FIRST, SECOND, bytes(32)]


def test_each_account_has_its_own(data_share, requester, outsider):
    outsider.send(data_share.register_key(FIRST))

    assert data_share.key_of(requester.address) == (0, bytes(32))


def test_a_zero_key_is_refused(data_share, requester, reverts):
    with reverts("KeyIsZero"):
        requester.send(data_share.register_key(bytes(32)))


class TestAWrappedKey:
    @pytest.mark.parametrize("right", [Right.READ, Right.SERVE, Right(7)])
    def test_it_is_of_no_use_to_who_cannot_unwrap_it(
        self, data_share, owner, requester, escrow, reverts, right
    ):
        terms = GrantTerms(right, meter=escrow.address)
        with reverts("GranteeHasNoKey", grantee=requester.address):
            owner.send(data_share.grant(requester.address, MODEL, terms, WRAPPED_KEY))

    @pytest.mark.parametrize("right", [Right.READ, Right.SERVE, Right(7)])
    def test_it_is_passed_on_to_who_can(self, data_share, owner, requester, escrow, right):
        requester.send(data_share.register_key(FIRST))

        terms = GrantTerms(right, meter=escrow.address)
        receipt = owner.send(data_share.grant(requester.address, MODEL, terms, WRAPPED_KEY))

        assert said(receipt, data_share)[0][1]["wrapped_key"] == WRAPPED_KEY

    def test_without_one_no_key_is_needed(self, data_share, owner, requester):
        owner.send(data_share.grant(requester.address, MODEL, GrantTerms(Right.READ)))

        assert data_share.key_of(requester.address) == (0, bytes(32))
