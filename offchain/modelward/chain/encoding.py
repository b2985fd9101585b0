"""JSON-RPC's way of writing numbers, bytes, addresses and blocks."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from eth_utils.address import to_checksum_address

from modelward.errors import RpcUnavailable
from modelward.terms import Address

BlockId = int | bytes | str
"""A block's number, its hash, or a tag such as ``"latest"``."""


def to_hex(value: bytes) -> str:
    """Bytes as JSON-RPC data."""
    return "0x" + value.hex()


@lru_cache(maxsize=8_192)
def to_address(value: str | bytes) -> Address:
    """An address, from hex of any letter case or 20 bytes, in checksummed hex."""
    return Address(to_checksum_address(value))


def to_block_parameter(block: BlockId) -> Any:
    """A block as the last parameter of a state query, by EIP-1898 when it is a hash."""
    if isinstance(block, bytes):
        return {"blockHash": to_hex(block)}
    return hex(block) if isinstance(block, int) else block


def quantity(value: Any) -> int:
    """Read a JSON-RPC quantity. Raises `RpcUnavailable` for anything else."""
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise RpcUnavailable(f"The RPC endpoint gave {value!r:.80} where a hex number belongs.")


def read_bytes(value: Any) -> bytes:
    """Read JSON-RPC data. Raises `RpcUnavailable` for anything else."""
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise RpcUnavailable(f"The RPC endpoint gave {value!r:.80} where hex data belongs.")
