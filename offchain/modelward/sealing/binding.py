"""What an envelope, a wrapped key or a message is bound to."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from modelward.errors import InvalidTerms
from modelward.terms import Address

BINDING_BYTES = 8 + 20 + 32 + 4


@dataclass(frozen=True, slots=True)
class Binding:
    """The one place an envelope belongs: a resource of a contract on a chain, in a key epoch.

    `resource` is 32 bytes: a data key, a model id, a request id. `epoch` counts from 1.
    """

    chain_id: int
    contract: Address
    resource: bytes
    epoch: int

    def __post_init__(self) -> None:
        checksummed = to_checksum_address(address_bytes(self.contract))
        object.__setattr__(self, "contract", checksummed)
        if not 0 < self.chain_id < 2**64:
            raise InvalidTerms(f"{self.chain_id} is not a chain id.")
        if not 0 < self.epoch < 2**32:
            raise InvalidTerms(f"A key epoch counts from 1; {self.epoch} is none.")
        if len(self.resource) != 32:
            raise InvalidTerms(f"A resource has 32 bytes, not {len(self.resource)}.")

    def encoded(self) -> bytes:
        """64 bytes: chain id (8), contract (20), resource (32), epoch (4), big-endian."""
        return (
            self.chain_id.to_bytes(8, "big")
            + address_bytes(self.contract)
            + self.resource
            + self.epoch.to_bytes(4, "big")
        )

    @classmethod
    def decoded(cls, data: bytes) -> Binding:
        """Inverse of `encoded`. Raises `InvalidTerms`."""
        if len(data) != BINDING_BYTES:
            raise InvalidTerms(f"A binding has {BINDING_BYTES} bytes, not {len(data)}.")
        return cls(
            chain_id=int.from_bytes(data[:8], "big"),
            contract=Address("0x" + data[8:28].hex()),
            resource=data[28:60],
            epoch=int.from_bytes(data[60:], "big"),
        )


def address_bytes(address: Address) -> bytes:
    """The 20 bytes of an address. Raises `InvalidTerms`."""
    try:
        data = bytes.fromhex(address.removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != 20:
        raise InvalidTerms(f"{address!r} is not an address.")
    return data
