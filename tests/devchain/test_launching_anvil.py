"""anvil is started on a free port, with the development accounts, and never left behind."""

import os
import stat
import time
from pathlib import Path

import pytest
from eth_utils import to_checksum_address
from web3 import HTTPProvider, Web3

from modelward.chain.development import DEVELOPMENT_ACCOUNTS
from modelward.devchain.anvil import find_anvil, launch
from modelward.errors import AnvilMissing, RpcUnavailable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def executable():
    if not (ROOT / "node_modules").is_dir():
        pytest.skip("node_modules is not installed")
    return find_anvil(ROOT)


def has_ended(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    return False


def script(folder, text):
    file = folder / "anvil"
    file.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_it_has_the_accounts_and_the_chain_id(executable):
    with launch(executable=executable, chain_id=4321, accounts=3) as anvil:
        web3 = Web3(HTTPProvider(anvil.url))
        assert web3.eth.chain_id == 4321
        addresses = [account.address for account in DEVELOPMENT_ACCOUNTS[:3]]
        assert list(web3.eth.accounts) == addresses
        assert web3.eth.get_balance(to_checksum_address(addresses[2])) == 10_000 * 10**18
    assert has_ended(anvil.process_id)


def test_two_can_run_side_by_side(executable):
    with launch(executable=executable) as first, launch(executable=executable) as second:
        assert first.port != second.port
        for anvil in (first, second):
            assert Web3(HTTPProvider(anvil.url)).eth.block_number == 0


def test_it_is_stopped_when_the_block_fails(executable):
    with pytest.raises(RuntimeError, match="on purpose"), launch(executable=executable) as anvil:
        raise RuntimeError("on purpose")
    assert has_ended(anvil.process_id)


def test_further_arguments_are_handed_on(executable):
    with launch(executable=executable, arguments=["--no-mining"]) as anvil:
        web3 = Web3(HTTPProvider(anvil.url))
        sender = web3.eth.accounts[0]
        web3.eth.send_transaction({"from": sender, "to": sender})
        assert web3.eth.block_number == 0


def test_one_that_ends_at_once_says_why(tmp_path):
    broken = script(tmp_path, "echo 'Error: no such hardfork'; exit 1")
    with pytest.raises(RpcUnavailable, match="no such hardfork"), launch(executable=broken):
        pass


def test_one_that_ignores_being_told_to_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("modelward.devchain.anvil.STOP_SECONDS", 0.2)
    stubborn = script(
        tmp_path, "trap '' TERM\necho 'Listening on 127.0.0.1:1'\nwhile :; do sleep 0.05; done"
    )
    started = time.monotonic()
    with launch(executable=stubborn) as anvil:
        assert anvil.port == 1
    assert has_ended(anvil.process_id)
    assert time.monotonic() - started < 5


def test_none_installed_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnvilMissing, match="was not found") as caught:
        find_anvil(tmp_path)
    assert "npm ci" in (caught.value.hint or "")
    with pytest.raises(AnvilMissing, match="cannot be run"), launch(executable=tmp_path / "anvil"):
        pass


def test_the_one_on_the_path_is_found_where_npm_installed_none(tmp_path, monkeypatch):
    on_path = script(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_anvil(tmp_path) == on_path
