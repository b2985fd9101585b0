"""A wallet's key follows from its signature, if that is the same every time."""

import secrets

import pytest
from eth_account import Account

from modelward.errors import InvalidTerms
from modelward.sdk.wallet_keys import WARNING, key_from_wallet, wallet_message

WALLET = Account.from_key(b"\x07" * 32)


def sign(message):
    return bytes(WALLET.sign_typed_data(full_message=message).signature)


def test_the_same_wallet_has_the_same_key_again():
    assert key_from_wallet(sign, 1).public == key_from_wallet(sign, 1).public


def test_every_number_has_a_key_of_its_own():
    assert key_from_wallet(sign, 1).public != key_from_wallet(sign, 2).public


def test_a_wallet_that_signs_differently_each_time_has_none():
    with pytest.raises(InvalidTerms, match="differently each time"):
        key_from_wallet(lambda _: secrets.token_bytes(65), 1)


def test_what_is_signed_says_what_it_is():
    assert wallet_message(1)["message"]["warning"] == WARNING
    assert "IS your modelward encryption key" in WARNING
