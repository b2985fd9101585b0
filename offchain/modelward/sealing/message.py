"""Inputs and outputs sealed to one reader: HPKE (RFC 9180) with the epoch of the reader's key."""

from __future__ import annotations

from dataclasses import dataclass

from modelward.errors import EnvelopeMalformed, EnvelopeMisplaced
from modelward.sealing import hpke
from modelward.sealing.binding import Binding
from modelward.sealing.keys import DecryptionKey

_VERSION = 1
_HEADER_BYTES = 1 + 4
MESSAGE_OVERHEAD_BYTES = _HEADER_BYTES + hpke.OVERHEAD_BYTES
"""How much longer a sealed message is than what it says."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a message is; an input cannot be passed off as an output."""

    label: bytes


INPUT = Purpose(b"modelward input 1")
OUTPUT = Purpose(b"modelward output 1")


def seal_message(content: bytes, public_key: bytes, binding: Binding, purpose: Purpose) -> bytes:
    """Seal a message to the X25519 key of `binding.epoch`.

    For an input, the resource is the model's id; for an output, the request's.
    Raises `InvalidTerms` when the public key is none.
    """
    info = purpose.label + binding.encoded()
    header = bytes([_VERSION]) + binding.epoch.to_bytes(4, "big")
    return header + hpke.seal(content, public_key, info)


def epoch_of(message: bytes) -> int:
    """The key epoch a message says it is sealed for. Raises `EnvelopeMalformed`."""
    if len(message) < MESSAGE_OVERHEAD_BYTES:
        raise EnvelopeMalformed("The sealed message is cut short.")
    if message[0] != _VERSION:
        raise EnvelopeMalformed(
            f"The sealed message is of version {message[0]}; this program opens {_VERSION}."
        )
    return int.from_bytes(message[1:_HEADER_BYTES], "big")


def open_message(message: bytes, key: DecryptionKey, binding: Binding, purpose: Purpose) -> bytes:
    """What a message says.

    Raises:
        EnvelopeMalformed: it is no sealed message of this version.
        EnvelopeMisplaced: it is for another key epoch.
        KeyNotForReader: it is sealed to another key, belongs elsewhere, or was changed.
    """
    epoch = epoch_of(message)
    if epoch != binding.epoch:
        raise EnvelopeMisplaced("key epoch", expected=binding.epoch, actual=epoch)
    info = purpose.label + binding.encoded()
    return hpke.open_sealed(message[_HEADER_BYTES:], key, info, what="sealed message")
