"""What the journal knows of requests."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from modelward.journal import schema
from modelward.journal.database import portions
from modelward.journal.encoding import verifier_in, version_in
from modelward.journal.records import Job
from modelward.journal.rows import read_job
from modelward.journal.session import Session
from modelward.journal.states import ENDS, WAITING, State
from modelward.terms import Address, RequestId, VersionId

_jobs = schema.jobs.c
_accounts = schema.identity.c

_NO_VERIFIER = bytes(20)


class JobReading(Session):
    """Questions about jobs. Nothing is written."""

    def job(self, request_id: RequestId) -> Job | None:
        """The job of a request, if the journal knows it."""
        query = select(schema.jobs).where(self._job(request_id))
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else read_job(row)

    def jobs(self, *states: State) -> list[Job]:
        """The jobs in these states, the nearest deadline first."""
        query = (
            select(schema.jobs)
            .where(self._here(_jobs), _jobs.state.in_(states))
            .order_by(_jobs.deadline, _jobs.request_id)
        )
        with self._reading() as connection:
            return [read_job(row) for row in connection.execute(query)]

    def job_ids(self, *states: State) -> list[RequestId]:
        """The requests in these states that are on chain, the nearest deadline first.

        Left out are those of other accounts and those another worker holds.
        """
        query = (
            select(_jobs.request_id)
            .where(self._here(_jobs), _jobs.state.in_(states), _jobs.on_chain, self._workable())
            .order_by(_jobs.deadline, _jobs.request_id)
        )
        with self._reading() as connection:
            return [RequestId(request_id) for request_id in connection.scalars(query)]

    def queue(self, *states: State) -> dict[RequestId, VersionId]:
        """What `job_ids` gives, each with the model version that it pins."""
        query = (
            select(_jobs.request_id, version_in(_jobs.offer))
            .where(self._here(_jobs), _jobs.state.in_(states), _jobs.on_chain, self._workable())
            .order_by(_jobs.deadline, _jobs.request_id)
        )
        with self._reading() as connection:
            return {
                RequestId(request_id): VersionId(version_id)
                for request_id, version_id in connection.execute(query)
            }

    def jobs_among(self, request_ids: Sequence[RequestId]) -> list[Job]:
        """The jobs of these requests, in their order; those the journal does not know are left
        out."""
        if not request_ids:
            return []
        found: dict[bytes, Job] = {}
        with self._reading() as connection:
            for some in portions(request_ids):
                query = select(schema.jobs).where(self._here(_jobs), _jobs.request_id.in_(some))
                for row in connection.execute(query):
                    found[row.request_id] = read_job(row)
        return [found[each] for each in request_ids if each in found]

    def jobs_of(self, transaction_hash: bytes) -> list[Job]:
        """The jobs whose answers a transaction carries."""
        query = select(schema.jobs).where(
            self._here(_jobs), _jobs.transaction_hash == transaction_hash
        )
        with self._reading() as connection:
            return [read_job(row) for row in connection.execute(query)]

    def settleable(self, now: int) -> list[RequestId]:
        """The requests whose answers are held and can be settled at `now` (Unix seconds), those
        first that have to be settled soonest."""
        query = (
            select(_jobs.request_id)
            .where(
                self._here(_jobs),
                _jobs.state == State.HELD,
                _jobs.settle_after < now,
                _jobs.on_chain,
                self._workable(),
            )
            .order_by(_jobs.deadline, _jobs.request_id)
        )
        with self._reading() as connection:
            return [RequestId(request_id) for request_id in connection.scalars(query)]

    def unexplained(self) -> list[RequestId]:
        """The requests that wait for no reason on record: new ones, and those to be retried."""
        query = select(_jobs.request_id).where(
            self._here(_jobs), _jobs.state.in_(WAITING), _jobs.reason.is_(None)
        )
        with self._reading() as connection:
            return [RequestId(request_id) for request_id in connection.scalars(query)]

    def unended(self) -> list[RequestId]:
        """All requests of the queue that are on chain and have not ended, whoever holds them, the
        nearest deadline first."""
        query = (
            select(_jobs.request_id)
            .where(self._here(_jobs), _jobs.state.not_in((*ENDS, State.SEEN)), _jobs.on_chain)
            .order_by(_jobs.deadline, _jobs.request_id)
        )
        with self._reading() as connection:
            return [RequestId(request_id) for request_id in connection.scalars(query)]

    def expired_unheld(self, since: int) -> list[RequestId]:
        """The requests under a verifier that expired at `since` (Unix seconds) or later, answered
        by this queue, but not held by their verifier as far as is known."""
        query = select(_jobs.request_id).where(
            self._here(_jobs),
            _jobs.state == State.EXPIRED,
            _jobs.deadline >= since,
            _jobs.transaction_hash.is_not(None),
            _jobs.settle_after.is_(None),
            verifier_in(_jobs.offer) != _NO_VERIFIER,
        )
        with self._reading() as connection:
            return [RequestId(request_id) for request_id in connection.scalars(query)]

    def lapsed_holds(self) -> list[RequestId]:
        """The requests that expired while a verifier held this account's answer and its bond, and
        whose bond is not known to be free, the longest expired first."""
        query = (
            select(_jobs.request_id)
            .where(
                self._here(_jobs),
                _jobs.state == State.EXPIRED,
                _jobs.bond.is_not(None),
                _jobs.bond_free_at_block.is_(None),
                _jobs.account == self.identity.account,
                _jobs.on_chain,
            )
            .order_by(_jobs.deadline, _jobs.request_id)
        )
        with self._reading() as connection:
            return [RequestId(request_id) for request_id in connection.scalars(query)]

    def counts(self) -> dict[State, int]:
        """How many requests are in each state."""
        query = select(_jobs.state, func.count()).where(self._here(_jobs)).group_by(_jobs.state)
        with self._reading() as connection:
            return {State(state): count for state, count in connection.execute(query)}

    def accounts(self) -> frozenset[Address]:
        """The accounts that answer requests of this queue."""
        query = select(_accounts.account).where(self._here(_accounts))
        with self._reading() as connection:
            return frozenset(Address(account) for account in connection.scalars(query))

    def relied_upon(self, hashes: Sequence[bytes]) -> dict[bytes, bool]:
        """Those of these transactions that requests rely on which have not ended, and whether all
        of these requests are on chain."""
        relied: dict[bytes, bool] = {}
        with self._reading() as connection:
            for some in portions(hashes):
                query = select(_jobs.transaction_hash, _jobs.on_chain).where(
                    self._here(_jobs), _jobs.transaction_hash.in_(some), _jobs.state.not_in(ENDS)
                )
                for row in connection.execute(query):
                    before = relied.get(row.transaction_hash, True)
                    relied[row.transaction_hash] = before and row.on_chain
        return relied
