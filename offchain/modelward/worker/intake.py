"""Intake: reads the escrow's events up to the confirmed head into the journal.

Requests begin and end here and nowhere else: what another stage did counts once a confirmed block
says so. Logs are believed when the headers they name are the chain's; near the head, where a node
may not have them all yet, each header's bloom filter tells of logs that an answer left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from modelward.chain.connection import Block, Chain
from modelward.chain.contracts import ExactReferee
from modelward.chain.events import (
    AccessGranted,
    AnswerCorrected,
    AnswerPosted,
    Event,
    InferenceFulfilled,
    InferenceHeld,
    InferenceRefunded,
    InferenceRefused,
    InferenceRequested,
    RequestRefused,
)
from modelward.chain.logs import EventRange, EventReader
from modelward.commitments import request_id
from modelward.deployment import Deployment
from modelward.errors import ReorganisedTooDeep, RpcUnavailable
from modelward.journal import Checkpoint, Ending, Hold, Journal, Lease, Placement, State
from modelward.terms import ZERO_ADDRESS, Address, RefusalReason, RequestId

WATCHED = 64
"""Blocks below the confirmed head in which a log that an answer left out is looked for."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading brought: new requests, known ones that ended, those that a reorganisation
    touched or whose state had to be put right, and whether this worker was granted something."""

    placed: tuple[RequestId, ...] = ()
    ended: tuple[RequestId, ...] = ()
    rewound: tuple[RequestId, ...] = ()
    granted: bool = False

    def __add__(self, other: Reading) -> Reading:
        return Reading(
            self.placed + other.placed,
            self.ended + other.ended,
            self.rewound + other.rewound,
            self.granted or other.granted,
        )


class Intake:
    """Follows one escrow for one worker account."""

    def __init__(
        self, chain: Chain, deployment: Deployment, account: Address, journal: Journal
    ) -> None:
        self._chain = chain
        self._account = account
        self._journal = journal
        self._escrow = deployment.escrow.address
        self._accounts = frozenset({account})
        self._first_block = deployment.first_block
        self._noticed = 0
        contracts = (deployment.escrow.name, deployment.data_share.name, ExactReferee.name)
        self._reader = EventReader(
            chain,
            {address: name for address, name in deployment.names.items() if name in contracts},
            (
                InferenceRequested,
                InferenceFulfilled,
                InferenceHeld,
                InferenceRefused,
                InferenceRefunded,
                RequestRefused,
                AnswerPosted,
                AnswerCorrected,
                AccessGranted,
            ),
        )

    def read(self) -> Reading:
        """Read from the cursor to the confirmed head, one journal transaction a block range.

        Where several workers share the journal, one of them reads for all; the others read nothing.

        Raises:
            ReorganisedTooDeep: the chain was reorganised deeper than is followed, now or before;
                the journal is halted.
            RpcUnavailable, RpcError: the endpoint failed, or the chain changed meanwhile; what
                was read before is kept.
        """
        if (halted := self._journal.halted()) is not None:
            raise ReorganisedTooDeep(halted)
        if not self._journal.hold(Lease.READING):
            return Reading()
        confirmed = self._chain.confirmed_head()
        cursor = self._journal.cursor()
        if cursor is not None and cursor.hash == confirmed.hash:
            self._notice(confirmed)
            return Reading()
        rewound = self._rewind_if_reorganised(confirmed)
        reading = Reading(rewound=tuple(rewound))
        cursor = self._journal.cursor() or self._start(confirmed)
        first = self._first_block if cursor is None else cursor.number + 1
        if first <= confirmed.number:
            self._accounts = self._journal.accounts()
        for part in self._reader.read(first, confirmed.number):
            headers = self._headers(part, confirmed, cursor)
            events = self._tied(part, headers)
            last = headers[part.last]
            cursor = Checkpoint(last.number, last.hash, last.timestamp)
            advance = self._journal.advance(
                part.first,
                cursor,
                placed=self.placements(events),
                ended=self.endings(events),
                held=self.holds(events),
            )
            granted = any(
                isinstance(event, AccessGranted) and event.grantee == self._account
                for event in events
            )
            reading += Reading(advance.placed, advance.ended, granted=granted)
        self._notice(confirmed)
        return reading

    def _notice(self, confirmed: Block) -> None:
        """Record the requests of blocks that are not confirmed yet."""
        network = self._chain.network
        if network.confirmations == 1 and network.finality == "depth":
            return
        first = max(confirmed.number, self._noticed) + 1
        head = self._chain.head().number
        if first <= head:
            self._journal.notice(self.placements(self._reader.read_all(first, head)))
        self._noticed = head  # lower again after a reorganisation

    def ranges(self, first: int, last: int) -> Iterator[EventRange]:
        """What the contracts said in the blocks `first` to `last`, as an endpoint gives it and
        range by range."""
        return self._reader.read(first, last)

    def placements(self, events: Iterable[Event]) -> list[Placement]:
        """The requests among these events that a worker on this journal may answer.

        Raises `RpcUnavailable` when one has another id than its terms.
        """
        return [p for event in events if (p := self._placement(event)) is not None]

    def endings(self, events: Iterable[Event]) -> list[Ending]:
        """The ends of requests among these events."""
        return [e for event in events if (e := self._ending(event)) is not None]

    def holds(self, events: Sequence[Event]) -> list[Hold]:
        """The answers of ours that these events say are held."""
        until = {each.request_id: each.until for each in events if isinstance(each, InferenceHeld)}
        return [
            Hold(
                request_id=event.request_id,
                answer=event.answer,
                until=until[event.request_id],
                block_number=event.block_number,
                block_hash=event.block_hash,
                transaction_hash=event.transaction_hash,
            )
            for event in events
            if isinstance(event, AnswerPosted)
            and event.request_id in until
            and event.worker in self._accounts
        ]

    def _headers(
        self, part: EventRange, confirmed: Block, cursor: Checkpoint | None
    ) -> dict[int, Block]:
        """The headers that the events of a range rest on, found to belong to one chain.

        They are those of blocks with events, of the range's last block, and of all blocks near the
        confirmed head.
        """
        numbers = {event.block_number for event in part.events} | {part.last}
        numbers.update(range(max(part.first, confirmed.number - WATCHED + 1), part.last + 1))
        wanted = sorted(numbers - {confirmed.number})
        headers = dict(zip(wanted, self._chain.blocks(wanted), strict=True))
        if confirmed.number in numbers:
            headers[confirmed.number] = confirmed
        linked = {} if cursor is None else {cursor.number: cursor.hash}
        linked |= {number: header.hash for number, header in headers.items()}
        changed = any(
            linked.get(number - 1, header.parent_hash) != header.parent_hash
            for number, header in headers.items()
        )
        if changed or self._chain.block(confirmed.number).hash != confirmed.hash:
            raise RpcUnavailable("The chain changed while its logs were read; they are read again.")
        return headers

    def _tied(self, part: EventRange, headers: Mapping[int, Block]) -> list[Event]:
        """The events of a range, once their blocks are the chain's and none is missing near its
        head."""
        if any(event.block_hash != headers[event.block_number].hash for event in part.events):
            raise RpcUnavailable("The RPC endpoint gave logs of another block.")
        by_block: dict[int, list[Event]] = {}
        for event in part.events:
            by_block.setdefault(event.block_number, []).append(event)
        for number, header in headers.items():
            if number not in by_block and self._reader.may_concern(header):
                by_block[number] = list(self._reader.read_block(header))
        return [event for number in sorted(by_block) for event in by_block[number]]

    def _start(self, confirmed: Block) -> Checkpoint | None:
        """Remember the block before the deployment, to go back to until there are newer ones."""
        number = self._first_block - 1
        if not 0 <= number <= confirmed.number:
            return None
        block = self._chain.block(number)
        start = Checkpoint(block.number, block.hash, block.timestamp)
        self._journal.advance(number, start)
        return start

    def _rewind_if_reorganised(self, confirmed: Block) -> list[RequestId]:
        """Go back to the newest block remembered that is still in the chain.

        Raises:
            ReorganisedTooDeep: it is deeper than the network's `reorg_depth`, or there is none.
        """
        checkpoints = self._journal.checkpoints()
        dropped: Checkpoint | None = None
        for checkpoint in checkpoints:
            if checkpoint.number > confirmed.number:
                continue  # the endpoint lags behind, or the chain is shorter: too early to tell
            there = confirmed
            if checkpoint.number < confirmed.number:
                there = self._chain.block(checkpoint.number)
            if there.hash == checkpoint.hash:
                if dropped is None:
                    return []
                _log.warning("reorganisation: back to block %d", checkpoint.number)
                return self._journal.rewind(checkpoint)
            dropped = checkpoint
            if checkpoints[0].number - dropped.number >= self._chain.network.reorg_depth:
                self._halt(f"more than {self._chain.network.reorg_depth} confirmed blocks")
        if dropped is not None:
            self._halt("every block this worker remembers")
        return []

    def _halt(self, what: str) -> NoReturn:
        reason = (
            f"A reorganisation dropped {what}; nothing is sent until somebody has looked at it."
        )
        _log.critical("%s", reason)
        self._journal.halt(reason)
        raise ReorganisedTooDeep(reason)

    def _placement(self, event: Event) -> Placement | None:
        if not isinstance(event, InferenceRequested):
            return None
        offer, request = event.offer, event.request
        if request.worker != ZERO_ADDRESS and request.worker not in self._accounts:
            return None
        own_id = request_id(offer, request, chain_id=self._chain.chain_id, escrow=self._escrow)
        if own_id != event.request_id:
            raise RpcUnavailable(
                f"The RPC endpoint gave a request 0x{event.request_id.hex()[:8]}… whose terms have "
                "another id."
            )
        return Placement(
            request_id=own_id,
            offer=offer,
            request=request,
            input=event.input,
            block_number=event.block_number,
            block_hash=event.block_hash,
        )

    def _ending(self, event: Event) -> Ending | None:
        reason: str | None
        match event:
            case InferenceHeld() if event.worker in self._accounts:
                return None
            case AnswerCorrected():
                ours = event.worker in self._accounts
                state = State.CORRECTED if ours else State.LOST
                reason = f"the answer of {event.worker} was wrong, as {event.challenger} showed"
            case InferenceFulfilled() | InferenceHeld():
                ours = event.worker in self._accounts
                state = State.FINAL if ours else State.LOST
                reason = None if ours else f"answered by {event.worker}"
            case InferenceRefused() | RequestRefused():
                ours = event.worker in self._accounts
                state = State.REFUSED if ours else State.LOST
                why = RefusalReason.of(event.reason).name
                reason = why if ours else f"refused by {event.worker}: {why}"
            case InferenceRefunded():
                state, reason = State.EXPIRED, "refunded"
            case _:
                return None
        return Ending(
            request_id=event.request_id,
            state=state,
            reason=reason,
            block_number=event.block_number,
            block_hash=event.block_hash,
            transaction_hash=event.transaction_hash,
        )
