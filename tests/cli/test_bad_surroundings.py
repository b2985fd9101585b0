"""Networks, deployments and accounts that cannot be used: one sentence, and nothing lost."""

from __future__ import annotations

import socket

import pytest

from modelward.chain.accounts import Keystore
from modelward.devchain import DevChain, serve
from tests.market import MODEL

SEND = ("request", "send", MODEL, "--set", "mean radius=1")


@pytest.fixture
def networks(project, market):
    """Add networks to deploy.toml."""

    def networks(**settings):
        text = market.file.read_text(encoding="utf-8")
        for name, lines in settings.items():
            text += f"\n[networks.{name}]\n" + "\n".join(lines) + "\n"
        market.file.write_text(text, encoding="utf-8")

    return networks


def test_an_unknown_network(refused):
    outcome = refused(2, "No network 'locl' in", *SEND, "--network", "locl")
    assert "hint: Did you mean 'local'?" in outcome.err


def test_a_network_whose_url_is_not_set(refused, monkeypatch):
    monkeypatch.delenv("SEPOLIA_RPC_URL", raising=False)
    refused(
        2, "SEPOLIA_RPC_URL is not set, and the network 'sepolia' needs it.",
        *SEND, "--network", "sepolia",
    )  # fmt: skip


def test_an_endpoint_that_cannot_be_reached(refused, networks):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    networks(gone=[f'url = "http://127.0.0.1:{port}"', "chain_id = 31337"])
    outcome = refused(4, "nothing listens there", *SEND, "--network", "gone")
    assert f"http://127.0.0.1:{port}" in outcome.err


def test_an_endpoint_of_another_chain(refused, networks, market):
    networks(other=[f'url = "{market.url}"', "chain_id = 1"])
    refused(
        2, "serves chain 31337, but the network 'other' is configured as chain 1.",
        *SEND, "--network", "other",
    )  # fmt: skip


def test_a_chain_that_was_restarted(refused, networks):
    with serve(DevChain()) as restarted:
        networks(again=[f'url = "{restarted.url}"', "chain_id = 31337"])
        outcome = refused(2, "nothing was deployed on it", *SEND, "--network", "again")
    assert "another genesis" in outcome.err
    assert "modelward deploy --network again" in outcome.err


def test_a_chain_nothing_was_deployed_on(refused, networks, market):
    for record in (market.folder / "deployments").rglob("*.json"):
        record.unlink()
    refused(2, "Nothing was deployed on the network 'local'.", *SEND)


def test_an_unknown_account(refused):
    refused(2, "There is no account 'nobody'", *SEND, "--account", "nobody")


@pytest.fixture
def keystore(market, monkeypatch):
    """A keystore called savings, quick to open, with the password "correct"."""
    monkeypatch.setitem(Keystore.__init__.__kwdefaults__, "work_factor", 1 << 10)
    return Keystore(market.home / "keystore").new("savings", "correct")


@pytest.mark.usefixtures("keystore")
def test_a_wrong_password(refused, monkeypatch):
    monkeypatch.setenv("MODELWARD_PASSWORD", "wrong")
    refused(
        2, "The account 'savings' does not open with this password.", *SEND, "--account", "savings"
    )


@pytest.mark.usefixtures("keystore")
def test_no_password_and_nobody_to_ask(refused):
    refused(
        2, "A password is needed, and there is no terminal to ask for it at.",
        *SEND, "--account", "savings",
    )  # fmt: skip


@pytest.mark.usefixtures("keystore")
def test_a_password_file_that_is_not_there(refused, monkeypatch, project):
    monkeypatch.setenv("MODELWARD_PASSWORD_FILE", str(project / "absent"))
    refused(2, "cannot be read: No such file or directory.", *SEND, "--account", "savings")


def test_a_development_account_on_a_network_that_is_not_for_development(refused, networks, market):
    networks(production=[f'url = "{market.url}"', "chain_id = 31337"])
    refused(
        2, "The account 'requester' is a development account, whose key everybody knows",
        *SEND, "--network", "production", "--account", "requester",
    )  # fmt: skip


def test_no_account_named_where_none_is_usual(refused, networks, market):
    networks(production=[f'url = "{market.url}"', "chain_id = 31337"])
    refused(2, "No account was named.", *SEND, "--network", "production")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[networks", "is not valid TOML"),
        ("[networks.local]\nurl = 8545\nchain_id = 1\n", "it must be a string."),
        ("[networks.local]\nurl = 'ftp://x'\nchain_id = 1\n", "http:// or https:// URL."),
        ("[networks.local]\nchain_id = 1\n", "`url` or `in_process = true` is needed."),
        ("speed = 9\n", "`speed` in"),
    ],
)
def test_a_deploy_toml_that_cannot_be_read(run, project, text, sentence):
    (project / "broken.toml").write_text(text, encoding="utf-8")
    outcome = run("model", "list", "--config", "broken.toml")
    assert outcome.code == 2
    assert sentence in outcome.err
    assert "broken.toml" in outcome.err


def test_a_deploy_toml_that_is_not_there(run):
    outcome = run("model", "list", "--config", "absent.toml")
    assert (outcome.code, outcome.out) == (2, "")
    assert "There is no file" in outcome.err
