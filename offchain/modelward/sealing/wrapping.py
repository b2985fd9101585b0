"""Content keys sealed to one grantee: HPKE (RFC 9180), 80 bytes."""

from __future__ import annotations

from modelward.errors import EnvelopeMalformed
from modelward.sealing import hpke
from modelward.sealing.binding import Binding, address_bytes
from modelward.sealing.keys import DecryptionKey
from modelward.terms import Address

WRAPPED_KEY_BYTES = 80
"""32 of encapsulated key, 32 of content key, 16 of tag."""

_LABEL = b"modelward wrapped key 1"


def wrap_key(content_key: bytes, public_key: bytes, binding: Binding, grantee: Address) -> bytes:
    """Wrap a content key of 32 bytes for a grantee; `public_key` is its X25519 key, 32 bytes.

    Raises `InvalidTerms` when the public key is none.
    """
    info = _LABEL + binding.encoded() + address_bytes(grantee)
    return hpke.seal(content_key, public_key, info)


def unwrap_key(wrapped: bytes, key: DecryptionKey, binding: Binding, grantee: Address) -> bytes:
    """The content key, 32 bytes.

    Raises:
        EnvelopeMalformed: it has not the length of a wrapped key.
        KeyNotForReader: it was wrapped for another key, place or grantee, or was changed.
    """
    if len(wrapped) != WRAPPED_KEY_BYTES:
        raise EnvelopeMalformed(f"A wrapped key has {WRAPPED_KEY_BYTES} bytes, not {len(wrapped)}.")
    info = _LABEL + binding.encoded() + address_bytes(grantee)
    return hpke.open_sealed(wrapped, key, info, what="wrapped key")
