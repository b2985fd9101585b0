"""The child process of a `Sandbox`: opens bundles and predicts, and may die of it.

It speaks with its parent over one socket and with nobody else. A message is a kind, a length and a
body; the parent's are OPEN, PREDICT and FORGET, each answered by DONE or FAILED: PREDICT once for
every row, as soon as that row was predicted. The first message is the child's own, and says what it
is cut off from.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from modelward.errors import HashMismatch, InvalidBundle, InvalidInput, PredictionFailed
from modelward.models.sandbox_isolation import Isolation, leave_files, leave_network

if TYPE_CHECKING:
    from modelward.models.runner import Answering

OPEN, PREDICT, FORGET, DONE, FAILED = (bytes([code]) for code in b"OPF.!")
HEADER = struct.Struct(">cQ")
ROW_HEADER = struct.Struct(">I")
HASH_BYTES = 32
GRACE = 2.0
"""Seconds beyond the parent's own limit after which a process that lost its parent ends itself."""


def send(connection: socket.socket, kind: bytes, body: bytes) -> None:
    """Send one message."""
    connection.sendall(HEADER.pack(kind, len(body)))
    connection.sendall(body)


def receive(connection: socket.socket, most: int) -> tuple[bytes, bytes]:
    """Receive one message of at most `most` bytes.

    Raises `EOFError` when the other side has gone, `ValueError` for a longer one.
    """
    kind, length = HEADER.unpack(_receive_exactly(connection, HEADER.size))
    if length > most:
        raise ValueError(f"a message of {length} bytes")
    return kind, _receive_exactly(connection, length)


def _receive_exactly(connection: socket.socket, length: int) -> bytes:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return bytes(data)


def pack_rows(rows: Sequence[bytes]) -> bytes:
    """Several byte strings as one."""
    return b"".join(ROW_HEADER.pack(len(row)) + row for row in rows)


def unpack_rows(packed: bytes) -> list[bytes]:
    """What `pack_rows` packed."""
    rows, position = [], 0
    while position < len(packed):
        (length,) = ROW_HEADER.unpack_from(packed, position)
        position += ROW_HEADER.size
        rows.append(packed[position : position + length])
        position += length
    return rows


def main(descriptor: int, seconds: float, memory_bytes: int) -> None:
    """Serve the parent on the socket `descriptor` until it closes it."""
    network = leave_network()  # while there is one thread
    _limit("RLIMIT_AS", memory_bytes)
    _limit("RLIMIT_CORE", 0)
    import pandas  # noqa: F401 - loaded before the first time limit runs
    import skops.io  # noqa: F401

    from modelward.models.bundle import MAX_BUNDLE_BYTES

    files = leave_files()
    _limit("RLIMIT_FSIZE", 0)
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # the parent decides, by closing the socket
    connection = socket.socket(fileno=descriptor)
    send(connection, DONE, json.dumps(asdict(Isolation(network, files))).encode())
    answers = _Answers()
    while True:
        try:
            kind, body = receive(connection, MAX_BUNDLE_BYTES + 2 * HASH_BYTES)
        except (EOFError, ConnectionError):
            return
        _allow(seconds + GRACE)
        for reply in answers.to(kind, body):
            send(connection, *reply)
            _allow(seconds + GRACE)
        signal.setitimer(signal.ITIMER_REAL, 0)
        del body


Reply = tuple[bytes, bytes]


class _Answers:
    """What the parent's messages are answered with, and the bundles they opened."""

    def __init__(self) -> None:
        self._runners: dict[bytes, Answering] = {}

    def to(self, kind: bytes, body: bytes) -> Iterator[Reply]:
        bundle_hash, rest = body[:HASH_BYTES], body[HASH_BYTES:]
        if kind == PREDICT:
            return self._predict(self._runners[bundle_hash], unpack_rows(rest))
        self._runners.pop(bundle_hash, None)
        return iter((self._open(bundle_hash, rest) if kind == OPEN else (DONE, b""),))

    def _open(self, bundle_hash: bytes, rest: bytes) -> Reply:
        from modelward.models.bundle import open_bundle
        from modelward.models.runner import runner_for

        manifest_hash, data = rest[:HASH_BYTES], rest[HASH_BYTES:]
        try:
            self._runners[bundle_hash] = runner_for(open_bundle(data, bundle_hash, manifest_hash))
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bundle raises
            return _failure(error, InvalidBundle)
        return DONE, b""

    def _predict(self, runner: Answering, inputs: list[bytes]) -> Iterator[Reply]:
        """The answer to each row, in their order. Rows that fit the schema are one batch."""
        rows: list[Any] = []
        for canonical_input in inputs:
            try:
                rows.append(runner.decode(canonical_input))
            except Exception as error:  # noqa: BLE001 - whatever a stranger's schema makes of it
                rows.append(error)
        outputs = runner.predict_each([row for row in rows if not isinstance(row, Exception)])
        for row in rows:
            outcome = row if isinstance(row, Exception) else next(outputs)
            if isinstance(outcome, Exception):
                yield _failure(outcome, PredictionFailed)
            else:
                yield DONE, outcome


def _failure(error: Exception, otherwise: type[InvalidBundle | PredictionFailed]) -> Reply:
    match error:
        case HashMismatch():
            return FAILED, _describe(InvalidBundle.__name__, error.message)
        case InvalidBundle() | InvalidInput() | PredictionFailed():
            return FAILED, _describe(type(error).__name__, error.message)
        case MemoryError():
            return FAILED, _describe(MemoryError.__name__, "")
    return FAILED, _describe(otherwise.__name__, f"{type(error).__name__}: {error!s:.200}")


def _describe(name: str, message: str) -> bytes:
    return json.dumps([name, message[:500]]).encode()


def _allow(seconds: float) -> None:
    """Let what comes next take so long, by the clock and of the processor."""
    import resource

    signal.setitimer(signal.ITIMER_REAL, seconds)
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (_least(int(used + seconds) + 1, hard), hard))


def _limit(name: str, most: int) -> None:
    import resource

    kind = getattr(resource, name)
    limit = _least(most, resource.getrlimit(kind)[1])
    try:
        resource.setrlimit(kind, (limit, limit))
    except (ValueError, OSError):
        if sys.platform == "linux":
            raise


def _least(wanted: int, hard: int) -> int:
    import resource

    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
