"""What workers on one journal settle among themselves: who does what, and whether to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from modelward.errors import JournalUnavailable, ReorganisedTooDeep, Superseded
from modelward.journal import schema
from modelward.journal.leases import Heartbeat, Lease
from modelward.journal.records import Job
from modelward.journal.rows import read_job, storable
from modelward.journal.session import Session
from modelward.journal.states import State
from modelward.terms import RequestId

_jobs = schema.jobs.c
_queues = schema.queues.c
_accounts = schema.identity.c

_LEASES = {
    Lease.READING: (schema.queues, _queues.reader, _queues.reader_until),
    Lease.SENDING: (schema.identity, _accounts.sender, _accounts.sender_until),
}


class Sharing(Session):
    """Leases on the queue, the account and the requests in hand."""

    def close(self) -> None:
        """Let go of leases, database and lock; again is harmless."""
        if self.shared and not self._beside:
            with contextlib.suppress(JournalUnavailable):
                self._let_go()
        super().close()

    def hold(self, lease: Lease) -> bool:
        """Take or prolong a lease; False while another worker holds it."""
        if not self.shared:
            return True
        table, holder, until = _LEASES[lease]
        free = or_(holder == self.instance, until <= self._now)
        with self._writing() as connection:
            taken = connection.execute(
                update(table)
                .where(self._leased(lease), free)
                .values({holder: self.instance, until: self._now + self.lease})
            )
        return taken.rowcount == 1

    def heartbeat(self) -> None:
        """Prolong every lease this worker holds, and free requests whose worker fell silent."""
        if not self.shared:
            return
        end = self._now + self.lease
        with self._writing() as connection:
            for table, holder, until in _LEASES.values():
                connection.execute(
                    update(table).where(holder == self.instance, until > 0).values({until: end})
                )
            held = and_(_jobs.holder == self.instance, _jobs.held_until > 0)
            abandoned = and_(_jobs.state == State.COMPUTING, _jobs.held_until <= self._now)
            for which, values in (
                (held, {"held_until": end}),
                (abandoned, {"state": State.CONFIRMED}),
            ):
                # What somebody is writing just now can wait for the next beat; waiting for it here
                # could have both wait for each other.
                free = select(_jobs.request_id).where(self._here(_jobs), which)
                request_ids = connection.scalars(free.with_for_update(skip_locked=True)).all()
                connection.execute(
                    update(schema.jobs)
                    .where(self._here(_jobs), _jobs.request_id.in_(request_ids))
                    .values(values)
                )

    def beating(self) -> Heartbeat:
        """A context in which the leases are prolonged in the background."""
        return Heartbeat(self.heartbeat, self.lease / 4)

    def claim(self, request_ids: Sequence[RequestId]) -> list[Job]:
        """confirmed -> computing, for those of these requests that no other worker computes.

        Returns their jobs, the nearest deadline first; `attempts` counts this one.
        """
        states = (State.CONFIRMED, State.COMPUTING)
        free = (
            select(_jobs.request_id)
            .where(
                self._here(_jobs),
                _jobs.request_id.in_(request_ids),
                _jobs.state.in_(states),
                _jobs.on_chain,
                self._workable(),
            )
            .with_for_update(skip_locked=True)
        )
        with self._writing() as connection:
            mine = and_(self._here(_jobs), _jobs.request_id.in_(connection.scalars(free).all()))
            connection.execute(
                update(schema.jobs)
                .where(mine)
                .values(
                    state=State.COMPUTING,
                    attempts=_jobs.attempts + 1,
                    holder=self.instance,
                    held_until=self._lease_end(),
                )
            )
            rows = connection.execute(
                select(schema.jobs).where(mine).order_by(_jobs.deadline, _jobs.request_id)
            )
            return [read_job(row) for row in rows]

    def release(self, request_ids: Sequence[RequestId]) -> None:
        """computing -> confirmed: their answers cannot be computed now, for no fault of theirs.

        Computed ones are left for another worker to send. The attempt does not count.
        """
        mine = and_(
            self._here(_jobs), _jobs.request_id.in_(request_ids), _jobs.holder == self.instance
        )
        with self._writing() as connection:
            connection.execute(
                update(schema.jobs)
                .where(mine, _jobs.state == State.COMPUTING)
                .values(state=State.CONFIRMED, attempts=_jobs.attempts - 1)
            )
            connection.execute(update(schema.jobs).where(mine).values(held_until=0))

    def halt(self, reason: str) -> None:
        """Let no worker on this queue sign anything any more, for that reason."""
        with self._writing() as connection:
            connection.execute(
                update(schema.queues).where(self._here(_queues)).values(halted=storable(reason))
            )

    def halted(self) -> str | None:
        """Why the queue was halted; None while it runs."""
        query = select(_queues.halted).where(self._here(_queues))
        with self._reading() as connection:
            return connection.scalar(query)

    def _let_go(self) -> None:
        with self._writing() as connection:
            for table, holder, until in _LEASES.values():
                connection.execute(
                    update(table).where(holder == self.instance).values({holder: None, until: 0.0})
                )
            mine = and_(_jobs.holder == self.instance, _jobs.held_until > 0)
            connection.execute(
                update(schema.jobs)
                .where(mine, _jobs.state == State.COMPUTING)
                .values(state=State.CONFIRMED)
            )
            connection.execute(update(schema.jobs).where(mine).values(held_until=0))

    def _leased(self, lease: Lease) -> ColumnElement[bool]:
        if lease is Lease.READING:
            return self._here(_queues)
        return and_(self._here(_accounts), _accounts.account == self.identity.account)

    def _lease_end(self) -> ColumnElement[float] | float:
        return self._now + self.lease if self.shared else 0.0

    def _holds(self, connection: Connection, lease: Lease) -> bool:
        _, holder, _ = _LEASES[lease]
        query = select(holder).where(self._leased(lease)).with_for_update()
        return connection.scalar(query) == self.instance

    @contextmanager
    def _holding(self, lease: Lease) -> Iterator[Connection]:
        """Write what only the holder of a lease may, and who took it over meanwhile has not."""
        with self._writing() as connection:
            if not self._holds(connection, lease):
                raise Superseded(f"Another worker is {lease.value}.")
            yield connection

    def _require_running(self, connection: Connection) -> None:
        reason = connection.scalar(select(_queues.halted).where(self._here(_queues)))
        if reason is not None:
            raise ReorganisedTooDeep(reason)
