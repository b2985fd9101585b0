"""Content of any size under a content key: AES-256-GCM in chunks, constant memory.

The layout is specified in `docs/envelopes.md`. The construction is STREAM (Hoang, Reyhanitabar,
Rogaway, Vizár 2015, https://eprint.iacr.org/2015/189): every chunk's nonce holds its index and
whether it is the last, so that chunks can be neither reordered nor dropped, nor the end cut off.
The key the chunks are sealed with is derived from the content key, a random salt and the whole
header (HKDF-SHA256), so that the same content key may seal any number of contents, and a changed
header opens nothing.
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from modelward.errors import (
    EnvelopeCorrupted,
    EnvelopeMalformed,
    EnvelopeMisplaced,
    EnvelopeReordered,
    EnvelopeTruncated,
    InvalidTerms,
)
from modelward.sealing.binding import BINDING_BYTES, Binding

CONTENT_KEY_BYTES = 32
CHUNK_BYTES = 2**18
"""Plaintext bytes in every chunk but the last, as sealed by this version."""

_MAGIC = b"mwenvel"
_VERSION = 1
_SALT_BYTES = 32
_TAG_BYTES = 16
_INDEX_BYTES = 4
_LAST = 2**31
_SMALLEST_CHUNK_LOG2, _LARGEST_CHUNK_LOG2 = 10, 24
HEADER_BYTES = len(_MAGIC) + 1 + 1 + BINDING_BYTES + _SALT_BYTES


def new_content_key() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(CONTENT_KEY_BYTES)


@dataclass(frozen=True, slots=True)
class Header:
    """The clear beginning of an envelope."""

    binding: Binding
    chunk_log2: int
    salt: bytes

    def encoded(self) -> bytes:
        """The `HEADER_BYTES` bytes of it."""
        return _MAGIC + bytes([_VERSION, self.chunk_log2]) + self.binding.encoded() + self.salt

    @classmethod
    def decoded(cls, data: bytes) -> Header:
        """Inverse of `encoded`. Raises `EnvelopeTruncated` or `EnvelopeMalformed`."""
        if len(data) < HEADER_BYTES:
            raise EnvelopeTruncated("The envelope ends within its header.")
        if not data.startswith(_MAGIC):
            raise EnvelopeMalformed("This is not an envelope.")
        version, chunk_log2 = data[len(_MAGIC)], data[len(_MAGIC) + 1]
        if version != _VERSION:
            raise EnvelopeMalformed(
                f"The envelope is of version {version}; this program opens version {_VERSION}."
            )
        if not _SMALLEST_CHUNK_LOG2 <= chunk_log2 <= _LARGEST_CHUNK_LOG2:
            raise EnvelopeMalformed(f"The envelope has chunks of 2^{chunk_log2} bytes.")
        start = len(_MAGIC) + 2
        try:
            binding = Binding.decoded(data[start : start + BINDING_BYTES])
        except InvalidTerms as error:
            raise EnvelopeMalformed(f"The envelope belongs nowhere: {error}") from error
        return cls(binding, chunk_log2, data[start + BINDING_BYTES : HEADER_BYTES])


def seal(content: bytes, content_key: bytes, binding: Binding) -> bytes:
    """Seal content into an envelope. `content_key` is 32 bytes."""
    sealed = io.BytesIO()
    seal_stream(io.BytesIO(content), sealed, content_key, binding)
    return sealed.getvalue()


def open_envelope(envelope: bytes, content_key: bytes, binding: Binding) -> bytes:
    """The content of an envelope. Raises as `open_stream`."""
    content = io.BytesIO()
    open_stream(io.BytesIO(envelope), content, content_key, binding)
    return content.getvalue()


def seal_stream(source: BinaryIO, target: BinaryIO, content_key: bytes, binding: Binding) -> None:
    """Seal what `source` has left into `target`, a chunk at a time."""
    header = Header(binding, CHUNK_BYTES.bit_length() - 1, secrets.token_bytes(_SALT_BYTES))
    cipher = _cipher(content_key, header)
    target.write(header.encoded())
    for index, chunk, last in _chunks(source, CHUNK_BYTES):
        place = _place(index, last)
        target.write(place)
        target.write(cipher.encrypt(_nonce(place), chunk, None))


def open_stream(source: BinaryIO, target: BinaryIO, content_key: bytes, binding: Binding) -> None:
    """Open the envelope that `source` has left into `target`, a chunk at a time.

    Every chunk is checked before it is written, but only a normal return says that all of it was
    there: whoever streams must discard `target` on an error, as `open_file` does.

    Raises:
        EnvelopeMalformed: it is no envelope of this version.
        EnvelopeMisplaced: it belongs to another chain, contract, resource or key epoch.
        EnvelopeTruncated: its end is missing.
        EnvelopeReordered: a chunk is not in its place.
        EnvelopeCorrupted: it was changed, or the content key is another.
    """
    header = Header.decoded(source.read(HEADER_BYTES))
    _require_at_home(header.binding, binding)
    cipher = _cipher(content_key, header)
    sealed_bytes = _INDEX_BYTES + 2**header.chunk_log2 + _TAG_BYTES
    complete = False
    for index, piece, _ in _chunks(source, sealed_bytes):
        if complete:
            raise EnvelopeCorrupted("Something was added behind the envelope's end.")
        if len(piece) < _INDEX_BYTES + _TAG_BYTES:
            raise EnvelopeTruncated(f"The envelope ends within chunk {index}.")
        place, body = piece[:_INDEX_BYTES], memoryview(piece)[_INDEX_BYTES:]
        stated = int.from_bytes(place, "big")
        if stated % _LAST != index:
            raise EnvelopeReordered(f"Chunk {stated % _LAST} stands where chunk {index} belongs.")
        complete = stated >= _LAST
        if not complete and len(piece) < sealed_bytes:
            raise EnvelopeTruncated(f"The envelope ends within chunk {index}.")
        try:
            target.write(cipher.decrypt(_nonce(place), body, None))
        except InvalidTag as error:
            raise EnvelopeCorrupted(
                f"Chunk {index} was changed, or sealed with another content key."
            ) from error
    if not complete:
        raise EnvelopeTruncated("The envelope's last chunk is missing.")


def seal_file(source: Path, target: Path, content_key: bytes, binding: Binding) -> None:
    """Seal a file into another, which appears whole or not at all."""
    with source.open("rb") as reader, _whole_or_nothing(target) as writer:
        seal_stream(reader, writer.file, content_key, binding)
        writer.keep()


def open_file(source: Path, target: Path, content_key: bytes, binding: Binding) -> None:
    """Open an envelope's file into another, which appears whole or not at all.

    Raises as `open_stream`.
    """
    with source.open("rb") as reader, _whole_or_nothing(target) as writer:
        open_stream(reader, writer.file, content_key, binding)
        writer.keep()


def _cipher(content_key: bytes, header: Header) -> AESGCM:
    if len(content_key) != CONTENT_KEY_BYTES:
        raise InvalidTerms(f"A content key has {CONTENT_KEY_BYTES} bytes, not {len(content_key)}.")
    derived = HKDF(SHA256(), length=32, salt=header.salt, info=header.encoded())
    return AESGCM(derived.derive(content_key))


def _place(index: int, last: bool) -> bytes:
    if index >= _LAST:
        raise InvalidTerms("The content is too long for one envelope.")
    return (index | (_LAST if last else 0)).to_bytes(_INDEX_BYTES, "big")


def _nonce(place: bytes) -> bytes:
    return bytes(12 - _INDEX_BYTES) + place


def _chunks(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Index, bytes, and whether it is the last; one empty chunk where there is nothing."""
    index, chunk = 0, _read_fully(source, size)
    while True:
        following = _read_fully(source, size) if len(chunk) == size else b""
        yield index, chunk, not following
        if not following:
            return
        index, chunk = index + 1, following


def _read_fully(source: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end; a pipe may give them in pieces."""
    data = source.read(size)
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            break
        data += more
    return data


def _require_at_home(found: Binding, expected: Binding) -> None:
    for name, what in (
        ("chain_id", "chain"),
        ("contract", "contract"),
        ("resource", "resource"),
        ("epoch", "key epoch"),
    ):
        there, here = getattr(found, name), getattr(expected, name)
        if there != here:
            raise EnvelopeMisplaced(what, expected=here, actual=there)


class _whole_or_nothing:  # noqa: N801 - reads as the statement it makes
    """A file written beside its place and moved there once kept."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._partial = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
        self._kept = False

    def __enter__(self) -> _whole_or_nothing:
        descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.file: BinaryIO = os.fdopen(descriptor, "wb")
        return self

    def keep(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self._kept = True

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if self._kept:
            self._partial.replace(self._target)
        else:
            self._partial.unlink(missing_ok=True)
