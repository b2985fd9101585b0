"""A log entry, as every node gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelward.chain.encoding import quantity, read_bytes, to_address
from modelward.errors import RpcUnavailable
from modelward.terms import Address


@dataclass(frozen=True, slots=True)
class Log:
    """One log entry of a mined transaction, undecoded."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


def read_log(raw: Any) -> Log:
    """A log from JSON-RPC. Raises `RpcUnavailable` when it is malformed."""
    try:
        return Log(
            address=to_address(raw["address"]),
            topics=tuple(read_bytes(topic) for topic in raw["topics"]),
            data=read_bytes(raw["data"]),
            block_number=quantity(raw["blockNumber"]),
            block_hash=read_bytes(raw["blockHash"]),
            transaction_hash=read_bytes(raw["transactionHash"]),
            log_index=quantity(raw["logIndex"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RpcUnavailable("The RPC endpoint gave a malformed log.") from error
