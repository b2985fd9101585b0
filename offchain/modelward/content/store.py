"""A content-addressed store: bytes under their keccak256, checked whenever they are read.

The layout is `<root>/<first two hex digits>/<64 hex digits>`. Local files appear atomically; on
other file systems what was written is read back before `put` returns, and no operation is waited
for without end.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from eth_hash.auto import keccak as keccak_hasher
from eth_utils.crypto import keccak

from modelward.content.time_limit import within
from modelward.errors import (
    ConfigurationError,
    ContentMissing,
    ContentTooLarge,
    HashMismatch,
    StoreTimedOut,
    StoreUnavailable,
)

_T = TypeVar("_T")

DEFAULT_LIMIT = 1 << 30
PIECE_BYTES = 1 << 20
"""How much of a file is in memory at a time."""

DEFAULT_TIMEOUT = 30.0
"""Seconds a store may take to answer, and to give one block."""

_BLOCK_BYTES = 4 * PIECE_BYTES
"""How much a backend asks for at a time."""

_SLOWEST_WRITE = 128 << 10
"""Bytes a second that a store must take at least."""


class ContentStore:
    """The store at `url`: a path, `file://`, `memory://`, or whatever fsspec has a backend for.

    One that is not of this machine and does not answer for `timeout` seconds fails with
    `StoreTimedOut`; writing what is long may take longer.

    Raises `ConfigurationError` for a URL that cannot be one of a store.
    """

    def __init__(self, url: str, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.url = url
        self._timeout = timeout
        self._filesystem, self._root = _resolve(url, timeout)
        self._local = "file" in _protocols(self._filesystem)

    def __repr__(self) -> str:
        return f"ContentStore({self.url!r})"

    def put(self, data: bytes) -> bytes:
        """Store `data` and return its keccak256; what is stored already is left alone.

        Raises `StoreUnavailable` when the bytes cannot be written, or not read back.
        """
        digest = keccak(data)
        try:
            if self._read(digest, len(data)) == data:
                return digest
        except (ContentMissing, ContentTooLarge):
            pass  # nothing there, or something corrupt that is about to be replaced
        path = self._path(digest)
        self._write(
            path,
            len(data),
            local=lambda: _copy_into_place(io.BytesIO(data), Path(path)),
            remote=lambda: self._filesystem.pipe_file(path, data),
        )
        if self._read(digest, len(data)) != data:
            raise StoreUnavailable(f"{self.url} did not keep what was written to it.")
        return digest

    def get(self, digest: bytes, *, limit: int = DEFAULT_LIMIT) -> bytes:
        """The bytes whose keccak256 is `digest`, at most `limit` of them.

        Raises `ContentMissing`, `StoreUnavailable`, `HashMismatch`, `ContentTooLarge`.
        """
        data = self._read(digest, limit)
        actual = keccak(data)
        if actual != digest:
            raise HashMismatch(f"An object in {self.url}", expected=digest, actual=actual)
        return data

    def put_file(self, source: Path) -> bytes:
        """Store a file of any size and return its keccak256, a piece at a time.

        Raises `StoreUnavailable` when it cannot be written, or not read back.
        """
        with source.open("rb") as file:
            digest = _hash_of(file)
        if self._hash_at(digest) == digest:
            return digest
        path = self._path(digest)
        self._write(
            path,
            source.stat().st_size,
            local=lambda: _copy_atomically(source, Path(path)),
            remote=lambda: self._filesystem.put_file(str(source), path),
        )
        if self._hash_at(digest) != digest:
            raise StoreUnavailable(f"{self.url} did not keep what was written to it.")
        return digest

    def get_file(self, digest: bytes, target: BinaryIO, *, limit: int) -> None:
        """Write the bytes whose keccak256 is `digest` to `target`, a piece at a time.

        Only a normal return says that they are the right ones: on an error, discard `target`.
        Raises `ContentMissing`, `StoreUnavailable`, `HashMismatch`, `ContentTooLarge`.
        """
        hasher = keccak_hasher.new(b"")
        for piece in self._pieces(digest, limit):
            hasher.update(piece)
            target.write(piece)
        if hasher.digest() != digest:
            raise HashMismatch(f"An object in {self.url}", expected=digest, actual=hasher.digest())

    def _hash_at(self, digest: bytes) -> bytes | None:
        """The hash of what is stored under `digest`; None where there is nothing."""
        hasher = keccak_hasher.new(b"")
        try:
            for piece in self._pieces(digest):
                hasher.update(piece)
        except ContentMissing:
            return None
        return hasher.digest()

    def has(self, digest: bytes) -> bool:
        """Whether an object is stored under `digest`, intact or not."""
        path = self._path(digest)
        try:
            return bool(self._bounded(lambda: self._filesystem.exists(path)))
        except Exception as error:
            raise self._unavailable("read", error) from error

    def _path(self, digest: bytes) -> str:
        if len(digest) != 32:
            raise ConfigurationError(f"A content hash has 32 bytes, not {len(digest)}.")
        name = digest.hex()
        return f"{self._root}/{name[:2]}/{name}"

    def _read(self, digest: bytes, limit: int) -> bytes:
        return b"".join(self._pieces(digest, limit))

    def _pieces(self, digest: bytes, limit: int | None = None) -> Iterator[bytes]:
        path, length = self._path(digest), 0
        try:
            with self._bounded(lambda: self._open(path)) as file:
                while piece := self._bounded(lambda: file.read(PIECE_BYTES)):
                    length += len(piece)
                    if limit is not None and length > limit:
                        raise ContentTooLarge(
                            f"The object 0x{digest.hex()} in {self.url} is larger than the {limit}"
                            " bytes accepted."
                        )
                    yield piece
        except FileNotFoundError as error:
            raise ContentMissing(f"{self.url} does not hold 0x{digest.hex()}.") from error
        except ContentTooLarge:
            raise
        except Exception as error:
            raise self._unavailable("read", error) from error

    def _open(self, path: str) -> Any:
        return self._filesystem.open(path, "rb", block_size=_BLOCK_BYTES)

    def _write(
        self, path: str, length: int, *, local: Callable[[], None], remote: Callable[[], object]
    ) -> None:
        def write() -> None:
            self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
            remote()

        try:
            if self._local:
                local()
            else:
                self._bounded(write, length)
        except Exception as error:
            raise self._unavailable("written", error) from error

    def _bounded(self, action: Callable[[], _T], written: int = 0) -> _T:
        """What an action that writes so many bytes returns. Raises `TimeoutError`."""
        if self._local:
            return action()
        return within(self._timeout + written / _SLOWEST_WRITE, action)

    def _unavailable(self, verb: str, error: Exception) -> StoreUnavailable:
        if isinstance(error, TimeoutError):
            return StoreTimedOut(f"The content store {self.url} cannot be {verb}: it timed out.")
        reason = str(error) or type(error).__name__
        return StoreUnavailable(f"The content store {self.url} cannot be {verb}: {reason:.200}")


def _hash_of(file: BinaryIO) -> bytes:
    hasher = keccak_hasher.new(b"")
    while piece := file.read(PIECE_BYTES):
        hasher.update(piece)
    return hasher.digest()


def _resolve(url: str, timeout: float) -> tuple[Any, str]:
    import fsspec.core

    if not url.strip() or "::" in url or "\0" in url:
        raise ConfigurationError(
            f"{url!r} is not the URL of a content store.",
            hint="Give a directory, file:///path, or another URL such as s3://bucket/prefix.",
        )
    try:
        filesystem, root = fsspec.core.url_to_fs(url, **_options(url, timeout))
    except ImportError as error:
        raise ConfigurationError(f"The content store {url} needs a package: {error}.") from error
    except Exception as error:
        raise ConfigurationError(f"{url!r} is not the URL of a content store: {error}") from error
    return filesystem, root.rstrip("/")


def _options(url: str, timeout: float) -> dict[str, Any]:
    """What makes a backend give up by itself, where it can be told to."""
    if url.partition("://")[0] not in ("s3", "s3a"):
        return {}
    limits = {"connect_timeout": timeout, "read_timeout": timeout, "retries": {"max_attempts": 2}}
    return {"config_kwargs": limits}


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _copy_atomically(source: Path, path: Path) -> None:
    with source.open("rb") as file:
        _copy_into_place(file, path)


def _copy_into_place(source: BinaryIO, path: Path) -> None:
    """Write beside the target and rename, so that it is whole or not there, after a crash too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    incoming = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with incoming.open("xb") as file:
            shutil.copyfileobj(source, file, PIECE_BYTES)
            file.flush()
            os.fsync(file.fileno())
        incoming.replace(path)
    finally:
        incoming.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
