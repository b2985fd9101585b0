"""The child process of a `Sandbox`: opens bundles and predicts, and may die of it.

It speaks with its parent over one socket and with nobody else. A message is a kind, a length and a
body; the parent's are OPEN, PREDICT and FORGET, each answered by DONE or FAILED.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import sys

from modelward.errors import HashMismatch, InvalidBundle, InvalidInput, PredictionFailed

OPEN, PREDICT, FORGET, DONE, FAILED = (bytes([code]) for code in b"OPF.!")
HEADER = struct.Struct(">cQ")
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


def main(descriptor: int, seconds: float, memory_bytes: int) -> None:
    """Serve the parent on the socket `descriptor` until it closes it."""
    _limit(memory_bytes)
    import pandas  # noqa: F401 - loaded before the first time limit runs
    import skops.io  # noqa: F401

    from modelward.models.bundle import MAX_BUNDLE_BYTES, open_bundle
    from modelward.models.runner import Runner

    runners: dict[bytes, Runner] = {}

    def answer(kind: bytes, body: bytes) -> bytes:
        bundle_hash, rest = body[:HASH_BYTES], body[HASH_BYTES:]
        if kind == PREDICT:
            runner = runners[bundle_hash]
            return runner.predict([runner.manifest.input.decode_row(rest)])[0]
        runners.pop(bundle_hash, None)
        if kind == OPEN:
            manifest_hash, data = rest[:HASH_BYTES], rest[HASH_BYTES:]
            runners[bundle_hash] = Runner(open_bundle(data, bundle_hash, manifest_hash))
        return b""

    connection = socket.socket(fileno=descriptor)
    send(connection, DONE, b"")
    while True:
        try:
            kind, body = receive(connection, MAX_BUNDLE_BYTES + 2 * HASH_BYTES)
        except (EOFError, ConnectionError):
            return
        signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)
        try:
            reply = DONE, answer(kind, body)
        except (InvalidBundle, InvalidInput, PredictionFailed, HashMismatch) as error:
            failure = InvalidBundle if isinstance(error, HashMismatch) else type(error)
            reply = FAILED, _describe(failure.__name__, error.message)
        except MemoryError:
            reply = FAILED, _describe("MemoryError", "")
        except Exception as error:  # noqa: BLE001 - whatever a stranger's model raises
            failure = PredictionFailed if kind == PREDICT else InvalidBundle
            reply = FAILED, _describe(failure.__name__, f"{type(error).__name__}: {error!s:.200}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        del body
        send(connection, *reply)


def _describe(name: str, message: str) -> bytes:
    return json.dumps([name, message[:500]]).encode()


def _limit(memory_bytes: int) -> None:
    import resource

    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):
            if sys.platform == "linux":
                raise
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # the parent decides, by closing the socket


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
