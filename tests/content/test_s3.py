"""The store on a real S3 server, on loopback."""

from __future__ import annotations

import io

import pytest
from eth_utils.crypto import keccak

from modelward.content.store import ContentStore
from modelward.errors import ContentMissing, HashMismatch, StoreUnavailable


@pytest.fixture(scope="module")
def endpoint():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """The name of a bucket; the environment says where it is and who asks."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tester")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="bundles")
    yield client
    for entry in client.list_objects_v2(Bucket="bundles").get("Contents", ()):
        client.delete_object(Bucket="bundles", Key=entry["Key"])
    client.delete_bucket(Bucket="bundles")


@pytest.fixture
def store(bucket):
    return ContentStore("s3://bundles/prefix")


def object_of(digest):
    return {"Bucket": "bundles", "Key": f"prefix/{digest.hex()[:2]}/{digest.hex()}"}


def test_what_is_put_is_got(store):
    assert store.get(store.put(b"content")) == b"content"


def test_files_go_there_and_come_back_in_pieces(store, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789" * 300_000)
    digest = store.put_file(tmp_path / "file")
    target = io.BytesIO()
    store.get_file(digest, target, limit=10**7)
    assert target.getvalue() == (tmp_path / "file").read_bytes()


def test_what_is_not_there_is_missing(store):
    with pytest.raises(ContentMissing):
        store.get(keccak(b"nothing"))


def test_a_bucket_that_lies_is_named(store, bucket):
    digest = store.put(b"content")
    bucket.put_object(**object_of(digest), Body=b"other content")
    with pytest.raises(HashMismatch, match="s3://bundles"):
        store.get(digest)
    with pytest.raises(HashMismatch, match="s3://bundles"):
        store.get_file(digest, io.BytesIO(), limit=100)


def test_a_bucket_that_truncates_is_named(store, bucket):
    digest = store.put(b"content")
    bucket.put_object(**object_of(digest), Body=b"con")
    with pytest.raises(HashMismatch):
        store.get(digest)


def test_a_bucket_that_is_not_there_is_unavailable(bucket):
    with pytest.raises(StoreUnavailable):
        ContentStore("s3://no-such-bucket").get(keccak(b"content"))
