"""Reads events with ``eth_getLogs`` over bounded block ranges, never with node-side filters.

A filter dies with its node and forgets what it missed; a range can be asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth_utils.crypto import keccak

from modelward.chain.connection import Block, Chain
from modelward.chain.encoding import quantity, to_hex
from modelward.chain.endpoints import says_too_fast
from modelward.chain.events import Event, decode_event, topic_of
from modelward.chain.log import Log, read_log
from modelward.errors import RpcError, RpcUnavailable
from modelward.terms import Address

_TOO_MUCH: Final = (
    "range",
    "limit",
    "too many",
    "too large",
    "too big",
    "too wide",
    "more than",
    "exceed",
    "timeout",
    "timed out",
    "response size",
    "not supported on free",
)
_EXPLICIT_RANGE: Final = re.compile(r"\[\s*(0x[0-9a-f]+)\s*,\s*(0x[0-9a-f]+)\s*\]", re.IGNORECASE)
_WIDEST_RANGE: Final = re.compile(
    r"([\d,]+)(k?)[\s-]*block|(?:range|over)\D{0,16}?([\d,]+)(k?)\b", re.IGNORECASE
)
MANY_LOGS: Final = 1_000
"""Logs to have in memory at once, about: where blocks are full of them, ranges are narrower."""

_FORGET_AFTER: Final = 64
"""Ranges read after which a width that was once refused may be tried again."""


@dataclass(frozen=True, slots=True)
class EventRange:
    """All events of the blocks `first` to `last`, both included, in the chain's order."""

    first: int
    last: int
    events: tuple[Event, ...]


class RangeWidth:
    """How many blocks to ask for at once: as many as the node was found to bear.

    A refusal that names a range is taken at its word; otherwise the width is found by bisection
    between what went well and what was refused, so that a node with a limit refuses few times. As
    limits on the size of answers depend on the blocks, a refusal is forgotten after a while. Where
    there are many logs, the width is such that an answer stays small.
    """

    def __init__(self, widest: int) -> None:
        self.current = widest
        self._widest = widest
        self._good = 0
        self._refused = widest + 1
        self._read = 0

    def accepted(self, width: int, logs: int = 0) -> None:
        """A range of that width was read, with so many logs in it."""
        digestible = max(1, width * MANY_LOGS // logs) if logs else self._widest
        self.current = min(self.current, digestible)
        if width < self.current:
            return  # the last one before the head says little
        self._good = width
        self._read += 1
        if self._read % _FORGET_AFTER == 0:
            self._refused = self._widest + 1
        self.current = max(width, (width + self._refused) // 2) if self._refused > width else width
        self.current = min(self.current, self._widest, digestible)

    def refused(self, width: int, reason: str) -> None:
        """The node found a range of that width too much."""
        self._refused = width
        if self._good >= width:
            self._good = 0
        named = _named_width(reason)
        self.current = max(1, (self._good + width) // 2)
        if named is not None and 0 < named < width:
            self.current = named


class EventReader:
    """Reads the events of some contracts, range by range.

    `contracts` gives the name of the contract at each address. `kinds` narrows to some event
    classes, `subjects` to events whose first indexed value (a request id, a model id, an owner) is
    one of these 32 bytes; None reads all. The width of a range starts at the network's
    `log_range` and adapts to what the node bears.
    """

    def __init__(
        self,
        chain: Chain,
        contracts: Mapping[Address, str],
        kinds: tuple[type[Event], ...] | None = None,
        subjects: Collection[bytes] | None = None,
    ) -> None:
        self.chain = chain
        self.contracts = dict(contracts)
        self._topics = [to_hex(topic_of(kind)) for kind in kinds] if kinds is not None else None
        self._subjects = None if subjects is None else [to_hex(value) for value in subjects]
        self._width = RangeWidth(chain.network.log_range)

    def read(self, first: int, last: int) -> Iterator[EventRange]:
        """The events of blocks `first` to `last`, as consecutive ranges that leave out no block.

        Nothing is yielded when `first` is above `last`. A range is yielded only when all of it
        was read, so a caller may keep its `last` as how far it has come.

        Raises `RpcUnavailable` or `RpcError`.
        """
        while first <= last:
            end = min(last, first + self._width.current - 1)
            width = end - first + 1
            try:
                logs = self._logs({"fromBlock": hex(first), "toBlock": hex(end)})
            except (RpcError, RpcUnavailable) as error:
                if not _is_too_much(error):
                    raise
                if width == 1:
                    logs = self._logs_one_kind_at_a_time(first, error)
                else:
                    self._width.refused(width, error.message)
                    continue
            if any(not first <= log.block_number <= end for log in logs):
                raise RpcUnavailable("The RPC endpoint gave logs that were not asked for.")
            yield EventRange(first, end, self._decoded(logs))
            first = end + 1
            self._width.accepted(width, len(logs))

    def read_block(self, block: Block) -> tuple[Event, ...]:
        """The events of one block, asked for by its hash: a node that lacks it cannot answer.

        What the block's bloom filter announces and the node does not give is looked for in the
        block's receipts, where the node serves them.

        Raises `RpcUnavailable` or `RpcError`.
        """
        logs = self._logs({"blockHash": to_hex(block.hash)})
        if not logs and self.may_concern(block):
            logs = self._logs_in_receipts(block)
        if any(log.block_hash != block.hash for log in logs):
            raise RpcUnavailable("The RPC endpoint gave logs of another block.")
        return self._decoded(logs)

    def may_concern(self, block: Block) -> bool:
        """Whether the bloom filter of a block lets it hold logs that are read here.

        True for some blocks that hold none, False for none that hold one.
        """
        bloom = block.logs_bloom
        if bloom is None or not any(bloom):
            return False
        return any(_in_bloom(bloom, bytes.fromhex(each[2:])) for each in self.contracts) and (
            self._topics is None
            or any(_in_bloom(bloom, bytes.fromhex(topic[2:])) for topic in self._topics)
        )

    def read_all(self, first: int, last: int) -> tuple[Event, ...]:
        """The events of blocks `first` to `last` at once."""
        return tuple(event for part in self.read(first, last) for event in part.events)

    def _logs(
        self,
        blocks: dict[str, str],
        contracts: Collection[Address] | None = None,
        topics: list[str] | None = None,
    ) -> list[Log]:
        query: dict[str, Any] = {**blocks, "address": list(contracts or self.contracts)}
        kinds = topics or self._topics
        if self._subjects is not None:
            query["topics"] = [kinds, self._subjects]
        elif kinds is not None:
            query["topics"] = [kinds]
        return self._distinct(self.chain.rpc("eth_getLogs", [query]))

    def _distinct(self, answer: Any) -> list[Log]:
        """Logs in the chain's order, each once, without what a reorganisation removed."""
        logs: dict[tuple[int, int], Log] = {}
        for raw in answer:
            if raw.get("removed") is True:
                continue
            log = read_log(raw)
            if log.address not in self.contracts:
                raise RpcUnavailable("The RPC endpoint gave logs that were not asked for.")
            if logs.setdefault((log.block_number, log.log_index), log) != log:
                raise RpcUnavailable("The RPC endpoint gave two logs for one place.")
        return [logs[position] for position in sorted(logs)]

    def _logs_one_kind_at_a_time(self, block: int, error: RpcError | RpcUnavailable) -> list[Log]:
        """The logs of a block that holds more than the node gives at once."""
        kinds = [None] if self._topics is None else [[topic] for topic in self._topics]
        if len(kinds) * len(self.contracts) == 1:
            raise error
        blocks = {"fromBlock": hex(block), "toBlock": hex(block)}
        logs = [
            log
            for contract in self.contracts
            for kind in kinds
            for log in self._logs(blocks, [contract], kind)
        ]
        return sorted(logs, key=lambda log: log.log_index)

    def _logs_in_receipts(self, block: Block) -> list[Log]:
        try:
            receipts = self.chain.rpc("eth_getBlockReceipts", [hex(block.number)])
        except RpcError:
            return []  # not every node serves them
        wanted = None if self._topics is None else set(self._topics)
        raw = [
            entry
            for receipt in receipts or []
            for entry in receipt["logs"]
            if quantity(entry["blockNumber"]) == block.number
            and entry["address"].lower() in {each.lower() for each in self.contracts}
            and entry["topics"]
            and (wanted is None or entry["topics"][0] in wanted)
            and (self._subjects is None or entry["topics"][1:2] in [[s] for s in self._subjects])
        ]
        return self._distinct(raw)

    def _decoded(self, logs: list[Log]) -> tuple[Event, ...]:
        events = (decode_event(self.contracts[log.address], log) for log in logs)
        return tuple(event for event in events if event is not None)


def _is_too_much(error: RpcError | RpcUnavailable) -> bool:
    if isinstance(error, RpcUnavailable):
        return "no answer within" in error.message or "HTTP status 413" in error.message
    reason = error.reason.lower()
    return any(phrase in reason for phrase in _TOO_MUCH) and not says_too_fast(reason)


def _named_width(reason: str) -> int | None:
    """The width of a range that a refusal names, if it does."""
    explicit = _EXPLICIT_RANGE.search(reason)
    if explicit is not None:
        return int(explicit[2], 16) - int(explicit[1], 16) + 1
    named = _WIDEST_RANGE.search(reason)
    if named is None:
        return None
    digits, thousands = (named[1], named[2]) if named[1] else (named[3], named[4])
    number = digits.replace(",", "")
    return int(number) * (1_000 if thousands else 1) if number and len(number) < 10 else None


def _in_bloom(bloom: bytes, value: bytes) -> bool:
    """Whether a block's 2,048-bit filter (Yellow Paper, 4.3.1) may hold an address or topic."""
    digest = keccak(value)
    for place in (0, 2, 4):
        bit = int.from_bytes(digest[place : place + 2], "big") & 2047
        if not bloom[-1 - bit // 8] & 1 << bit % 8:
            return False
    return True
