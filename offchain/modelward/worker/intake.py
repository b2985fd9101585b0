"""Intake: reads the escrow's events up to the confirmed head into the journal.

Requests begin and end here and nowhere else: what another stage did counts once a confirmed block
says so.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from modelward.chain.connection import Block, Chain
from modelward.chain.events import (
    AccessGranted,
    Event,
    InferenceFulfilled,
    InferenceRefunded,
    InferenceRefused,
    InferenceRequested,
)
from modelward.chain.logs import EventReader
from modelward.commitments import request_id
from modelward.deployment import Deployment
from modelward.errors import ReorganisedTooDeep, RpcUnavailable
from modelward.journal import Checkpoint, Ending, Journal, Placement, State
from modelward.terms import ZERO_ADDRESS, Address, RefusalReason, RequestId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading brought: new requests, known ones that ended or that a reorganisation
    touched, and whether this worker was granted something."""

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
        self._first_block = deployment.first_block
        self._reader = EventReader(
            chain,
            {
                self._escrow: deployment.escrow.name,
                deployment.data_share.address: deployment.data_share.name,
            },
            (
                InferenceRequested,
                InferenceFulfilled,
                InferenceRefused,
                InferenceRefunded,
                AccessGranted,
            ),
        )

    def read(self) -> Reading:
        """Read from the cursor to the confirmed head, one journal transaction a block range.

        Raises:
            ReorganisedTooDeep: none of the blocks remembered is in the chain any more.
            RpcUnavailable, RpcError: the endpoint failed, or the chain changed meanwhile; what
                was read before is kept.
        """
        confirmed = self._chain.confirmed_head()
        rewound = self._rewind_if_reorganised(confirmed)
        reading = Reading(rewound=tuple(rewound))
        cursor = self._journal.cursor() or self._start(confirmed)
        first = self._first_block if cursor is None else cursor.number + 1
        for part in self._reader.read(first, confirmed.number):
            last = self._still_there(confirmed, part.last)
            if any(e.block_hash != last.hash for e in part.events if e.block_number == part.last):
                raise RpcUnavailable("The RPC endpoint gave logs of another block.")
            advance = self._journal.advance(
                part.first,
                Checkpoint(last.number, last.hash, last.timestamp),
                placed=[p for event in part.events if (p := self._placement(event)) is not None],
                ended=[e for event in part.events if (e := self._ending(event)) is not None],
            )
            granted = any(
                isinstance(event, AccessGranted) and event.grantee == self._account
                for event in part.events
            )
            reading += Reading(advance.placed, advance.ended, granted=granted)
        return reading

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
        reorganised = False
        for checkpoint in self._journal.checkpoints():
            if checkpoint.number > confirmed.number:
                continue  # the endpoint lags behind, or the chain is shorter: too early to tell
            there = confirmed
            if checkpoint.number < confirmed.number:
                there = self._chain.block(checkpoint.number)
            if there.hash == checkpoint.hash:
                if not reorganised:
                    return []
                _log.warning("reorganisation: back to block %d", checkpoint.number)
                return self._journal.rewind(checkpoint)
            reorganised = True
        if reorganised:
            raise ReorganisedTooDeep(
                "The chain was reorganised below every block this worker remembers; "
                "nothing is sent until somebody has looked at it."
            )
        return []

    def _still_there(self, confirmed: Block, number: int) -> Block:
        """The block `number`, once sure that all logs up to it were read from one chain."""
        there = confirmed if number == confirmed.number else self._chain.block(number)
        if self._chain.block(confirmed.number).hash != confirmed.hash:
            raise RpcUnavailable("The chain changed while its logs were read; they are read again.")
        return there

    def _placement(self, event: Event) -> Placement | None:
        if not isinstance(event, InferenceRequested):
            return None
        offer, request = event.offer, event.request
        if request.worker not in (ZERO_ADDRESS, self._account):
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
        match event:
            case InferenceFulfilled():
                ours = event.worker == self._account
                state = State.FINAL if ours else State.LOST
                reason = None if ours else f"answered by {event.worker}"
            case InferenceRefused():
                ours = event.worker == self._account
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
