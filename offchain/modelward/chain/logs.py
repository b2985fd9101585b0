"""Reads events with ``eth_getLogs`` over bounded block ranges, never with node-side filters.

A filter dies with its node and forgets what it missed; a range can be asked for again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelward.chain.connection import Chain
from modelward.chain.encoding import to_hex
from modelward.chain.events import Event, decode_event, topic_of
from modelward.chain.log import Log, read_log
from modelward.errors import RpcError, RpcUnavailable
from modelward.terms import Address

_TOO_MUCH = (
    "range",
    "limit",
    "too many",
    "too large",
    "more than",
    "exceed",
    "timeout",
    "timed out",
    "response size",
)


@dataclass(frozen=True, slots=True)
class EventRange:
    """All events of the blocks `first` to `last`, both included, in the chain's order."""

    first: int
    last: int
    events: tuple[Event, ...]


class EventReader:
    """Reads the events of some contracts, range by range.

    `contracts` gives the name of the contract at each address. `kinds` narrows to some event
    classes, `subjects` to events whose first indexed value (a request id, a model id, an owner) is
    one of these 32 bytes; None reads all. The width of a range starts at the network's
    `log_range`, halves whenever the node finds it too much, and grows back slowly.
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
        self._width = chain.network.log_range

    def read(self, first: int, last: int) -> Iterator[EventRange]:
        """The events of blocks `first` to `last`, as consecutive ranges that leave out no block.

        Nothing is yielded when `first` is above `last`. A range is yielded only when all of it
        was read, so a caller may keep its `last` as how far it has come.

        Raises `RpcUnavailable` or `RpcError`.
        """
        while first <= last:
            end = min(last, first + self._width - 1)
            try:
                logs = self._logs(first, end)
            except (RpcError, RpcUnavailable) as error:
                if end == first or not _is_too_much(error):
                    raise
                self._width = max(1, (end - first + 1) // 2)
                continue
            yield EventRange(first, end, self._decoded(logs))
            first = end + 1
            self._width = min(self.chain.network.log_range, self._width + self._width // 4 + 1)

    def read_all(self, first: int, last: int) -> tuple[Event, ...]:
        """The events of blocks `first` to `last` at once."""
        return tuple(event for part in self.read(first, last) for event in part.events)

    def _logs(self, first: int, last: int) -> list[Log]:
        query: dict[str, Any] = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "address": list(self.contracts),
        }
        if self._subjects is not None:
            query["topics"] = [self._topics, self._subjects]
        elif self._topics is not None:
            query["topics"] = [self._topics]
        answer = self.chain.rpc("eth_getLogs", [query])
        if not isinstance(answer, list):
            raise RpcUnavailable("The RPC endpoint gave no list of logs.")
        logs = [read_log(raw) for raw in answer]
        for log in logs:
            if not first <= log.block_number <= last or log.address not in self.contracts:
                raise RpcUnavailable("The RPC endpoint gave logs that were not asked for.")
        return sorted(logs, key=lambda log: (log.block_number, log.log_index))

    def _decoded(self, logs: list[Log]) -> tuple[Event, ...]:
        events = (decode_event(self.contracts[log.address], log) for log in logs)
        return tuple(event for event in events if event is not None)


def _is_too_much(error: RpcError | RpcUnavailable) -> bool:
    if isinstance(error, RpcUnavailable):
        return "no answer within" in error.message
    reason = error.reason.lower()
    return any(phrase in reason for phrase in _TOO_MUCH)
