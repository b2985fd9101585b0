"""The steps of a request that lead to an answer on disk."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, case, select, update

from modelward.errors import Superseded
from modelward.journal import schema
from modelward.journal.database import portions
from modelward.journal.leases import Lease
from modelward.journal.records import Answer
from modelward.journal.rows import answer_values, storable
from modelward.journal.sharing import Sharing
from modelward.journal.states import ENDS, WAITING, WITH_AN_ANSWER, State
from modelward.terms import RequestId

_jobs = schema.jobs.c


class Answering(Sharing):
    """confirmed or computing -> computed, and back."""

    def record_answer(self, request_id: RequestId, answer: Answer) -> None:
        """confirmed or computing -> computed: the answer is on disk.

        Who cannot send it leaves it to a worker that can.

        Raises:
            Superseded: the request ended, or another worker has taken it over.
        """
        faults = self.record_answers({request_id: answer})
        if faults:
            raise faults[request_id]

    def record_answers(
        self, answers: Mapping[RequestId, Answer]
    ) -> dict[RequestId, Superseded | ValueError]:
        """confirmed or computing -> computed, of all that can take the step; why the others
        cannot is returned, as what `record_answer` raises.
        """
        blank = dict.fromkeys(
            ("output", "commitment", "result_salt", "refusal", "refusal_detail"), None
        )
        before = (State.CONFIRMED, State.COMPUTING)
        with self._writing() as connection:
            kept = self._lease_end() if self._holds(connection, Lease.SENDING) else 0
            faults = self._faults(connection, answers, before, State.COMPUTED)
            rows = [
                {"which": request_id, **blank, **answer_values(answer)}
                for request_id, answer in answers.items()
                if request_id not in faults
            ]
            if rows:
                connection.execute(
                    update(schema.jobs)
                    .where(self._here(_jobs), _jobs.request_id == bindparam("which"))
                    .values(
                        state=State.COMPUTED,
                        reason=None,
                        holder=self.instance,
                        held_until=kept,
                    ),
                    rows,
                )
        return faults

    def record_reason(self, request_id: RequestId, reason: str) -> None:
        """Note why a request is where it is."""
        with self._writing() as connection:
            connection.execute(
                update(schema.jobs).where(self._job(request_id)).values(reason=storable(reason))
            )

    def retry(self, request_id: RequestId) -> bool:
        """Have a request that waits, or whose transactions failed, tried again from the start.

        A refusal that was not sent is forgotten. False for one that ended or is in hand.
        """
        waits = and_(self._job(request_id), _jobs.state.in_(WAITING), _jobs.reason.is_not(None))
        fresh = {"reason": None, "failures": 0, "attempts": 0}
        unanswered = {"state": State.CONFIRMED, "refusal": None, "refusal_detail": None}
        with self._writing() as connection:
            refused = connection.execute(
                update(schema.jobs)
                .where(waits, _jobs.refusal.is_not(None))
                .values(**fresh, **unanswered)
            )
            others = connection.execute(update(schema.jobs).where(waits).values(**fresh))
            return refused.rowcount + others.rowcount == 1

    def _release(
        self, connection: Connection, which: ColumnElement[bool], reason: str, **values: Any
    ) -> None:
        connection.execute(
            update(schema.jobs)
            .where(self._here(_jobs), which, _jobs.state.in_(WITH_AN_ANSWER))
            .values(
                state=case((_jobs.settle_after.is_not(None), State.HELD), else_=State.COMPUTED),
                transaction_hash=None,
                account=case((_jobs.settle_after.is_not(None), _jobs.account), else_=None),
                reason=storable(reason),
                **values,
            )
        )

    def _faults(
        self,
        connection: Connection,
        request_ids: Collection[RequestId],
        before: Sequence[State],
        to: State,
    ) -> dict[RequestId, Superseded | ValueError]:
        """Why some of these requests cannot take a step; the others are held until the
        transaction ends."""
        found: dict[bytes, Row[Any]] = {}
        free: set[bytes] = set()
        for some in portions(list(request_ids)):
            query = (
                select(_jobs.request_id, _jobs.state, _jobs.holder, self._workable().label("free"))
                .where(self._here(_jobs), _jobs.request_id.in_(some))
                .order_by(_jobs.request_id)
                .with_for_update()
            )
            for row in connection.execute(query):
                found[row.request_id] = row
                if row.free and row.state in before:
                    free.add(row.request_id)
        return {
            request_id: self._fault(request_id, found.get(request_id), to)
            for request_id in request_ids
            if request_id not in free
        }

    def _fault(
        self, request_id: RequestId, found: Row[Any] | None, to: State
    ) -> Superseded | ValueError:
        if found is not None and found.state in ENDS:
            return Superseded(f"The request 0x{request_id.hex()[:8]}… has ended: {found.state}.")
        if found is not None and found.holder not in (None, self.instance):
            return Superseded(
                f"Another worker has taken over the request 0x{request_id.hex()[:8]}…."
            )
        return ValueError(f"no such request can become {to}")
