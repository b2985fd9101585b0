"""The published constants are what the mnemonic gives."""

from eth_account import Account

from modelward.chain.development import (
    DEVELOPMENT_ACCOUNTS,
    DEVELOPMENT_DERIVATION_PATH,
    DEVELOPMENT_KEYS,
    DEVELOPMENT_MNEMONIC,
    development_account,
    is_development_address,
    is_development_key,
)

ROLES = (
    "deployer",
    "owner",
    "requester",
    "worker",
    "outsider",
    "sponsor",
    "evaluator",
    "challenger",
    "keeper",
    "spare",
)


def test_every_account_is_derived_from_the_mnemonic():
    Account.enable_unaudited_hdwallet_features()
    for index, account in enumerate(DEVELOPMENT_ACCOUNTS):
        derived = Account.from_mnemonic(
            DEVELOPMENT_MNEMONIC, account_path=DEVELOPMENT_DERIVATION_PATH.format(index=index)
        )
        assert account.address == derived.address
        assert account.private_key == f"0x{bytes(derived.key).hex()}"


def test_roles_are_named_in_order():
    assert tuple(account.name for account in DEVELOPMENT_ACCOUNTS) == ROLES
    assert tuple(DEVELOPMENT_KEYS) == ROLES
    assert development_account("worker") is DEVELOPMENT_ACCOUNTS[3]


def test_a_development_key_is_recognised_in_any_form():
    for account in DEVELOPMENT_ACCOUNTS:
        key = bytes.fromhex(account.private_key[2:])
        assert is_development_key(key)
        assert is_development_key(account.private_key)
        assert is_development_key(key.hex().upper())
        assert is_development_address(account.address.lower())
        assert is_development_address(account.address)


def test_any_other_key_or_address_is_not():
    stranger = Account.create()
    assert not is_development_key(bytes(stranger.key))
    assert not is_development_address(stranger.address)
