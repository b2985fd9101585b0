"""Reconciliation: compares the journal with the escrow itself, slowly and again and again.

Intake reads every event once. Should one escape it all the same, because every endpoint left it
out, what it told is found here later: a missed event costs time and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelward.chain.connection import Chain
from modelward.chain.contracts import ExactReferee
from modelward.chain.events import (
    AnswerCorrected,
    AnswerPosted,
    Event,
    InferenceFulfilled,
    InferenceHeld,
    InferenceRefunded,
    InferenceRefused,
    RequestRefused,
)
from modelward.chain.logs import EventReader
from modelward.deployment import Deployment
from modelward.journal import Checkpoint, Ending, Hold, Job, Journal, Lease, Placement, State
from modelward.terms import MAX_HOLD, RequestId, RequestStatus
from modelward.worker.intake import WATCHED, Intake, Reading

RECENT = 512
"""Blocks below the cursor that are read again each time."""
AT_ONCE = 32
"""Open requests whose status is asked for each time."""

_TURNS = (
    InferenceFulfilled,
    InferenceHeld,
    InferenceRefused,
    InferenceRefunded,
    AnswerPosted,
    AnswerCorrected,
    RequestRefused,
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Missed:
    """Requests that ended, that are held, and that are not on chain, unknown to the journal."""

    ended: list[Ending] = field(default_factory=list)
    held: list[Hold] = field(default_factory=list)
    dropped: list[RequestId] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ended or self.held or self.dropped)


class Reconciliation:
    """Looks over one queue, some of it each time."""

    def __init__(
        self, chain: Chain, deployment: Deployment, journal: Journal, intake: Intake
    ) -> None:
        self._chain = chain
        self._escrow = deployment.escrow
        judges = (deployment.escrow.name, ExactReferee.name)
        self._contracts = {a: name for a, name in deployment.names.items() if name in judges}
        self._first_block = deployment.first_block
        self._journal = journal
        self._intake = intake
        self._looked_at: set[RequestId] = set()
        self._swept = self._first_block

    def look(self) -> Reading:
        """Look over open requests, recent blocks and a range of old ones; returns what was missed.

        Nothing is done while intake is behind, or while another worker reads the chain.

        Raises `RpcUnavailable` or `RpcError`.
        """
        cursor = self._journal.cursor()
        if cursor is None or not self._journal.hold(Lease.READING):
            return Reading()
        if cursor.number + WATCHED < self._chain.confirmed_head().number:
            return Reading()
        missed = self._missed_turns(cursor)
        placed = self._missed_requests(cursor)
        if not (placed or missed):
            return Reading()
        found = self._journal.supplement(placed, missed.ended, missed.dropped, missed.held)
        put_right = (*missed.dropped, *(hold.request_id for hold in missed.held))
        for request_id in dict.fromkeys((*found.placed, *found.ended, *put_right)):
            _log.warning("%s: the journal had missed an event of it", request_id.hex()[:8])
        return Reading(found.placed, found.ended, put_right)

    def _missed_turns(self, cursor: Checkpoint) -> _Missed:
        """What became of requests that the journal takes for open, or for expired unanswered."""
        unended = self._journal.unended()
        unended += self._journal.expired_unheld(cursor.timestamp - MAX_HOLD)
        self._looked_at.intersection_update(unended)
        turn = [each for each in unended if each not in self._looked_at][:AT_ONCE]
        if not turn:
            self._looked_at.clear()
        self._looked_at.update(turn)
        missed = _Missed()
        for job in self._journal.jobs_among(turn):
            status = self._escrow.request_of(job.request_id, block=cursor.number).status
            unheld = job.settle_after is None
            if status is RequestStatus.NONE:
                missed.dropped.append(job.request_id)
            elif status is RequestStatus.REFUNDED and job.state is State.EXPIRED:
                continue
            elif not status.pending or (status.held and unheld):
                events = self._events_of(job, cursor)
                missed.held += self._intake.holds(events) if unheld else []
                missed.ended += self._intake.endings(events)
        return missed

    def _events_of(self, job: Job, cursor: Checkpoint) -> Sequence[Event]:
        reader = EventReader(self._chain, self._contracts, _TURNS, (job.request_id,))
        return reader.read_all(job.placement.block_number, cursor.number)

    def _missed_requests(self, cursor: Checkpoint) -> list[Placement]:
        """Open requests in recent and in some old blocks that the journal does not know."""
        recent = max(self._first_block, cursor.number - RECENT + 1)
        last = min(cursor.number, self._swept + self._chain.network.log_range - 1)
        unknown: dict[RequestId, Placement] = {}
        for first, end in ((self._swept, last), (recent, cursor.number)):
            for part in self._intake.ranges(first, end):
                unknown |= self._unknown(part.events, cursor)
        self._swept = self._first_block if last >= recent else last + 1
        return [
            placement
            for request_id, placement in unknown.items()
            if self._escrow.request_of(request_id, block=cursor.number).status.pending
        ]

    def _unknown(self, events: Sequence[Event], cursor: Checkpoint) -> dict[RequestId, Placement]:
        """The requests of these events that have time left and that the journal does not know."""
        placements = {
            placement.request_id: placement
            for placement in self._intake.placements(events)
            if placement.request.deadline >= cursor.timestamp
        }
        known = self._journal.known_among(list(placements))
        return {each: placement for each, placement in placements.items() if each not in known}
