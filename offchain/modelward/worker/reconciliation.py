"""Reconciliation: compares the journal with the escrow itself, slowly and again and again.

Intake reads every event once. Should one escape it all the same, because every endpoint left it
out, what it told is found here later: a missed event costs time and nothing else.
"""

from __future__ import annotations

import logging

from modelward.chain.connection import Chain
from modelward.chain.contracts import ExactReferee
from modelward.chain.events import (
    AnswerCorrected,
    InferenceFulfilled,
    InferenceRefunded,
    InferenceRefused,
    RequestRefused,
)
from modelward.chain.logs import EventReader
from modelward.deployment import Deployment
from modelward.journal import Checkpoint, Ending, Journal, Lease, Placement
from modelward.terms import RequestId, RequestStatus
from modelward.worker.intake import WATCHED, Intake, Reading

RECENT = 512
"""Blocks below the cursor that are read again each time."""
AT_ONCE = 32
"""Open requests whose status is asked for each time."""

_log = logging.getLogger(__name__)


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
        dropped: list[RequestId] = []
        ended = self._missed_ends(cursor, dropped)
        placed = self._missed_requests(cursor)
        if not (placed or ended or dropped):
            return Reading()
        found = self._journal.supplement(placed, ended, dropped)
        for request_id in (*found.placed, *found.ended, *dropped):
            _log.warning("%s: the journal had missed an event of it", request_id.hex()[:8])
        return Reading(found.placed, found.ended, tuple(dropped))

    def _missed_ends(self, cursor: Checkpoint, dropped: list[RequestId]) -> list[Ending]:
        """The ends of requests that the journal takes for open."""
        unended = self._journal.unended()
        self._looked_at.intersection_update(unended)
        turn = [each for each in unended if each not in self._looked_at][:AT_ONCE]
        if not turn:
            self._looked_at.clear()
        self._looked_at.update(turn)
        ended: list[Ending] = []
        for request_id in turn:
            status = self._escrow.request_of(request_id, block=cursor.number).status
            if status is RequestStatus.NONE:
                dropped.append(request_id)
            elif not status.pending:
                ended += self._ends_of(request_id, cursor)
        return ended

    def _ends_of(self, request_id: RequestId, cursor: Checkpoint) -> list[Ending]:
        job = self._journal.job(request_id)
        if job is None:
            return []
        reader = EventReader(
            self._chain,
            self._contracts,
            (
                InferenceFulfilled,
                InferenceRefused,
                InferenceRefunded,
                AnswerCorrected,
                RequestRefused,
            ),
            (request_id,),
        )
        events = reader.read_all(job.placement.block_number, cursor.number)
        return self._intake.endings(events)

    def _missed_requests(self, cursor: Checkpoint) -> list[Placement]:
        """Open requests in recent and in some old blocks that the journal does not know."""
        recent = max(self._first_block, cursor.number - RECENT + 1)
        last = min(cursor.number, self._swept + self._chain.network.log_range - 1)
        placements = {
            placement.request_id: placement
            for first, end in ((self._swept, last), (recent, cursor.number))
            for placement in self._intake.placements(self._intake.events(first, end))
        }
        self._swept = self._first_block if last >= recent else last + 1
        return [
            placement
            for request_id, placement in placements.items()
            if placement.request.deadline >= cursor.timestamp
            and self._journal.job(request_id) is None
            and self._escrow.request_of(request_id, block=cursor.number).status.pending
        ]
