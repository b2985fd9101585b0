"""One key per resource and epoch, from which all else is derived.

Key regression (Fu, Kamara, Kohno: "Key Regression: Enabling Efficient Key Distribution for Secure
Distributed Storage", NDSS 2006, its hash-based scheme): the key of an epoch gives the keys of all
earlier epochs and of no later one. So a grantee is given one key of 32 bytes, can open what was
published before, and after its removal cannot open what is published in the next epoch.

The owner stores nothing: all of a resource's keys follow from the account's private key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from modelward.errors import EpochNotGranted, InvalidTerms
from modelward.sealing.binding import address_bytes
from modelward.sealing.keys import DecryptionKey
from modelward.terms import Address

LAST_EPOCH = 4096
"""How often a resource's key can be rotated."""

_ROOT = b"modelward epoch root 1"
_EARLIER = b"modelward earlier epoch 1"
_CONTENT = b"modelward content key 1"
_SERVICE = b"modelward service key 1"


@dataclass(frozen=True, slots=True)
class EpochKey:
    """The key of a resource in one epoch; epochs count from 1 to `LAST_EPOCH`."""

    epoch: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.epoch <= LAST_EPOCH:
            raise InvalidTerms(f"Key epochs are 1 to {LAST_EPOCH}; {self.epoch} is none.")
        if len(self.secret) != 32:
            raise InvalidTerms(f"An epoch's key has 32 bytes, not {len(self.secret)}.")

    @classmethod
    def of_owner(
        cls, account_secret: bytes, *, chain_id: int, contract: Address, resource: bytes, epoch: int
    ) -> EpochKey:
        """The key of an owner's resource, from the account's private key of 32 bytes.

        `contract` is the DataShare the resource is granted in.
        """
        info = _ROOT + chain_id.to_bytes(8, "big") + address_bytes(contract) + resource
        return cls(LAST_EPOCH, _derived(account_secret, info)).at(epoch)

    def at(self, epoch: int) -> EpochKey:
        """The key of this or an earlier epoch. Raises `EpochNotGranted` for a later one."""
        if epoch > self.epoch:
            raise EpochNotGranted(
                f"This key opens what was sealed up to epoch {self.epoch}, not epoch {epoch}."
            )
        secret = self.secret
        for _ in range(self.epoch - epoch):
            secret = _derived(secret, _EARLIER)
        return EpochKey(epoch, secret)

    def content_key(self) -> bytes:
        """What content published in this epoch is sealed with, 32 bytes."""
        return _derived(self.secret, _CONTENT)

    def service_key(self) -> DecryptionKey:
        """What opens inputs sealed to the model in this epoch."""
        return DecryptionKey.from_secret(_derived(self.secret, _SERVICE))


def _derived(secret: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(secret)
