"""The cursor, and the requests that blocks up to it hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, update

from modelward.journal import schema
from modelward.journal.encoding import encode_offer, encode_request
from modelward.journal.leases import Lease
from modelward.journal.outcomes import Outcomes
from modelward.journal.records import Advance, Checkpoint, Ending, Hold, Placement
from modelward.journal.states import UNSENT, State
from modelward.terms import ZERO_ADDRESS, RequestId

_jobs = schema.jobs.c
_checkpoints = schema.checkpoints.c
_transactions = schema.transactions.c
_queues = schema.queues.c

KEPT_CHECKPOINTS = 128
"""How many checkpoints below the cursor are kept to find a common ancestor by."""


class Following(Outcomes):
    """The journal keeps up with the chain, and goes back where the chain does."""

    def cursor(self) -> Checkpoint | None:
        """The block up to which the chain was read; None before the first."""
        return next(iter(self.checkpoints(limit=1)), None)

    def checkpoints(self, limit: int = KEPT_CHECKPOINTS) -> list[Checkpoint]:
        """The newest checkpoints, the cursor first."""
        query = (
            select(_checkpoints.number, _checkpoints.hash, _checkpoints.timestamp)
            .where(self._here(_checkpoints))
            .order_by(_checkpoints.number.desc())
            .limit(limit)
        )
        with self._reading() as connection:
            return [Checkpoint(*row) for row in connection.execute(query)]

    def advance(
        self,
        first: int,
        to: Checkpoint,
        *,
        placed: Sequence[Placement] = (),
        ended: Sequence[Ending] = (),
        held: Sequence[Hold] = (),
    ) -> Advance:
        """Record what the blocks `first` to `to` say, and move the cursor to `to`.

        Requests known already are only said to be on chain again. A request that was both placed
        and ended in these blocks is left out. Requests still open at a deadline before the
        timestamp of `to` have expired: every block that could answer them was read. Returns what
        is new.

        Raises:
            ValueError: `first` is not the block after the cursor.
            Superseded: this worker does not hold the reading of the chain.
        """
        endings = {ending.request_id: ending for ending in ended}
        new: list[RequestId] = []
        over: list[RequestId] = []
        with self._holding(Lease.READING) as connection:
            cursor = connection.scalar(
                select(func.max(_checkpoints.number)).where(self._here(_checkpoints))
            )
            if (cursor is not None and first != cursor + 1) or to.number < first:
                raise ValueError(f"blocks {first} to {to.number} do not follow {cursor}")
            noticed = self._noticed(connection)
            known = self._anchor(connection, placed)
            unknown = {
                placement.request_id: placement
                for placement in placed
                if placement.request_id not in known and placement.request_id not in endings
            }
            self._insert(connection, list(unknown.values()), State.CONFIRMED)
            new += [
                each
                for each in dict.fromkeys(p.request_id for p in placed)
                if each in unknown or each in noticed
            ]
            connection.execute(
                update(schema.jobs)
                .where(
                    self._here(_jobs),
                    _jobs.state == State.SEEN,
                    _jobs.block_number <= to.number,
                )
                .values(on_chain=False)
            )
            self._hold(connection, {hold.request_id: hold for hold in held})
            over += self._end(connection, endings)
            over += self._expire(connection, to)
            connection.execute(
                insert(schema.checkpoints).values(
                    **self._key(), number=to.number, hash=to.hash, timestamp=to.timestamp
                )
            )
            self._forget_checkpoints(connection)
        return Advance(tuple(new), tuple(over))

    def known_among(self, request_ids: Collection[RequestId]) -> set[RequestId]:
        """Those of these requests that the journal knows."""
        with self._reading() as connection:
            return set(self._known(connection, request_ids))

    def notice(self, placed: Sequence[Placement]) -> tuple[RequestId, ...]:
        """Record requests of blocks above the cursor, which may yet be dropped, as seen.

        Requests known already are left as they are. Returns what is new.
        """
        with self._holding(Lease.READING) as connection:
            known = self._known(connection, [each.request_id for each in placed])
            unknown = {p.request_id: p for p in placed if p.request_id not in known}
            self._insert(connection, list(unknown.values()), State.SEEN)
        return tuple(unknown)

    def supplement(
        self,
        placed: Sequence[Placement] = (),
        ended: Sequence[Ending] = (),
        dropped: Sequence[RequestId] = (),
        held: Sequence[Hold] = (),
    ) -> Advance:
        """Record what was missed when the blocks up to the cursor were read; the cursor stays.

        `dropped` are requests that are not on chain after all. Returns what is new.

        Raises:
            Superseded: this worker does not hold the reading of the chain.
        """
        new: list[RequestId] = []
        with self._holding(Lease.READING) as connection:
            known = self._anchor(connection, placed)
            unknown = {p.request_id: p for p in placed if p.request_id not in known}
            self._insert(connection, list(unknown.values()), State.CONFIRMED)
            new += unknown
            self._hold(connection, {hold.request_id: hold for hold in held})
            over = self._end(connection, {each.request_id: each for each in ended})
            connection.execute(
                update(schema.jobs)
                .where(self._here(_jobs), _jobs.request_id.in_(dropped))
                .values(on_chain=False)
            )
        return Advance(tuple(new), tuple(over))

    def record_bond_free(self, request_id: RequestId, block_number: int) -> None:
        """Note that as of a block the bond of an answer that ended unpaid is its worker's again."""
        with self._holding(Lease.SENDING) as connection:
            connection.execute(
                update(schema.jobs)
                .where(self._job(request_id))
                .values(bond_free_at_block=block_number)
            )

    def rewind(self, to: Checkpoint) -> list[RequestId]:
        """Undo what blocks after `to` said, after a reorganisation, and return what it touched.

        Requests placed in them are no longer on chain; those answered or ended in them go back to
        where their answer and transaction are.

        Raises:
            ValueError: `to` is not a checkpoint.
            Superseded: this worker does not hold the reading of the chain.
        """
        if to not in self.checkpoints():
            raise ValueError(f"block {to.number} is not a checkpoint")
        with self._holding(Lease.READING) as connection:
            return self._go_back(connection, to.number)

    def resume(self, to: Checkpoint | None) -> list[RequestId]:
        """Let a halted queue go on, from a block that is still in the chain: as `rewind`, or from
        the first block where `to` is None. Returns the requests that this touched.

        Raises what `rewind` raises.
        """
        if to is not None and to not in self.checkpoints():
            raise ValueError(f"block {to.number} is not a checkpoint")
        with self._holding(Lease.READING) as connection:
            touched = self._go_back(connection, -1 if to is None else to.number)
            connection.execute(update(schema.queues).where(self._here(_queues)).values(halted=None))
        return touched

    def _go_back(self, connection: Connection, after: int) -> list[RequestId]:
        """Undo what blocks above `after` said."""
        touched = select(_jobs.request_id).where(
            self._here(_jobs), (_jobs.block_number > after) | (_jobs.ended_at_block > after)
        )
        unmined = select(_transactions.hash).where(
            _transactions.chain_id == self.identity.chain_id, _transactions.block_number > after
        )
        affected = [RequestId(request_id) for request_id in connection.scalars(touched)]
        hashes = list(connection.scalars(unmined))
        connection.execute(
            delete(schema.checkpoints).where(self._here(_checkpoints), _checkpoints.number > after)
        )
        connection.execute(
            update(schema.jobs)
            .where(self._here(_jobs), _jobs.block_number > after)
            .values(on_chain=False)
        )
        connection.execute(
            update(schema.jobs)
            .where(self._here(_jobs), _jobs.bond_free_at_block > after)
            .values(bond_free_at_block=None)
        )
        for transaction_hash in hashes:
            affected += self._unmine(connection, transaction_hash)
        self._let_go_of_holds(connection, after)
        reopened = select(schema.jobs).where(self._here(_jobs), _jobs.ended_at_block > after)
        for row in connection.execute(reopened).all():
            state = self._resting_state(connection, row)
            connection.execute(
                update(schema.jobs)
                .where(self._job(row.request_id))
                .values(
                    state=state,
                    transaction_hash=None if state in UNSENT else row.transaction_hash,
                    ended_at_block=None,
                    reason="a reorganisation dropped its end",
                )
            )
        return list(dict.fromkeys(affected))

    def _anchor(
        self, connection: Connection, placements: Sequence[Placement]
    ) -> Collection[RequestId]:
        """Say of those known already that these blocks hold them; returns which they are."""
        places = {placement.request_id: placement for placement in placements}
        known = self._known(connection, places)
        if known:
            connection.execute(
                update(schema.jobs)
                .where(self._here(_jobs), _jobs.request_id == bindparam("which"))
                .values(
                    on_chain=True,
                    block_number=bindparam("number"),
                    block_hash=bindparam("block"),
                    state=case((_jobs.state == State.SEEN, State.CONFIRMED), else_=_jobs.state),
                ),
                [
                    {
                        "which": request_id,
                        "number": places[request_id].block_number,
                        "block": places[request_id].block_hash,
                    }
                    for request_id in sorted(known)
                ],
            )
        return known

    def _noticed(self, connection: Connection) -> set[RequestId]:
        query = select(_jobs.request_id).where(self._here(_jobs), _jobs.state == State.SEEN)
        return {RequestId(request_id) for request_id in connection.scalars(query)}

    def _insert(
        self, connection: Connection, placements: Sequence[Placement], state: State
    ) -> None:
        rows = [
            {
                **self._key(),
                "request_id": placement.request_id,
                "state": state,
                "offer": encode_offer(placement.offer),
                "request": encode_request(placement.request),
                "input": placement.input,
                "deadline": placement.request.deadline,
                "block_number": placement.block_number,
                "block_hash": placement.block_hash,
                "on_chain": True,
                "failures": 0,
                "worker": None
                if placement.request.worker == ZERO_ADDRESS
                else placement.request.worker,
                "attempts": 0,
                "held_until": 0,
            }
            for placement in placements
        ]
        if rows:
            connection.execute(insert(schema.jobs), rows)

    def _forget_checkpoints(self, connection: Connection) -> None:
        kept = (
            select(_checkpoints.number)
            .where(self._here(_checkpoints))
            .order_by(_checkpoints.number.desc())
            .limit(KEPT_CHECKPOINTS)
        )
        connection.execute(
            delete(schema.checkpoints).where(
                self._here(_checkpoints), _checkpoints.number.not_in(kept.scalar_subquery())
            )
        )
