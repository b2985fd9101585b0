"""Coverage-guided fuzzing of everything that parses what is sealed; not part of the tests.

    pip install atheris
    python tests/fuzz/fuzz_envelope.py -max_total_time=60

Whatever comes in must be refused with an `EnvelopeError`: nothing opens, nothing else is raised.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["modelward.sealing"]):
    from modelward.errors import EnvelopeError
    from modelward.sealing.binding import Binding
    from modelward.sealing.envelope import HEADER_BYTES, open_envelope, seal
    from modelward.sealing.keys import DecryptionKey
    from modelward.sealing.message import INPUT, open_message
    from modelward.sealing.wrapping import unwrap_key
    from modelward.terms import Address

GRANTEE = Address("0x" + "33" * 20)
PLACE = Binding(31337, Address("0x" + "11" * 20), b"\x22" * 32, 1)
CONTENT_KEY = b"\x44" * 32
OTHER_KEY = b"\x55" * 32
KEY = DecryptionKey.from_secret(b"\x66" * 32)
HEADER = seal(b"", OTHER_KEY, PLACE)[:HEADER_BYTES]


def one_input(data: bytes) -> None:
    """Take the bytes for an envelope, for one behind a valid header, a message, a wrapped key."""
    for attempt in (
        lambda: open_envelope(data, CONTENT_KEY, PLACE),
        lambda: open_envelope(HEADER + data, CONTENT_KEY, PLACE),
        lambda: open_message(data, KEY, PLACE, INPUT),
        lambda: unwrap_key(data, KEY, PLACE, GRANTEE),
    ):
        with contextlib.suppress(EnvelopeError):
            attempt()
            raise AssertionError("something that nobody sealed has opened")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
