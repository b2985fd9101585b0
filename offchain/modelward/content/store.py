"""A content-addressed store: bytes under their keccak256, checked whenever they are read.

The layout is `<root>/<first two hex digits>/<64 hex digits>`. Local files appear atomically; on
other file systems what was written is read back before `put` returns.
"""

from __future__ import annotations

import io
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from eth_hash.auto import keccak as keccak_hasher
from eth_utils.crypto import keccak

from modelward.errors import (
    ConfigurationError,
    ContentMissing,
    ContentTooLarge,
    HashMismatch,
    StoreUnavailable,
)

DEFAULT_LIMIT = 1 << 30
PIECE_BYTES = 1 << 20
"""How much of a file is in memory at a time."""


class ContentStore:
    """The store at `url`: a path, `file://`, `memory://`, or whatever fsspec has a backend for.

    Raises `ConfigurationError` for a URL that cannot be one of a store.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._filesystem, self._root = _resolve(url)
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
        try:
            if self._local:
                _write_atomically(Path(self._path(digest)), data)
            else:
                self._filesystem.makedirs(self._path(digest).rpartition("/")[0], exist_ok=True)
                self._filesystem.pipe_file(self._path(digest), data)
        except Exception as error:
            raise self._unavailable("written", error) from error
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
        try:
            if self._local:
                _copy_atomically(source, Path(path))
            else:
                self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._filesystem.put_file(str(source), path)
        except Exception as error:
            raise self._unavailable("written", error) from error
        if self._hash_at(digest) != digest:
            raise StoreUnavailable(f"{self.url} did not keep what was written to it.")
        return digest

    def get_file(self, digest: bytes, target: BinaryIO, *, limit: int) -> None:
        """Write the bytes whose keccak256 is `digest` to `target`, a piece at a time.

        Only a normal return says that they are the right ones: on an error, discard `target`.
        Raises `ContentMissing`, `StoreUnavailable`, `HashMismatch`, `ContentTooLarge`.
        """
        hasher, length = keccak_hasher.new(b""), 0
        for piece in self._pieces(digest):
            length += len(piece)
            if length > limit:
                raise ContentTooLarge(
                    f"The object 0x{digest.hex()} in {self.url} is larger than the {limit} bytes"
                    " accepted."
                )
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

    def _pieces(self, digest: bytes) -> Iterator[bytes]:
        try:
            with self._filesystem.open(self._path(digest), "rb") as file:
                while piece := file.read(PIECE_BYTES):
                    yield piece
        except FileNotFoundError as error:
            raise ContentMissing(f"{self.url} does not hold 0x{digest.hex()}.") from error
        except Exception as error:
            raise self._unavailable("read", error) from error

    def has(self, digest: bytes) -> bool:
        """Whether an object is stored under `digest`, intact or not."""
        try:
            return bool(self._filesystem.exists(self._path(digest)))
        except Exception as error:
            raise self._unavailable("read", error) from error

    def _path(self, digest: bytes) -> str:
        if len(digest) != 32:
            raise ConfigurationError(f"A content hash has 32 bytes, not {len(digest)}.")
        name = digest.hex()
        return f"{self._root}/{name[:2]}/{name}"

    def _read(self, digest: bytes, limit: int) -> bytes:
        try:
            with self._filesystem.open(self._path(digest), "rb") as file:
                data: bytes = file.read(limit + 1)
        except FileNotFoundError as error:
            raise ContentMissing(f"{self.url} does not hold 0x{digest.hex()}.") from error
        except Exception as error:
            if isinstance(error, ConfigurationError):
                raise
            raise self._unavailable("read", error) from error
        if len(data) > limit:
            raise ContentTooLarge(
                f"The object 0x{digest.hex()} in {self.url} is larger than the {limit} bytes"
                " accepted."
            )
        return data

    def _unavailable(self, verb: str, error: Exception) -> StoreUnavailable:
        reason = str(error) or type(error).__name__
        return StoreUnavailable(f"The content store {self.url} cannot be {verb}: {reason:.200}")


def _hash_of(file: BinaryIO) -> bytes:
    hasher = keccak_hasher.new(b"")
    while piece := file.read(PIECE_BYTES):
        hasher.update(piece)
    return hasher.digest()


def _resolve(url: str) -> tuple[Any, str]:
    import fsspec.core

    if not url.strip() or "::" in url or "\0" in url:
        raise ConfigurationError(
            f"{url!r} is not the URL of a content store.",
            hint="Give a directory, file:///path, or another URL such as s3://bucket/prefix.",
        )
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ConfigurationError(f"The content store {url} needs a package: {error}.") from error
    except Exception as error:
        raise ConfigurationError(f"{url!r} is not the URL of a content store: {error}") from error
    return filesystem, root.rstrip("/")


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _write_atomically(path: Path, data: bytes) -> None:
    _copy_into_place(io.BytesIO(data), path)


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
