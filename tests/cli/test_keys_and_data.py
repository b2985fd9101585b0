"""Keys, shared files and rotations, from the command line."""

from __future__ import annotations

import json

import pytest

from tests.market import MODEL


@pytest.fixture
def secret(project):
    (project / "secret.csv").write_bytes(b"patient 7 has it\n")
    return project / "secret.csv"


def test_a_key_is_registered_once_shown_and_rotated(run):
    assert run("key", "show", "worker").code == 2
    assert "key number  1" in run("key", "register", "--account", "worker").out
    assert "nothing was sent" in run("key", "register", "--account", "worker").out
    shown = json.loads(run("key", "show", "worker", "--json").out)
    assert shown["index"] == 1
    assert "key number  2" in run("key", "rotate", "--account", "worker").out


def test_a_file_is_shared_fetched_and_taken_back(run, secret, project):
    assert run("data", "publish", "secret.csv", "--key", "secret").code == 0
    without_key = run("grant", "add", "sponsor", "--data", "secret")
    assert without_key.code == 2
    assert "has registered no encryption key" in without_key.err
    run("key", "register", "--account", "sponsor")
    assert (
        "granted read on secret to sponsor"
        in run("grant", "add", "sponsor", "--data", "secret").out
    )

    fetch = ("data", "fetch", "owner", "secret", "--account", "sponsor", "-o", "fetched.csv")
    assert run(*fetch).code == 0
    assert (project / "fetched.csv").read_bytes() == secret.read_bytes()

    revoke = ("grant", "revoke", "sponsor", "--data", "secret", "--rotate")
    unconfirmed = run(*revoke)
    assert unconfirmed.code == 2
    assert "costs      about" in unconfirmed.out
    assert "begins     key epoch 2" in run(*revoke, "--yes").out
    assert run(*fetch, "--force").code == 3


def test_a_models_key_is_rotated_and_audited(run):
    assert "begins     key epoch 1" in run("model", "rotate", MODEL, "--yes").out
    run("key", "register", "--account", "worker")
    assert run("grant", "add", "worker", MODEL, "--right", "serve").code == 0
    assert "re-wraps   for 1: worker" in run("model", "rotate", MODEL, "--yes").out
    audit = json.loads(run("model", "audit", MODEL, "--json").out)
    assert [(each["epoch"], each["live"]) for each in audit] == [(1, True), (2, True)]
    revoked = run("grant", "revoke", "worker", MODEL, "--rotate", "--yes")
    assert "revokes    the grant to worker" in revoked.out
    assert run("model", "audit", MODEL).out.count("ended") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("grant", "add", "sponsor"),
        ("grant", "add", "sponsor", MODEL, "--data", "secret"),
        ("grant", "add", "sponsor", "--data", "secret", "--right", "infer"),
        ("grant", "revoke", "sponsor", MODEL, "--data", "secret"),
        ("grant", "revoke", "sponsor", "--rotate"),
        ("data", "publish", "missing.csv", "--key", "secret"),
        ("data", "publish", "deploy.toml", "--key", " "),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_what_makes_no_sense_is_refused_and_nothing_sent(run, owner, arguments):
    before = owner.connection.sender.nonce()
    refused = run(*arguments)
    assert refused.code == 2
    assert refused.err.startswith("error: ")
    assert owner.connection.sender.nonce() == before
