"""Ciphertext goes to accounts with a live grant that sign for it, and to nobody else."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace

import pytest
import requests
import uvicorn
from eth_utils.crypto import keccak

from modelward.chain.accounts import Account
from modelward.content.store import ContentStore
from modelward.errors import KeyNotGranted
from modelward.gateway.allowance import Allowance
from modelward.gateway.service import make_gateway
from modelward.sdk import Connection
from modelward.sdk.data import DataOwner, fetch_data
from modelward.sdk.encryption_keys import EncryptionKeys
from modelward.sdk.fetch_ticket import FetchTicket, sign_ticket
from modelward.sdk.gateway_client import fetch_through
from modelward.terms import GrantTerms, Right
from tests.contracts.puppet import Puppet

NAME = "measurements"
CONTENT = b"seven" * 1000


@pytest.fixture
def acting_as(config, chain, deployment, tmp_path):
    """A connection for an account, whose own store is empty."""

    def acting_as(role, store="empty"):
        own = replace(config, home=tmp_path / role)
        kept = ContentStore(str(tmp_path / store))
        return Connection(own, chain, deployment, kept, Account.development(role))

    return acting_as


@pytest.fixture
def shared(acting_as, tmp_path):
    """A file shared with the requester, in a store that only the gateway reads."""
    (tmp_path / "file").write_bytes(CONTENT)
    EncryptionKeys(acting_as("requester")).register()
    sharer = DataOwner(acting_as("owner", "kept"))
    shared = sharer.publish(tmp_path / "file", NAME)
    sharer.grant("requester", NAME)
    return replace(shared, store_url="memory://nowhere")


@pytest.fixture
def serve(acting_as):
    """Serve a gateway on loopback; gives its URL."""
    running = []

    def serve(**options):
        app = make_gateway(acting_as("owner", "kept"), **options)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        running.append((server, thread))
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def ask(acting_as, shared):
    """Ask a gateway with a ticket, changed before or after it is signed."""

    def ask(url, role="requester", after=None, **before):
        connection = acting_as(role)
        ticket = FetchTicket(
            connection.address, shared.owner, shared.key, shared.content_hash, connection.now() + 60
        )
        ticket = replace(ticket, **before)
        signature = sign_ticket(
            ticket,
            connection.sender.account,
            chain_id=connection.chain.chain_id,
            data_share=connection.data_share.address,
        )
        document = {
            "account": ticket.account,
            "owner": ticket.owner,
            "resource": ticket.resource.hex(),
            "content_hash": ticket.content_hash.hex(),
            "deadline": ticket.deadline,
            "signature": signature.hex(),
        }
        return requests.post(f"{url}/content", json=document | (after or {}), timeout=10)

    return ask


def test_a_grantee_fetches_and_opens_what_it_was_granted(serve, acting_as, shared, tmp_path):
    target = tmp_path / "fetched"
    fetch_data(acting_as("requester"), "owner", NAME, target, gateway=serve())
    assert target.read_bytes() == CONTENT


def test_what_it_gives_is_the_ciphertext(serve, ask, shared):
    answer = ask(serve())
    assert answer.status_code == 200
    assert keccak(answer.content) == shared.content_hash


def test_a_revoked_account_is_turned_away(serve, acting_as, shared):
    url, owner, requester = serve(), acting_as("owner"), acting_as("requester")
    owner.send(owner.data_share.revoke(requester.address, shared.key))
    with pytest.raises(KeyNotGranted, match="turned requester away"):
        fetch_through(
            requester, url, shared.owner, shared.key, shared.content_hash, io.BytesIO(), limit=10**6
        )


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (403, {"role": "outsider"}),
        (403, {"before": {"deadline": 1}}),
        (403, {"before": {"deadline": 2**40}}),
        (403, {"after": {"signature": "00" * 65}}),
        (403, {"after": {"signature": ""}}),
        (403, {"before": {"resource": b"\x05" * 32}}),
        (404, {"before": {"content_hash": b"\x06" * 32}}),
        (400, {"after": {"account": "me"}}),
        (400, {"after": {"deadline": "soon"}}),
        (400, {"after": {"deadline": True}}),
        (400, {"after": {"resource": "00" * 31}}),
        (413, {"after": {"signature": "00" * 4096}}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_whatever_is_not_right_is_turned_away(serve, ask, shared, status, changes):
    answer = ask(
        serve(), changes.get("role", "requester"), changes.get("after"), **changes.get("before", {})
    )
    assert answer.status_code == status
    assert "error" in answer.json()


def test_a_ticket_of_another_account_is_not_taken(serve, ask, acting_as):
    other = acting_as("requester").address
    assert ask(serve(), "outsider", account=other).status_code == 403


def test_nothing_larger_than_the_limit_is_handed_out(serve, ask):
    assert ask(serve(max_bytes=100)).status_code == 413


def test_who_asks_too_often_has_to_wait(serve, ask):
    url = serve(per_minute=1, burst=2)
    assert [ask(url).status_code for _ in range(3)] == [200, 200, 429]


def test_an_allowance_fills_up_again():
    now = [0.0]
    allowance = Allowance(60, 2, clock=lambda: now[0])
    assert [allowance.take("a") for _ in range(3)] == [True, True, False]
    assert allowance.take("b")
    now[0] = 1.0
    assert [allowance.take("a") for _ in range(2)] == [True, False]


def test_a_contract_signs_by_erc_1271(serve, ask, acting_as, compile_solidity, outsider, shared):
    wallet = Puppet.deploy(
        outsider, compile_solidity("tests/contracts/solidity/Wallets.sol")["Wallet"]
    )
    owner = acting_as("owner")
    read = GrantTerms(Right.READ)
    owner.send(owner.data_share.grant(wallet.address, shared.key, read))
    url, deadline = serve(), owner.now() + 60
    assert ask(url, account=wallet.address, deadline=deadline).status_code == 403

    ticket = FetchTicket(wallet.address, shared.owner, shared.key, shared.content_hash, deadline)
    digest = ticket.digest(owner.chain.chain_id, owner.data_share.address)
    outsider.send(wallet.call("approve", digest))
    assert ask(url, account=wallet.address, deadline=deadline).status_code == 200
