"""Reading JSON-RPC parameters strictly: what is not exactly right is refused with -32602."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth_typing import Address

from modelward.devchain.faults import invalid_params

_QUANTITY = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]*)")
_DATA = re.compile(r"0x([0-9a-fA-F]{2})*")
_TAGS: Final = frozenset({"latest", "pending", "earliest", "safe", "finalized"})

MAX_UINT64: Final = 2**64 - 1
MAX_UINT256: Final = 2**256 - 1


@dataclass(frozen=True, slots=True)
class BlockReference:
    """Which block is meant: exactly one of the three is set."""

    tag: str | None = None
    number: int | None = None
    hash: bytes | None = None


LATEST: Final = BlockReference(tag="latest")
PENDING: Final = BlockReference(tag="pending")


def quantity(value: object, name: str, *, maximum: int = MAX_UINT256) -> int:
    """Read a hex quantity such as `0x1f`, without leading zeros."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise invalid_params(f"{name} must be a hex quantity such as 0x1f, not {_shown(value)}")
    number = int(value, 16)
    if number > maximum:
        raise invalid_params(f"{name} is too large: {value}")
    return number


def number(value: object, name: str, *, maximum: int = MAX_UINT64) -> int:
    """Read a number for a control method: a JSON integer, a hex quantity or decimal digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= maximum:
            raise invalid_params(f"{name} must be between 0 and {maximum}, not {value}")
        return value
    return quantity(value, name, maximum=maximum)


def data(value: object, name: str, *, length: int | None = None) -> bytes:
    """Read bytes in hex, `0x` first, of any or of exactly `length` bytes."""
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise invalid_params(f"{name} must be bytes in hex such as 0x00ff, not {_shown(value)}")
    decoded = bytes.fromhex(value[2:])
    if length is not None and len(decoded) != length:
        raise invalid_params(f"{name} must be {length} bytes long, not {len(decoded)}")
    return decoded


def address(value: object, name: str) -> Address:
    """Read a 20-byte address, in any letter case."""
    return Address(data(value, name, length=20))


def hash32(value: object, name: str) -> bytes:
    """Read a 32-byte hash."""
    return data(value, name, length=32)


def slot(value: object) -> int:
    """Read a storage slot: hex with or without leading zeros, at most 32 bytes."""
    if not isinstance(value, str) or not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", value):
        raise invalid_params(f"storage slot must be at most 32 bytes in hex, not {_shown(value)}")
    return int(value, 16)


def boolean(value: object, name: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise invalid_params(f"{name} must be true or false, not {_shown(value)}")
    return value


def array(value: object, name: str) -> list[Any]:
    """Read an array."""
    if not isinstance(value, list):
        raise invalid_params(f"{name} must be an array, not {_shown(value)}")
    return value


def mapping(value: object, name: str) -> dict[str, Any]:
    """Read an object; members that are null are left out."""
    if not isinstance(value, Mapping):
        raise invalid_params(f"{name} must be an object, not {_shown(value)}")
    return {key: member for key, member in value.items() if member is not None}


def block_reference(value: object) -> BlockReference:
    """Read a tag, a number, a hash, or an object with `blockNumber` or `blockHash` (EIP-1898)."""
    if isinstance(value, Mapping):
        members = mapping(value, "block")
        if ("blockHash" in members) == ("blockNumber" in members):
            raise invalid_params("a block object needs either blockHash or blockNumber")
        if "blockHash" in members:
            return BlockReference(hash=hash32(members["blockHash"], "blockHash"))
        value = members["blockNumber"]
    if isinstance(value, str) and len(value) == 66:
        return BlockReference(hash=hash32(value, "block hash"))
    return numbered_block(value)


def numbered_block(value: object) -> BlockReference:
    """Read a block tag or a number."""
    if isinstance(value, str) and value in _TAGS:
        return BlockReference(tag=value)
    return BlockReference(number=quantity(value, "block", maximum=MAX_UINT64))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
