"""Accounts that a node signs for: their encryption keys are in files, and open all that others' do.

The node is anvil, which holds accounts that are in no keystore and not for development.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from eth_utils.address import to_checksum_address

from modelward.chain.accounts import Account, open_account
from modelward.chain.connection import Chain
from modelward.chain.development import DEVELOPMENT_ACCOUNTS
from modelward.cli import main
from modelward.content.store import ContentStore
from modelward.deployment import deploy
from modelward.devchain import launch
from modelward.errors import (
    InvalidTerms,
    KeyNotGranted,
    NoPrivateKey,
    RpcError,
    WrongPassword,
)
from modelward.gateway.service import make_gateway
from modelward.sdk import Connection, verify
from modelward.sdk.data import DataOwner, fetch_data
from modelward.sdk.encryption_keys import Custody, EncryptionKeys
from modelward.sdk.rotation import carry_out
from modelward.sdk.wallet_keys import WARNING
from modelward.terms import ETHER, Right
from tests.serving import serving

from .conftest import MODEL, REFERENCE

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Passwords that are cheap to try."""
    monkeypatch.setattr("modelward.sdk.key_files.SCRYPT_WORK_FACTOR", 2)


@pytest.fixture(scope="module")
def node():
    """anvil's URL; its last account is known to nobody else."""
    with launch(accounts=len(DEVELOPMENT_ACCOUNTS) + 1) as anvil:
        yield anvil.url


@pytest.fixture(scope="module")
def config(node, deployed_chain):
    known = deployed_chain.config
    network = replace(known.network("local"), url=node, poll_interval=0.01)
    return replace(known, networks={"local": network}, environment_password=PASSWORD)


@pytest.fixture(scope="module")
def anvil_deployment(config):
    chain = Chain.connect(config.network("local"))
    return deploy(chain, Account.development("deployer"), config)


@pytest.fixture
def chain(anvil_deployment):
    chain = anvil_deployment.chain
    snapshot = chain.rpc("evm_snapshot")
    yield chain
    chain.rpc("evm_revert", [snapshot])


@pytest.fixture
def deployment(chain, anvil_deployment):
    return anvil_deployment


@pytest.fixture
def address(chain):
    return to_checksum_address(chain.rpc("eth_accounts")[-1])


@pytest.fixture
def acting_as(config, chain, deployment, address, tmp_path):
    """A connection for a role, or for the account at the node, which is called wallet."""
    named = replace(config, accounts={"wallet": address})

    def acting_as(role):
        own = replace(named, home=tmp_path / role)
        store = ContentStore(str(tmp_path / "store"))
        if role == "wallet":
            account = open_account(own, chain, "wallet")
        else:
            account = Account.development(role)
        return Connection(own, chain, deployment, store, account)

    return acting_as


@pytest.fixture
def wallet(acting_as):
    return acting_as("wallet")


@pytest.fixture
def sharer(acting_as, tmp_path):
    (tmp_path / "file").write_bytes(b"shared")
    sharer = DataOwner(acting_as("owner"))
    sharer.publish(tmp_path / "file", "data")
    return sharer


@pytest.fixture
def fetched(acting_as, tmp_path):
    """Fetch what is shared in a new process of the wallet's user."""

    def fetched(**options):
        target = tmp_path / "fetched"
        fetch_data(acting_as("wallet"), "owner", "data", target, overwrite=True, **options)
        return target.read_bytes()

    return fetched


def files_of(connection):
    return sorted(connection.key_files.directory.glob("*.json"))


def test_the_node_signs_for_an_account_of_its_own(wallet, address):
    assert wallet.address == address
    assert wallet.account_name == "wallet"
    with pytest.raises(NoPrivateKey, match="a node or wallet signs"):
        _ = wallet.sender.account.private_key


@pytest.mark.parametrize("from_signature", [False, True], ids=["random", "from signature"])
def test_its_key_is_in_an_encrypted_file_and_opens_what_is_shared(
    wallet, sharer, fetched, from_signature
):
    registered = EncryptionKeys(wallet).register(from_signature=from_signature)
    assert registered.custody is Custody.STORED
    [file] = files_of(wallet)
    assert file.stat().st_mode & 0o777 == 0o600
    secret = wallet.key_files.open(registered.public_key).secret()
    assert secret.hex() not in file.read_text()
    assert json.loads(file.read_text())["crypto"]["kdf"] == "scrypt"
    sharer.grant("wallet", "data")
    assert fetched() == b"shared"


def test_registering_again_sends_nothing(wallet):
    first = EncryptionKeys(wallet).register()
    assert EncryptionKeys(wallet).register() == first
    assert wallet.data_share.key_of(wallet.address)[0] == 1


def test_what_was_wrapped_to_an_earlier_key_stays_readable(wallet, sharer, fetched):
    EncryptionKeys(wallet).register()
    sharer.grant("wallet", "data")
    for from_signature in (True, False):
        EncryptionKeys(wallet).rotate(from_signature=from_signature)
    assert len(files_of(wallet)) == 3
    assert fetched() == b"shared"


def test_a_key_from_a_signature_comes_back_without_its_file(wallet, sharer, fetched):
    EncryptionKeys(wallet).register(from_signature=True)
    sharer.grant("wallet", "data")
    EncryptionKeys(wallet).rotate(from_signature=True)
    before = [file.name for file in files_of(wallet)]
    for file in files_of(wallet):
        file.unlink()
    with pytest.raises(KeyNotGranted):
        fetched()

    keys = EncryptionKeys(replace(wallet))
    assert keys.register(from_signature=True).index == 2

    assert [file.name for file in files_of(wallet)] == before
    assert fetched() == b"shared"


def test_a_lost_random_key_is_replaced_by_another(wallet):
    lost = EncryptionKeys(wallet).register()
    files_of(wallet)[0].unlink()
    current = EncryptionKeys(wallet).current()
    assert current is not None
    assert current.custody is Custody.ELSEWHERE
    assert EncryptionKeys(wallet).register().index == lost.index + 1


def test_another_password_does_not_open_it(wallet, sharer, acting_as, tmp_path):
    EncryptionKeys(wallet).register()
    sharer.grant("wallet", "data")
    other = replace(wallet, config=replace(wallet.config, environment_password="wrong"))
    with pytest.raises(WrongPassword, match="does not open with this password"):
        fetch_data(other, "owner", "data", tmp_path / "fetched")


def test_it_is_asked_for_a_password_where_none_is_configured(wallet, sharer, tmp_path):
    unset = replace(wallet.config, environment_password=None)
    with pytest.raises(WrongPassword, match="No password was given"):
        EncryptionKeys(replace(wallet, config=unset)).register()
    asked = []

    def choose(name):
        asked.append(name)
        return PASSWORD

    EncryptionKeys(replace(wallet, config=unset), choose).register()
    sharer.grant("wallet", "data")
    again = replace(wallet, config=unset, ask_password=choose)
    fetch_data(again, "owner", "data", tmp_path / "fetched")
    assert len(asked) == 2


def test_a_worker_serves_private_requests_with_it(
    wallet, owner, publish, requester, work, row, acting_as, sandbox
):
    EncryptionKeys(wallet).register()
    publish()
    owner.grant("requester", MODEL, Right.INFER)
    owner.grant(wallet.address, MODEL, Right.SERVE)
    placed = requester.send(REFERENCE, row)
    work("wallet", key_files=acting_as("wallet").key_files)
    requester.result(placed.id)
    assert verify(acting_as("wallet"), placed.id, sandbox=sandbox).identical


def test_a_requester_opens_its_answers_without_any(wallet, publish, owner, acting_as, work, row):
    from modelward.sdk import Requester

    EncryptionKeys(acting_as("worker")).register()
    publish(price=ETHER // 1000, open=True)
    owner.grant("worker", MODEL, Right.SERVE)
    asking = Requester(wallet)
    placed = asking.send(REFERENCE, row)
    assert placed.private
    work()
    asking.result(placed.id)


def test_an_owner_publishes_and_rotates_with_its_first_key(wallet, acting_as, tmp_path):
    (tmp_path / "file").write_bytes(b"shared")
    with pytest.raises(KeyNotGranted, match="encryption key number 1, which is not at hand"):
        DataOwner(wallet).publish(tmp_path / "file", "data")
    EncryptionKeys(wallet).register()
    EncryptionKeys(wallet).rotate()
    EncryptionKeys(acting_as("requester")).register()
    sharer = DataOwner(wallet)
    sharer.publish(tmp_path / "file", "data")
    sharer.grant("requester", "data")
    carry_out(wallet, sharer.plan_rotation("data"))
    fetch_data(acting_as("requester"), wallet.address, "data", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"shared"


def test_it_signs_for_what_it_fetches_through_a_gateway(wallet, sharer, fetched):
    EncryptionKeys(wallet).register()
    sharer.grant("wallet", "data")
    with serving(make_gateway(sharer.connection)) as port:
        assert fetched(gateway=f"http://127.0.0.1:{port}") == b"shared"


def test_a_signature_is_not_asked_for_where_the_private_key_is_at_hand(acting_as):
    with pytest.raises(InvalidTerms, match="no signature is needed"):
        EncryptionKeys(acting_as("requester")).register(from_signature=True)


def test_the_command_line_registers_and_shows_it(
    wallet, node, config, repository, capsys, monkeypatch, tmp_path
):
    file = config.root / "deploy.toml"
    file.write_text((repository / "deploy.toml").read_text().replace("http://127.0.0.1:8545", node))
    monkeypatch.setenv("MODELWARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODELWARD_PASSWORD", PASSWORD)

    def run(*arguments):
        assert main(["key", *arguments, "--config", str(file)]) == 0
        return capsys.readouterr()

    registered = run("register", "--from-signature", "--account", wallet.address)
    assert f"The wallet is asked to sign this, twice: {WARNING}" in registered.err
    assert "in an encrypted file" in registered.out
    assert "key number  2" in run("rotate", "--account", wallet.address).out
    [older, newer] = sorted(
        (tmp_path / "home" / "encryption-keys").iterdir(), key=lambda path: path.stat().st_mtime_ns
    )
    assert older != newer
    assert json.loads(run("show", wallet.address, "--json").out)["file"] == str(newer)
    assert str(newer) in run("show", wallet.address).out


def test_a_node_that_signs_another_transaction_is_not_followed(wallet, monkeypatch):
    ask = wallet.chain.rpc

    def altered(method, params=()):
        if method == "eth_signTransaction":
            params = [{**params[0], "data": "0x00"}]
        return ask(method, params)

    monkeypatch.setattr(wallet.chain, "rpc", altered)
    with pytest.raises(RpcError, match="signed another transaction"):
        EncryptionKeys(wallet).register()
    monkeypatch.undo()
    assert wallet.data_share.key_of(wallet.address)[0] == 0
