"""A worker with an empty store fetches sealed bundles through a gateway, while it may serve."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modelward.content.store import ContentStore
from modelward.errors import ContentMissing, KeyNotGranted
from modelward.gateway.service import make_gateway
from modelward.sdk import Catalogue
from modelward.sdk.gateway_client import PublishedContent
from modelward.terms import RequestStatus
from tests.serving import serving

from .conftest import MODEL, REFERENCE


@pytest.fixture
def gateway(owner):
    """The URL of a gateway to the owner's store."""
    with serving(make_gateway(owner.connection)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def empty(tmp_path):
    return ContentStore(str(tmp_path / "empty"))


@pytest.fixture
def worker(acting_as, empty):
    """The worker's connection, with nothing in its store."""
    return replace(acting_as("worker"), store=empty)


def content_of(published, owner):
    version = published.version.version
    return PublishedContent(owner.address, version.model_id, version.content_hash, version.uri)


@pytest.fixture
def hidden(publish, owner, monkeypatch):
    """Publish so that nothing on chain tells where the store is."""
    monkeypatch.setattr("modelward.sdk.Connection.published_uri", "memory://nowhere")


def test_a_worker_configured_with_a_gateway_answers(
    hidden, published, requester, work, row, gateway, empty
):
    placed = requester.send(REFERENCE, row)
    work(store=empty)
    assert requester.connection.escrow.request_of(placed.id).status is RequestStatus.OPEN
    work(store=empty, gateway=gateway)
    requester.result(placed.id)


def test_a_revoked_worker_cannot_fetch(hidden, published, owner, worker, gateway):
    source, content = worker.source(gateway), content_of(published, owner)
    assert source.get(content, limit=10**6)
    owner.revoke("worker", MODEL)
    with pytest.raises(KeyNotGranted, match="turned worker away"):
        source.get(content, limit=10**6)


def test_a_gateway_that_is_down_hides_no_other_place(published, owner, worker):
    """The published reference still tells of the store."""
    content = replace(content_of(published, owner), uri=f"file://{owner.connection.store.url}")
    assert worker.source("http://127.0.0.1:1").get(content, limit=10**6)


def test_a_reader_replays_through_the_configured_gateway(hidden, published, worker, gateway):
    asking = replace(worker, config=replace(worker.config, gateway_url=gateway))
    assert Catalogue(asking).bundle(published.version)
    with pytest.raises(ContentMissing):
        Catalogue(worker).bundle(published.version)


def test_a_gateway_that_turns_an_account_away_hides_no_other_place(publish, outsider, gateway):
    """As for a version in clear, which a requester may replay without a grant to read it."""
    version = publish(private=False).version
    asking = outsider.connection
    behind = replace(asking, config=replace(asking.config, gateway_url=gateway))
    assert Catalogue(behind).bundle(version) == Catalogue(asking).bundle(version)


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A certificate for this machine that `requests` trusts; gives uvicorn's options."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    return {
        "ssl_certfile": str(tmp_path / "certificate.pem"),
        "ssl_keyfile": str(tmp_path / "key.pem"),
    }


def test_a_published_reference_to_a_gateway_is_followed_over_https(
    owner, worker, published, certificate
):
    content = content_of(published, owner)
    with serving(make_gateway(owner.connection), **certificate) as port:
        named = replace(content, uri=f"gateway+https://127.0.0.1:{port}")
        assert worker.source().get(named, limit=10**6)


def test_a_published_reference_to_a_gateway_without_tls_is_not_followed(
    owner, worker, published, gateway
):
    named = replace(content_of(published, owner), uri=f"gateway+{gateway}")
    with pytest.raises(ContentMissing):
        worker.source().get(named, limit=10**6)
