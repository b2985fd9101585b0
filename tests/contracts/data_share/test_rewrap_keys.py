import pytest

from modelward.chain.events import KeysRewrapped
from tests.contracts.said import event, said

MODEL = b"\x22" * 32
WRAPPED = bytes(range(80))


def test_it_passes_every_wrapped_key_on_in_one_event(data_share, owner, requester, worker):
    grantees = [requester.address, worker.address]

    receipt = owner.send(data_share.rewrap_keys(MODEL, grantees, WRAPPED * 2))

    assert said(receipt, data_share) == [
        event(
            KeysRewrapped,
            owner=owner.address,
            resource=MODEL,
            grantees=(requester.address, worker.address),
            wrapped_keys=WRAPPED * 2,
        )
    ]


@pytest.mark.parametrize("length", [0, 79, 81, 160])
def test_there_must_be_eighty_bytes_for_every_grantee(
    data_share, owner, requester, length, reverts
):
    with reverts("WrappedKeysLength", length=length, expected=80):
        owner.send(data_share.rewrap_keys(MODEL, [requester.address], bytes(length)))


def test_it_grants_nothing(data_share, owner, requester):
    owner.send(data_share.rewrap_keys(MODEL, [requester.address], WRAPPED))

    assert not data_share.grant_of(owner.address, requester.address, MODEL).rights


def test_a_hundred_grantees_cost_at_most_5000_gas_each(data_share, owner, requester):
    def gas(count):
        grantees = [f"0x{number:040x}" for number in range(2**160 - count, 2**160)]
        wrapped = bytes([0xA5]) * 80 * count
        return owner.send(data_share.rewrap_keys(MODEL, grantees, wrapped)).gas_used

    assert gas(100) <= 5_000 * 100
