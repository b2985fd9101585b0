"""Ciphertext goes to accounts with a live grant that sign for it, and to nobody else."""

from __future__ import annotations

import io
import socket
from contextlib import ExitStack
from dataclasses import replace

import pytest
import requests
from eth_utils.crypto import keccak
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from modelward.chain.accounts import Account
from modelward.content.store import ContentStore
from modelward.errors import (
    ConfigurationError,
    HashMismatch,
    KeyNotGranted,
    StoreTimedOut,
    StoreUnavailable,
)
from modelward.gateway.allowance import Allowance
from modelward.gateway.service import make_gateway
from modelward.sdk import Connection
from modelward.sdk.data import DataOwner, fetch_data, find_data
from modelward.sdk.encryption_keys import EncryptionKeys
from modelward.sdk.fetch_ticket import FetchTicket, sign_ticket
from modelward.sdk.gateway_client import GatewayClient, PublishedContent
from modelward.terms import GrantTerms, Right
from tests.contracts.puppet import Puppet
from tests.serving import serving

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
    return replace(shared, uri="memory://nowhere")


@pytest.fixture
def serve(acting_as):
    """Serve a gateway on loopback; gives its URL."""
    with ExitStack() as running:

        def serve(**options):
            app = make_gateway(acting_as("owner", "kept"), **options)
            return f"http://127.0.0.1:{running.enter_context(serving(app))}"

        yield serve


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
        document = ticket.document(signature) | (after or {})
        return requests.post(f"{url}/content", json=document, timeout=10)

    return ask


def content_of(shared):
    return PublishedContent(shared.owner, shared.key, shared.content_hash, shared.uri)


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
        requester.source(url).get(content_of(shared), limit=10**6)


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


# --- asking one -----------------------------------------------------------------------------------


@pytest.fixture
def fetch(acting_as, shared):
    """Fetch what is shared as the requester."""

    def fetch(url, timeout=30.0):
        asking = acting_as("requester")
        client = GatewayClient(
            asking.chain, asking.data_share.address, asking.sender.account, timeout=timeout
        )
        client.write(url, content_of(shared), io.BytesIO(), limit=10**6)

    return fetch


def test_a_gateway_that_never_answers_is_given_up(fetch):
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(StoreTimedOut, match="does not answer"),
    ):
        fetch(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)


def test_a_gateway_that_gives_something_else_is_named(fetch):
    async def lie(_):
        return Response(b"something else")

    with (
        serving(Starlette(routes=[Route("/content", lie, methods=["POST"])])) as port,
        pytest.raises(HashMismatch, match="gateway"),
    ):
        fetch(f"http://127.0.0.1:{port}")


def test_a_gateway_that_is_not_there_is_unavailable(fetch):
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        fetch("http://127.0.0.1:1")


def test_what_is_no_url_of_a_gateway_is_refused(fetch):
    with pytest.raises(ConfigurationError, match="not the URL of a gateway"):
        fetch("s3://bucket")


def test_what_an_owner_publishes_names_its_gateway(serve, acting_as, shared, tmp_path):
    owner = acting_as("owner", "kept")
    behind = replace(owner, config=replace(owner.config, gateway_url="https://gateway.test"))
    (tmp_path / "file").write_bytes(b"more")
    published = DataOwner(behind).publish(tmp_path / "file", NAME)
    assert published.uri == "gateway+https://gateway.test"
    found = find_data(owner, shared.owner, shared.key)
    assert found is not None
    assert (found.uri, found.epoch) == (published.uri, 1)
