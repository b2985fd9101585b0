"""`eth_getLogs`: reading a filter and finding what matches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from modelward.devchain.faults import invalid_params, refused
from modelward.devchain.ledger import Block, Ledger
from modelward.devchain.parameters import (
    BlockReference,
    address,
    array,
    hash32,
    mapping,
    numbered_block,
)
from modelward.devchain.shapes import JsonObject, log_json

MAX_TOPICS = 4


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs are wanted.

    `topics` has a set of accepted values for each position, or None where any value will do.
    Logs of every address match if `addresses` is empty.
    """

    first: BlockReference
    last: BlockReference
    block_hash: bytes | None
    addresses: frozenset[bytes]
    topics: tuple[frozenset[int] | None, ...]

    @classmethod
    def read(cls, value: object) -> LogFilter:
        """Read a filter object.

        Raises:
            RpcFault: a member has the wrong form, or `blockHash` comes with a range.
        """
        members = mapping(value, "filter")
        block_hash = None
        if "blockHash" in members:
            if "fromBlock" in members or "toBlock" in members:
                raise invalid_params(
                    "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"
                )
            block_hash = hash32(members["blockHash"], "blockHash")
        wanted = members.get("address", [])
        return cls(
            first=numbered_block(members.get("fromBlock", "latest")),
            last=numbered_block(members.get("toBlock", "latest")),
            block_hash=block_hash,
            addresses=frozenset(
                address(item, "address")
                for item in (wanted if isinstance(wanted, list) else [wanted])
            ),
            topics=_read_topics(members.get("topics", [])),
        )

    def accepts(self, emitter: bytes, topics: tuple[int, ...]) -> bool:
        """Tell whether a log of that address with those topics is wanted."""
        if self.addresses and emitter not in self.addresses:
            return False
        if len(topics) < len(self.topics):
            return False
        return all(
            accepted is None or topic in accepted
            for accepted, topic in zip(self.topics, topics, strict=False)
        )


def find_logs(
    ledger: Ledger, wanted: LogFilter, height_of: Callable[[BlockReference], int]
) -> Iterator[JsonObject]:
    """Yield the matching logs, oldest first.

    A range may reach beyond the head; what lies beyond holds no logs.

    Raises:
        RpcFault: the block hash is unknown, or the range is reversed.
    """
    if wanted.block_hash is not None:
        block = ledger.block_by_hash(wanted.block_hash)
        if block is None:
            raise refused("unknown block")
        yield from _matching(block, wanted)
        return
    first, last = height_of(wanted.first), height_of(wanted.last)
    if first > last:
        raise invalid_params(f"invalid block range params: fromBlock {first} > toBlock {last}")
    for block in ledger.blocks(first, last):
        if block.header.bloom:
            yield from _matching(block, wanted)


def _matching(block: Block, wanted: LogFilter) -> Iterator[JsonObject]:
    for mined in block.transactions:
        for offset, log in enumerate(mined.receipt.logs):
            if wanted.accepts(bytes(log.address), tuple(log.topics)):
                yield log_json(block, mined, log, mined.first_log_index + offset)


def _read_topics(value: Any) -> tuple[frozenset[int] | None, ...]:
    positions = array(value, "topics")
    if len(positions) > MAX_TOPICS:
        raise invalid_params(f"exceed max topics: a log has at most {MAX_TOPICS}")
    return tuple(_alternatives(position) for position in positions)


def _alternatives(value: Any) -> frozenset[int] | None:
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if not values or None in values:
        return None
    return frozenset(int.from_bytes(hash32(item, "topic"), "big") for item in values)
