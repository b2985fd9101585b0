from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelward.errors import EpochNotGranted, InvalidTerms
from modelward.sealing.epochs import LAST_EPOCH, EpochKey
from modelward.terms import Address

ACCOUNT = b"\x01" * 32
CONTRACT = Address("0x" + 40 * "3")


def owners_key(epoch, account=ACCOUNT, **changes):
    place: dict[str, Any] = {
        "chain_id": 31337,
        "contract": CONTRACT,
        "resource": b"\x07" * 32,
    } | changes
    return EpochKey.of_owner(account, epoch=epoch, **place)


@given(epochs=st.lists(st.integers(1, LAST_EPOCH), min_size=2, max_size=2, unique=True))
@settings(max_examples=20, deadline=None)
def test_an_epochs_key_gives_those_of_earlier_epochs_and_of_no_later_one(epochs):
    earlier, later = sorted(epochs)

    assert owners_key(later).at(earlier) == owners_key(earlier)
    with pytest.raises(EpochNotGranted, match=f"up to epoch {earlier}, not epoch {later}"):
        owners_key(earlier).at(later)


def test_the_keys_of_epochs_resources_contracts_and_chains_differ():
    keys = [
        owners_key(1),
        owners_key(2),
        owners_key(1, resource=b"\x08" * 32),
        owners_key(1, contract=Address("0x" + 40 * "4")),
        owners_key(1, chain_id=1),
        owners_key(1, account=b"\x02" * 32),
    ]

    derived = [key.secret for key in keys]
    derived += [key.content_key() for key in keys]
    derived += [key.service_key().secret() for key in keys]
    assert len(set(derived)) == len(derived)


def test_a_key_does_not_show_its_secret():
    assert owners_key(1).secret.hex() not in repr(owners_key(1))


@pytest.mark.parametrize("epoch", [0, -1, LAST_EPOCH + 1])
def test_there_are_no_epochs_but_those_counted_from_one(epoch):
    with pytest.raises((InvalidTerms, EpochNotGranted)):
        owners_key(epoch)
