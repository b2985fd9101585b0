"""Requests that nobody should make, by name, and what must become of each."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable

from modelward import commitments
from modelward.models.schema import FLOAT_ROW_TAG
from modelward.terms import INLINE_ONLY, RefusalReason, frame_clear_input

Expected = RefusalReason | str
"""The reason of the refusal, or words of the reason to leave it alone."""

MALFORMED = RefusalReason.INPUT_MALFORMED
OUT_OF_SCHEMA = RefusalReason.INPUT_OUT_OF_SCHEMA
SECRET = b"\x5e" * 32
TAG = bytes([FLOAT_ROW_TAG])
SOMEWHERE = b"\x0a" * 32


def with_value(row: bytes, position: int, value: float) -> bytes:
    """A canonical input with one of its numbers replaced."""
    return row[: 1 + 8 * position] + struct.pack(">d", value) + row[9 + 8 * position :]


ROWS: dict[str, tuple[Callable[[bytes], bytes], RefusalReason]] = {
    "nothing": (lambda _: b"", MALFORMED),
    "half a row": (lambda row: row[:-4], MALFORMED),
    "a byte too many": (lambda row: row + b"\0", MALFORMED),
    "an unknown encoding": (lambda row: b"\x7f" + row[1:], MALFORMED),
    "no encoding": (lambda row: row[1:], MALFORMED),
    "JSON": (lambda _: b'{"mean radius": 17.99}', MALFORMED),
    "a pickle": (lambda _: pickle.dumps([17.99] * 30), MALFORMED),
    "text": (lambda _: "17,99 \N{EURO SIGN}".encode(), MALFORMED),
    "a row of no numbers": (lambda _: TAG, OUT_OF_SCHEMA),
    "a number too few": (lambda row: row[:-8], OUT_OF_SCHEMA),
    "a number too many": (lambda row: row + row[-8:], OUT_OF_SCHEMA),
    "two rows": (lambda row: row + row[1:], OUT_OF_SCHEMA),
    "NaN": (lambda row: with_value(row, 3, float("nan")), OUT_OF_SCHEMA),
    "infinity": (lambda row: with_value(row, 0, float("inf")), OUT_OF_SCHEMA),
    "minus infinity": (lambda row: with_value(row, 29, float("-inf")), OUT_OF_SCHEMA),
    "a value far above": (lambda row: with_value(row, 29, 1e9), OUT_OF_SCHEMA),
    "a value far below": (lambda row: with_value(row, 0, -1e300), OUT_OF_SCHEMA),
    "numbers the other way round": (
        lambda row: TAG + b"".join(row[i : i + 8][::-1] for i in range(1, len(row), 8)),
        OUT_OF_SCHEMA,
    ),
}
"""Inputs that are committed to and framed as they should be."""

PAYLOADS: dict[str, tuple[bytes, Expected]] = {
    "no payload": (b"", MALFORMED),
    "a frame around nothing": (b"\0", MALFORMED),
    "a secret cut short": (b"\0" * 20, MALFORMED),
    "an unknown frame": (b"\x04" * 100, MALFORMED),
    "all bits set": (b"\xff" * 100, MALFORMED),
    "another input": (frame_clear_input(SECRET, b"?"), RefusalReason.INPUT_HASH_MISMATCH),
    "a secret and no input": (b"\0" + SECRET, RefusalReason.INPUT_HASH_MISMATCH),
    "a sealed nothing": (b"\x01", MALFORMED),
    "sealed noise": (b"\x01" * 100, MALFORMED),
    "sealed noise, as long as a message": (b"\x01" + bytes(range(256)) * 2, MALFORMED),
    "a reference cut short": (b"\x02" * 20, MALFORMED),
    "a reference without a place": (b"\x02" + SOMEWHERE, MALFORMED),
    "a reference that is no text": (b"\x03" + b"\xff" * 100, MALFORMED),
    "a reference with control characters": (b"\x02" + SOMEWHERE + b"memory://\n", MALFORMED),
    "a reference to nowhere": (b"\x02" + SOMEWHERE + b"memory://nowhere", "does not hold"),
    "a reference of no known kind": (b"\x02" + SOMEWHERE + b"nosuch://place", "does not hold"),
    "a reference to this machine": (b"\x02" + SOMEWHERE + b"http://127.0.0.1:1/", "does not hold"),
    "a reference to a file here": (b"\x02" + SOMEWHERE + b"file:///etc/passwd", "cannot be read"),
    "more than is taken": (b"\0" + b"\x01" * 5_000, RefusalReason.INPUT_TOO_LONG),
}
"""What stands in the place of a framed input."""

LOW_ORDER = (1).to_bytes(32, "little")
TERMS: dict[str, tuple[dict[str, object], Expected]] = {
    "a reply key of low order": ({"reply_key": LOW_ORDER}, RefusalReason.MODE_UNSUPPORTED),
    "an input hash of nothing": ({"input_hash": bytes(32)}, RefusalReason.INPUT_HASH_MISMATCH),
    "the hash of another input": (
        {"input_hash": commitments.input_hash(SECRET, b"?"), "flags": INLINE_ONLY},
        RefusalReason.INPUT_HASH_MISMATCH,
    ),
    "a callback dearer than the fee": ({"callback_gas": 1_000_000}, "answering costs about"),
}
"""Terms that go with an input as it should be."""
