"""The content store: what is read is what was hashed, on local files and elsewhere."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from modelward.content.store import ContentStore
from modelward.errors import (
    BadInput,
    ConfigurationError,
    ContentMissing,
    ContentTooLarge,
    HashMismatch,
    StoreUnavailable,
)

DATA = b"a bundle's bytes" * 1000
DIGEST = keccak(DATA)


@pytest.fixture(params=["path", "file", "memory"])
def store(request, tmp_path) -> ContentStore:
    """A new store on each kind of file system."""
    return ContentStore(
        {
            "path": str(tmp_path / "new" / "store"),
            "file": f"file://{tmp_path}/new/store/",
            "memory": f"memory://{uuid.uuid4()}",
        }[request.param]
    )


def stored_at(store: ContentStore, digest: bytes) -> str:
    return f"{store._root}/{digest.hex()[:2]}/{digest.hex()}"


def overwrite(store: ContentStore, digest: bytes, data: bytes) -> None:
    store._filesystem.pipe_file(stored_at(store, digest), data)


def test_what_was_put_is_got_by_its_keccak256(store):
    assert store.put(DATA) == DIGEST
    assert store.get(DIGEST) == DATA
    assert store.put(b"") == keccak(b"")
    assert store.get(keccak(b"")) == b""


def test_an_object_lies_under_its_hash(store):
    store.put(DATA)
    assert store._filesystem.exists(stored_at(store, DIGEST))
    assert ContentStore(store.url).get(DIGEST) == DATA


def test_putting_again_leaves_the_object_alone(tmp_path):
    store = ContentStore(str(tmp_path))
    store.put(DATA)
    path = Path(stored_at(store, DIGEST))
    os.utime(path, (1, 1))
    before = path.stat()
    assert store.put(DATA) == DIGEST
    assert path.stat().st_mtime == 1
    assert path.stat().st_ino == before.st_ino


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA + b"\0", b"x" + DATA[1:]])
def test_a_corrupt_object_is_never_handed_out_and_is_repaired_by_put(store, damage):
    store.put(DATA)
    overwrite(store, DIGEST, damage)
    with pytest.raises(HashMismatch) as mismatch:
        store.get(DIGEST)
    assert mismatch.value.expected == DIGEST
    assert mismatch.value.actual == keccak(damage)
    assert store.put(DATA) == DIGEST
    assert store.get(DIGEST) == DATA


def test_missing_content_is_told(store):
    with pytest.raises(ContentMissing, match=f"does not hold 0x{DIGEST.hex()}"):
        store.get(DIGEST)
    assert not store.has(DIGEST)
    store.put(DATA)
    assert store.has(DIGEST)


def test_no_more_than_the_limit_is_read(store):
    store.put(DATA)
    assert store.get(DIGEST, limit=len(DATA)) == DATA
    with pytest.raises(ContentTooLarge):
        store.get(DIGEST, limit=len(DATA) - 1)


def test_a_hash_has_32_bytes(store):
    for wrong in (b"", DIGEST[:-1], DIGEST.hex().encode()):
        with pytest.raises(BadInput, match="32 bytes"):
            store.get(wrong)


def test_nothing_appears_in_the_store_before_it_is_whole(tmp_path, monkeypatch):
    store = ContentStore(str(tmp_path))

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StoreUnavailable, match=r"cannot be written: .*No space left"):
        store.put(DATA)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert store.put(DATA) == DIGEST


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    store = ContentStore(str(tmp_path))
    before = os.umask(0o027)
    try:
        store.put(DATA)
    finally:
        os.umask(before)
    assert Path(stored_at(store, DIGEST)).stat().st_mode & 0o777 == 0o640


def test_many_writers_of_one_object_agree(tmp_path):
    def put_and_get(_: int) -> bytes:
        store = ContentStore(str(tmp_path))
        return store.get(store.put(DATA))

    with ThreadPoolExecutor(4) as writers:
        assert set(writers.map(put_and_get, range(80))) == {DATA}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [DIGEST.hex()]


def test_a_store_that_forgets_what_it_was_given_is_told(monkeypatch):
    store = ContentStore(f"memory://{uuid.uuid4()}")
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lambda *_: None)
    with pytest.raises(StoreUnavailable):
        store.put(DATA)


def test_a_store_that_damages_what_it_was_given_is_told(monkeypatch):
    store = ContentStore(f"memory://{uuid.uuid4()}")
    write = MemoryFileSystem.pipe_file
    monkeypatch.setattr(
        MemoryFileSystem, "pipe_file", lambda self, path, data: write(self, path, data[::-1])
    )
    with pytest.raises(StoreUnavailable, match="did not keep what was written"):
        store.put(DATA)


@pytest.mark.parametrize("error", [OSError("reset"), TimeoutError(), ValueError("bad reply")])
def test_whatever_a_backend_raises_is_one_error(tmp_path, monkeypatch, error):
    store = ContentStore(str(tmp_path))
    store.put(DATA)

    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(LocalFileSystem, "_open", fail)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        store.get(DIGEST)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        store.put(DATA)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = ContentStore(str(tmp_path / "file"))
    with pytest.raises(StoreUnavailable):
        store.put(DATA)
    with pytest.raises(StoreUnavailable):
        store.get(DIGEST)
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    "url", ["", " ", "nosuchprotocol://x", "simplecache::file:///tmp", "file://a\0b"]
)
def test_what_is_no_url_of_a_store_is_refused(url):
    with pytest.raises(ConfigurationError):
        ContentStore(url)


def test_a_backend_that_is_not_installed_is_named():
    with pytest.raises(ConfigurationError, match="needs a package"):
        ContentStore("sftp://nowhere.invalid/store")


@given(data=st.binary(max_size=300))
def test_any_bytes_come_back(data):
    store = ContentStore("memory://any")
    assert store.get(store.put(data)) == data
