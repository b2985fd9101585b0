"""X25519 keys that open envelopes. They are never the keys that sign."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from modelward.errors import InvalidTerms

PUBLIC_KEY_BYTES = 32
_FROM_ACCOUNT = b"modelward encryption key 1"
_FROM_REQUEST = b"modelward reply key 1"
_FROM_SIGNATURE = b"modelward encryption key from signature 1"


@dataclass(frozen=True)
class DecryptionKey:
    """The private half of an encryption key."""

    private: X25519PrivateKey = field(repr=False)

    @cached_property
    def public(self) -> bytes:
        """The public half, 32 bytes."""
        return self.private.public_key().public_bytes_raw()

    def secret(self) -> bytes:
        """The private half, 32 bytes, to be stored encrypted or wrapped, and nowhere else."""
        return self.private.private_bytes_raw()

    @classmethod
    def random(cls) -> DecryptionKey:
        """A new key."""
        return cls(X25519PrivateKey.generate())

    @classmethod
    def from_secret(cls, secret: bytes) -> DecryptionKey:
        """The key of a private half. Raises `InvalidTerms` unless it has 32 bytes."""
        if len(secret) != 32:
            raise InvalidTerms(f"A decryption key has 32 bytes, not {len(secret)}.")
        return cls(X25519PrivateKey.from_private_bytes(secret))

    @classmethod
    def of_account(cls, account_secret: bytes, index: int) -> DecryptionKey:
        """The key number `index` (from 1) of the account with this private key, 32 bytes.

        HKDF-SHA256 (RFC 5869) of the private key, so that there is nothing more to back up.
        """
        return cls.from_secret(_derived(account_secret, _FROM_ACCOUNT, index))

    @classmethod
    def of_request(cls, secret: bytes) -> DecryptionKey:
        """The reply key of the request with this secret, 32 bytes.

        So whoever holds what verifies an answer can also open it, and nobody else.
        """
        if len(secret) != 32:
            raise InvalidTerms(f"A request's secret has 32 bytes, not {len(secret)}.")
        return cls.from_secret(_derive(secret, _FROM_REQUEST))

    @classmethod
    def of_signature(cls, signature: bytes, index: int) -> DecryptionKey:
        """The key number `index` derived from a wallet's deterministic signature, 65 bytes.

        Whoever comes by that one signature has the key: wallets must show what it is for.
        """
        if len(signature) != 65:
            raise InvalidTerms(f"A wallet's signature has 65 bytes, not {len(signature)}.")
        return cls.from_secret(_derived(signature, _FROM_SIGNATURE, index))


def _derived(secret: bytes, label: bytes, index: int) -> bytes:
    if not 0 < index < 2**32:
        raise InvalidTerms(f"Keys are numbered from 1; {index} is none.")
    return _derive(secret, label + index.to_bytes(4, "big"))


def _derive(secret: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(secret)
