"""What blocks say became of requests: answers held, and ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, select, update

from modelward.journal import schema
from modelward.journal.database import portions
from modelward.journal.encoding import decode_request
from modelward.journal.records import Checkpoint, Ending, Hold
from modelward.journal.rows import storable
from modelward.journal.sending import Sending
from modelward.journal.states import ENDS, PENDING, State, TransactionState
from modelward.terms import RequestId

_jobs = schema.jobs.c
_transactions = schema.transactions.c


class Outcomes(Sending):
    """The steps of requests that the chain takes, inside one database transaction."""

    def _known(
        self, connection: Connection, request_ids: Collection[RequestId]
    ) -> dict[RequestId, State]:
        """Those of these requests that have a job, and its state."""
        known: dict[RequestId, State] = {}
        for some in portions(list(request_ids)):
            query = select(_jobs.request_id, _jobs.state).where(
                self._here(_jobs), _jobs.request_id.in_(some)
            )
            for row in connection.execute(query):
                known[RequestId(row.request_id)] = State(row.state)
        return known

    def _hold(self, connection: Connection, holds: Mapping[RequestId, Hold]) -> None:
        """Record which answers of ours are held. What was posted counts, not what was computed."""
        known = self._known(connection, holds)
        if known:
            connection.execute(
                update(schema.jobs)
                .where(self._here(_jobs), _jobs.request_id == bindparam("which"))
                .values(
                    state=State.HELD,
                    reason=None,
                    refusal=None,
                    refusal_detail=None,
                    failures=0,
                    held_until=0,
                    ended_at_block=None,
                    deadline=bindparam("until"),
                    held_at_block=bindparam("number"),
                ),
                [
                    {
                        "which": request_id,
                        "until": hold.until,
                        "number": hold.block_number,
                        "output": hold.answer.output,
                        "commitment": hold.answer.commitment,
                        "result_salt": hold.answer.result_salt,
                        "settle_after": hold.answer.settle_after,
                        "bond": str(hold.answer.bond),
                        "account": hold.answer.worker,
                        "transaction_hash": hold.transaction_hash,
                    }
                    for request_id, hold in sorted(holds.items())
                    if request_id in known
                ],
            )
        self._settle_transactions(connection, holds.values())

    def _let_go_of_holds(self, connection: Connection, after: int) -> None:
        """Forget the holds of blocks above `after`."""
        dropped = select(schema.jobs).where(self._here(_jobs), _jobs.held_at_block > after)
        for row in connection.execute(dropped).all():
            values: dict[str, Any] = {
                "deadline": decode_request(row.request).deadline,
                "settle_after": None,
                "bond": None,
                "held_at_block": None,
            }
            if row.state == State.HELD:
                values["state"] = self._resting_state(connection, row, held=False)
                values["reason"] = "a reorganisation dropped its answer"
            connection.execute(
                update(schema.jobs).where(self._job(row.request_id)).values(**values)
            )

    def _end(self, connection: Connection, endings: Mapping[RequestId, Ending]) -> list[RequestId]:
        """Record how requests ended; returns those that had not ended for the journal."""
        for ending in endings.values():
            if ending.state not in ENDS:
                raise ValueError(f"{ending.state} is no end")
        known = self._known(connection, endings)
        if known:
            connection.execute(
                update(schema.jobs)
                .where(self._here(_jobs), _jobs.request_id == bindparam("which"))
                .values(
                    state=bindparam("end"),
                    reason=bindparam("why"),
                    ended_at_block=bindparam("number"),
                    held_until=0,
                ),
                [
                    {
                        "which": request_id,
                        "end": endings[request_id].state,
                        "why": storable(endings[request_id].reason),
                        "number": endings[request_id].block_number,
                    }
                    for request_id in sorted(known)
                ],
            )
        self._settle_transactions(connection, endings.values())
        return [each for each in endings if each in known and not known[each].is_end]

    def _expire(self, connection: Connection, to: Checkpoint) -> list[RequestId]:
        overdue = and_(self._here(_jobs), _jobs.state.not_in(ENDS), _jobs.deadline < to.timestamp)
        ids = [RequestId(i) for i in connection.scalars(select(_jobs.request_id).where(overdue))]
        for on_chain, state in ((True, State.EXPIRED), (False, State.LOST)):
            values: dict[str, Any] = {
                "state": state,
                "ended_at_block": to.number,
                "held_until": 0,
            }
            if not on_chain:
                values["reason"] = "a reorganisation dropped the request"
            connection.execute(
                update(schema.jobs).where(overdue, _jobs.on_chain == on_chain).values(**values)
            )
        return ids

    def _settle_transactions(
        self, connection: Connection, endings: Collection[Ending | Hold]
    ) -> None:
        """Those of our transactions that ended requests are mined.

        Where some of the requests that one carries have not ended, its receipt will tell.
        """
        last = {ending.transaction_hash: ending for ending in endings}
        for some in portions(list(last)):
            waiting = select(_jobs.request_id).where(
                self._here(_jobs),
                _jobs.transaction_hash == _transactions.hash,
                _jobs.state.in_((State.SIGNED, State.SENT)),
            )
            ours = connection.execute(
                select(_transactions.hash, _transactions.state, _transactions.block_hash).where(
                    _transactions.chain_id == self.identity.chain_id,
                    _transactions.hash.in_(some),
                    ~exists(waiting),
                )
            ).all()
            mined = [
                last[row.hash]
                for row in ours
                if row.state != TransactionState.MINED
                or row.block_hash != last[row.hash].block_hash
            ]
            if not mined:
                continue
            connection.execute(
                update(schema.transactions)
                .where(
                    _transactions.chain_id == self.identity.chain_id,
                    _transactions.hash == bindparam("which"),
                )
                .values(
                    state=TransactionState.MINED,
                    block_number=bindparam("number"),
                    block_hash=bindparam("block"),
                    spent=None,
                ),
                [
                    {
                        "which": ending.transaction_hash,
                        "number": ending.block_number,
                        "block": ending.block_hash,
                    }
                    for ending in mined
                ],
            )
            hashes = [ending.transaction_hash for ending in mined]
            for transaction_hash in self._with_rivals(connection, hashes):
                self._supersede_others(connection, transaction_hash)

    def _resting_state(
        self, connection: Connection, row: Row[Any], *, held: bool | None = None
    ) -> State:
        if row.transaction_hash is not None:
            state = connection.scalar(
                select(_transactions.state).where(self._transaction(row.transaction_hash))
            )
            if state in PENDING or (state == TransactionState.MINED and row.settle_after is None):
                return State(str(state))
        if row.settle_after is not None if held is None else held:
            return State.HELD
        answered = row.commitment is not None or row.refusal is not None
        return State.COMPUTED if answered else State.CONFIRMED
