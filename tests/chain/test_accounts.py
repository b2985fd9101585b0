"""Keystores and development accounts: who may sign what, and where."""

import json
import stat
import threading
from dataclasses import replace

import pytest
from eth_account import Account as EthAccount
from eth_typing import HexStr

from modelward.chain.accounts import Account, Keystore, open_account
from modelward.chain.connection import Chain
from modelward.chain.development import DEVELOPMENT_KEYS
from modelward.chain.sender import Sender
from modelward.devchain import DevChain
from modelward.errors import (
    AccountExists,
    InvalidKeystore,
    UnknownAccount,
    UnsafeAccount,
    WrongPassword,
)

LIGHT = 1 << 10
KEY = "0x" + 31 * "00" + "07"
ADDRESS = EthAccount.from_key(KEY).address


@pytest.fixture
def keystore(tmp_path) -> Keystore:
    return Keystore(tmp_path / "home" / "keystore", work_factor=LIGHT)


@pytest.fixture
def settings(config, keystore):
    """A configuration whose home holds `keystore`."""
    return replace(config, home=keystore.directory.parent)


def foreign_chain(config, *, development_accounts: bool) -> Chain:
    network = config.network("embedded")
    network = replace(network, chain_id=7, development_accounts=development_accounts)
    return Chain.connect(network, DevChain(7).provider())


@pytest.fixture
def foreign(config) -> Chain:
    """A chain that is not one for development."""
    return foreign_chain(config, development_accounts=False)


# --- keystores -----------------------------------------------------------------------------------


def test_a_new_account_opens_with_its_password(keystore):
    stored = keystore.new("alice", "correct horse")

    account = keystore.unlock(stored, "correct horse")

    assert account.name == "alice"
    assert account.address == stored.address
    assert EthAccount.from_key(account.private_key).address == stored.address


def test_new_accounts_differ(keystore):
    assert keystore.new("a", "x").address != keystore.new("b", "x").address


def test_a_wrong_password_opens_nothing(keystore):
    stored = keystore.new("alice", "correct horse")

    with pytest.raises(WrongPassword, match="'alice' does not open") as caught:
        keystore.unlock(stored, "battery staple")
    assert caught.value.exit_code == 2


def test_a_keystore_is_a_v3_file_that_others_can_read(keystore):
    stored = keystore.import_key("alice", KEY, "x")

    document = json.loads(stored.path.read_text())

    assert document["version"] == 3
    assert document["crypto"]["kdf"] == "scrypt"
    assert bytes(EthAccount.decrypt(document, "x")) == bytes.fromhex(KEY[2:])
    assert KEY[2:] not in stored.path.read_text()


def test_the_default_work_factor_is_the_standard_one(tmp_path):
    assert Keystore(tmp_path).work_factor == 1 << 18


def test_only_their_user_can_read_keystores(keystore):
    stored = keystore.new("alice", "x")

    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keystore.directory.stat().st_mode) == 0o700


def test_a_name_that_is_taken_is_refused_and_its_file_untouched(keystore):
    stored = keystore.new("alice", "x")
    before = stored.path.read_bytes()

    with pytest.raises(AccountExists, match="'alice'"):
        keystore.new("alice", "y")
    assert stored.path.read_bytes() == before


def test_an_address_is_stored_once(keystore):
    keystore.import_key("alice", KEY, "x")

    with pytest.raises(AccountExists, match="'alice'"):
        keystore.import_key("bob", KEY, "y")


def test_two_that_take_a_name_at_once_leave_one_whole_file(keystore):
    outcomes = []

    def take():
        try:
            outcomes.append(keystore.new("alice", "x").address)
        except AccountExists:
            outcomes.append(None)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (address,) = (outcome for outcome in outcomes if outcome)
    (stored,) = keystore.list()
    assert keystore.unlock(stored, "x").address == address
    assert [path.name for path in keystore.directory.iterdir()] == ["alice.json"]


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "a b", "0xabc", 65 * "a", "é"])
def test_a_name_that_is_none_is_refused(keystore, name):
    with pytest.raises(InvalidKeystore, match="cannot name an account"):
        keystore.new(name, "x")


@pytest.mark.parametrize("key", ["", "0x12", "hello", "0x" + 64 * "0", "0x" + 64 * "f"])
def test_what_is_no_private_key_is_refused_and_not_repeated(keystore, key):
    with pytest.raises(InvalidKeystore) as caught:
        keystore.import_key("alice", key, "x")
    assert not key or key not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not list(keystore.directory.glob("*"))


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_another_programs_keystore_is_imported_once_it_opens(keystore, tmp_path, kdf):
    file = tmp_path / "UTC--2026--key"
    file.write_text(
        json.dumps(EthAccount.encrypt(HexStr(KEY), "theirs", kdf=kdf, iterations=LIGHT))
    )

    with pytest.raises(WrongPassword):
        keystore.import_file("alice", file, "mine")
    assert keystore.list() == ()

    stored = keystore.import_file("alice", file, "theirs")
    assert keystore.unlock(stored, "theirs").address == ADDRESS == stored.address


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 3}', "\0", '{"version": 1}'])
def test_a_file_that_is_no_keystore_is_refused(keystore, tmp_path, text):
    file = tmp_path / "key.json"
    file.write_text(text)

    with pytest.raises(InvalidKeystore, match=r"key\.json"):
        keystore.import_file("alice", file, "x")


def test_a_missing_file_is_refused(keystore, tmp_path):
    with pytest.raises(InvalidKeystore, match="No such file"):
        keystore.import_file("alice", tmp_path / "key.json", "x")


def test_accounts_are_listed_by_name_and_damaged_ones_are_shown(keystore):
    keystore.new("bob", "x")
    keystore.new("alice", "x")
    (keystore.directory / "damaged.json").write_text("{")

    listed = keystore.list()

    assert [key.name for key in listed] == ["alice", "bob", "damaged"]
    assert [key.address is None for key in listed] == [False, False, True]


def test_an_unlocked_account_does_not_show_its_key():
    account = Account.from_key("alice", KEY)

    assert KEY[2:] not in repr(account)
    assert str(int(KEY, 16)) not in repr(account).replace(account.address, "")


# --- which account -------------------------------------------------------------------------------


def test_a_development_role_is_an_account_of_a_development_network(config, chain):
    owner = open_account(config, chain, "owner")

    assert owner == Account.development("owner")
    assert open_account(config, chain, owner.address.lower()) == owner
    assert open_account(config, chain, default_role="owner") == owner


def test_a_keystore_is_found_by_name_by_address_and_by_its_name_in_deploy_toml(
    settings, chain, keystore
):
    stored = keystore.new("alice", "x")
    settings = replace(settings, environment_password="x", accounts={"publisher": stored.address})

    for name in ("alice", stored.address, stored.address.lower(), "publisher"):
        assert open_account(settings, chain, name).address == stored.address
    named = replace(settings, default_account="alice")
    assert open_account(named, chain, default_role="owner").address == stored.address


def test_the_password_is_asked_for_when_the_environment_has_none(settings, chain, keystore):
    stored = keystore.new("alice", "x")
    prompts = []

    def ask(prompt):
        prompts.append(prompt)
        return "x"

    assert open_account(settings, chain, "alice", ask_password=ask).address == stored.address
    assert len(prompts) == 1
    assert "alice" in prompts[0]


def test_without_any_password_there_is_a_way_out(settings, chain, keystore):
    keystore.new("alice", "x")

    with pytest.raises(WrongPassword) as caught:
        open_account(settings, chain, "alice")
    assert "MODELWARD_PASSWORD_FILE" in str(caught.value.hint)


def test_a_wrong_password_of_the_environment_is_refused(settings, chain, keystore):
    keystore.new("alice", "x")

    with pytest.raises(WrongPassword):
        open_account(replace(settings, environment_password="y"), chain, "alice")


def test_an_unknown_account_is_refused(settings, chain):
    with pytest.raises(UnknownAccount, match="'nobody'") as caught:
        open_account(settings, chain, "nobody")
    assert "modelward account list" in str(caught.value.hint)


def test_no_account_is_taken_for_granted_on_a_real_network(settings, foreign):
    with pytest.raises(UnknownAccount, match="No account was named"):
        open_account(settings, foreign, default_role="deployer")


# --- keys that everybody knows -------------------------------------------------------------------


def test_a_development_role_is_refused_on_another_chain(settings, foreign):
    with pytest.raises(UnsafeAccount, match="whose key everybody knows"):
        open_account(settings, foreign, "owner")


def test_a_development_key_in_a_keystore_is_refused_on_another_chain(settings, foreign, keystore):
    keystore.import_key("mine", DEVELOPMENT_KEYS["owner"], "x")

    with pytest.raises(UnsafeAccount):
        open_account(replace(settings, environment_password="x"), foreign, "mine")


def test_a_development_account_is_refused_where_the_network_does_not_declare_them(
    settings, chain, configured
):
    undeclared = configured(chain, development_accounts=False)

    with pytest.raises(UnsafeAccount):
        open_account(settings, undeclared, "owner")


def test_declaring_them_does_not_make_them_safe_on_another_chain(settings, config):
    chain = foreign_chain(config, development_accounts=True)

    with pytest.raises(UnsafeAccount):
        open_account(settings, chain, "owner")
    with pytest.raises(UnsafeAccount):
        Sender(chain, Account.development("owner"))


def test_a_keystore_may_have_a_roles_name_on_a_real_network(settings, foreign, keystore):
    stored = keystore.new("owner", "x")

    account = open_account(replace(settings, environment_password="x"), foreign, "owner")

    assert account.address == stored.address
    assert not account.is_development
