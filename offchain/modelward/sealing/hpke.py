"""Sealing to a public key: HPKE (RFC 9180) in base mode, one shot.

X25519, HKDF-SHA256, AES-256-GCM, as the `cryptography` package has them. What a sealed thing is
bound to goes into HPKE's `info`.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from modelward.errors import InvalidTerms, KeyNotForReader
from modelward.sealing.keys import PUBLIC_KEY_BYTES, DecryptionKey

OVERHEAD_BYTES = 32 + 16
"""The encapsulated key and the tag."""

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def seal(content: bytes, public_key: bytes, info: bytes) -> bytes:
    """Seal content to an X25519 public key of 32 bytes. Raises `InvalidTerms` if it is none."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise InvalidTerms(f"A public key has {PUBLIC_KEY_BYTES} bytes, not {len(public_key)}.")
    try:
        return _SUITE.encrypt(content, X25519PublicKey.from_public_bytes(public_key), info=info)
    except ValueError as error:  # a point of low order, which gives every sender the same secret
        raise InvalidTerms("This is no usable X25519 public key.") from error


def open_sealed(sealed: bytes, key: DecryptionKey, info: bytes, *, what: str) -> bytes:
    """Inverse of `seal`. Raises `KeyNotForReader`, naming `what` does not open."""
    try:
        return _SUITE.decrypt(sealed, key.private, info=info)
    except (InvalidTag, ValueError) as error:
        raise KeyNotForReader(
            f"The {what} does not open: it is for another key or another place, or was changed."
        ) from error
