"""The journal itself."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from modelward.errors import JournalUnavailable, ReorganisedTooDeep, Superseded
from modelward.journal import schema
from modelward.journal.database import clock, locate, open_engine, reading, unavailable_on_failure
from modelward.journal.encoding import (
    decode_offer,
    decode_request,
    encode_offer,
    encode_request,
    version_in,
)
from modelward.journal.leases import LEASE_SECONDS, Heartbeat, Lease, new_instance
from modelward.journal.lock import JournalLock
from modelward.journal.migrations import migrate
from modelward.journal.records import (
    Advance,
    Answer,
    Balance,
    Checkpoint,
    Ending,
    Fulfilment,
    Hold,
    Identity,
    Job,
    Mining,
    Outlay,
    Placement,
    Refusal,
    SignedAnswer,
)
from modelward.journal.registration import register, take_everything
from modelward.journal.states import ENDS, PENDING, State, TransactionState
from modelward.terms import GWEI, ZERO_ADDRESS, Address, RefusalReason, RequestId, VersionId

KEPT_CHECKPOINTS = 128
"""How many checkpoints below the cursor are kept to find a common ancestor by."""

_jobs = schema.jobs.c
_checkpoints = schema.checkpoints.c
_transactions = schema.transactions.c
_carried = schema.carried.c
_queues = schema.queues.c
_accounts = schema.identity.c

T = TypeVar("T")

_LEASES = {
    Lease.READING: (schema.queues, _queues.reader, _queues.reader_until),
    Lease.SENDING: (schema.identity, _accounts.sender, _accounts.sender_until),
}

_ROWS_AT_ONCE = 500
"""Rows named in one statement: databases take so many values in one and no more."""

_SUPERSEDED = (TransactionState.REPLACED, TransactionState.DROPPED)
_UNSENT = (State.CONFIRMED, State.COMPUTED)
_WAITING = (*_UNSENT, State.HELD)
_WITH_AN_ANSWER = (State.COMPUTED, State.SIGNED, State.SENT)


def default_path(directory: Path, identity: Identity) -> Path:
    """Where under `directory` the journal of `identity` is kept unless told otherwise."""
    name = "-".join(
        (
            str(identity.chain_id),
            identity.genesis_hash.hex()[:8],
            identity.escrow[2:10].lower(),
            identity.account[2:10].lower(),
        )
    )
    return directory / f"{name}.sqlite"


class Journal:
    """What the workers of one escrow have read, done and signed.

    Every method that writes is one database transaction: after it returned, what it wrote is on
    disk; if it did not, nothing was written. Methods raise `JournalUnavailable` when the database
    fails, `Superseded` when the chain or another worker went on meanwhile, and `ValueError` for a
    step that the life of a request does not have.

    A file is used by one process at a time, which holds everything in it. A shared database is used
    by any number: each holds what it reads, computes or sends by a lease, which `heartbeat`
    prolongs and `close` gives up.
    """

    def __init__(
        self,
        place: str | Path,
        identity: Identity,
        *,
        lease: float = LEASE_SECONDS,
        beside: bool = False,
    ) -> None:
        """Open the journal at `place` (a path, or a sqlite or postgresql URL), making it where
        there is none. Leases end after `lease` seconds of silence. `beside` a worker that uses it,
        only reading and `retry` are allowed, and nothing is made.

        Raises:
            ConfigurationError: `place` is a URL that cannot hold a journal.
            JournalInUse: another process uses the file.
            JournalUnavailable: it cannot be read or written.
            WrongChain: it was written on another chain, or for another escrow.
            WrongJournal: it was written for another account.
        """
        self.place = locate(place)
        self.identity = identity
        self.instance = new_instance()
        self.lease = lease
        self._lock: JournalLock | None = None
        self._beside = beside
        if beside and self.place.file is not None and not self.place.file.exists():
            raise JournalUnavailable(
                f"There is no journal {self.place}.", hint="`modelward worker run` makes it."
            )
        if self.place.file is not None and not beside:
            _make_private(self.place.file)
            self._lock = JournalLock(self.place.file.with_name(self.place.file.name + ".lock"))
        try:
            self._engine: Engine = open_engine(self.place)
            self._reader = reading(self._engine)
            self._now = clock(self._engine)
            if beside:
                return
            with unavailable_on_failure(self.place):
                migrate(self._engine)
                with self._engine.begin() as connection:
                    register(connection, self.place, identity)
                    if self._lock is not None:
                        take_everything(connection, self.instance)
        except BaseException:
            self._release_lock()
            raise

    @property
    def file(self) -> Path | None:
        """The journal's file; None where it is in a shared database."""
        return self.place.file

    @property
    def shared(self) -> bool:
        """Whether other workers may use the journal now."""
        return self._lock is None

    def close(self) -> None:
        """Let go of leases, database and lock; again is harmless."""
        if self.shared and not self._beside:
            with contextlib.suppress(JournalUnavailable):
                self._let_go()
        self._engine.dispose()
        self._release_lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- reading ---------------------------------------------------------------------------------

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

    def job(self, request_id: RequestId) -> Job | None:
        """The job of a request, if the journal knows it."""
        query = select(schema.jobs).where(self._job(request_id))
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _read_job(row)

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

    def balance(self) -> Balance:
        """What the account has earned and spent."""
        fees = (
            select(_jobs.offer, func.count())
            .where(
                self._here(_jobs),
                _jobs.state == State.FINAL,
                or_(_jobs.account.is_(None), _jobs.account == self.identity.account),
            )
            .group_by(_jobs.offer)
        )
        # In two parts, for their sum may be more than a database's integers hold.
        costs = select(
            func.sum(_transactions.spent // GWEI), func.sum(_transactions.spent % GWEI)
        ).where(self._ours(), _transactions.spent.is_not(None))
        earned: Counter[Address] = Counter()
        with self._reading() as connection:
            for data, count in connection.execute(fees):
                offer = decode_offer(data)
                earned[offer.token] += count * offer.worker_share
            whole, rest = connection.execute(costs).one()
        return Balance(dict(earned), int(whole or 0) * GWEI + int(rest or 0))

    def unaccounted(self, limit: int) -> list[bytes]:
        """Some of the account's mined transactions whose cost is not on record."""
        query = (
            select(_transactions.hash)
            .where(
                self._ours(),
                _transactions.state.in_((TransactionState.MINED, TransactionState.FAILED)),
                _transactions.spent.is_(None),
            )
            .limit(limit)
        )
        with self._reading() as connection:
            return list(connection.scalars(query))

    def record_spent(self, spent: Mapping[bytes, int]) -> None:
        """Note what mined transactions cost, in wei."""
        with self._writing() as connection:
            connection.execute(
                update(schema.transactions)
                .where(
                    _transactions.chain_id == self.identity.chain_id,
                    _transactions.hash == bindparam("which"),
                )
                .values(spent=bindparam("wei")),
                [{"which": each, "wei": wei} for each, wei in spent.items()],
            )

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
            for some in _portions(request_ids):
                query = select(schema.jobs).where(self._here(_jobs), _jobs.request_id.in_(some))
                for row in connection.execute(query):
                    found[row.request_id] = _read_job(row)
        return [found[each] for each in request_ids if each in found]

    def jobs_of(self, transaction_hash: bytes) -> list[Job]:
        """The jobs whose answers a transaction carries."""
        query = select(schema.jobs).where(
            self._here(_jobs), _jobs.transaction_hash == transaction_hash
        )
        with self._reading() as connection:
            return [_read_job(row) for row in connection.execute(query)]

    def carried_by(self, transaction_hash: bytes) -> frozenset[RequestId]:
        """The requests a transaction carries, whatever else carries them by now."""
        return self.carried_by_each([transaction_hash])[transaction_hash]

    def carried_by_each(self, hashes: Sequence[bytes]) -> dict[bytes, frozenset[RequestId]]:
        """The requests that each of these transactions carries."""
        with self._reading() as connection:
            return self._carried_by_each(connection, hashes)

    def relied_upon(self, hashes: Sequence[bytes]) -> dict[bytes, bool]:
        """Those of these transactions that requests rely on which have not ended, and whether all
        of these requests are on chain."""
        relied: dict[bytes, bool] = {}
        with self._reading() as connection:
            for some in _portions(hashes):
                query = select(_jobs.transaction_hash, _jobs.on_chain).where(
                    self._here(_jobs), _jobs.transaction_hash.in_(some), _jobs.state.not_in(ENDS)
                )
                for row in connection.execute(query):
                    before = relied.get(row.transaction_hash, True)
                    relied[row.transaction_hash] = before and row.on_chain
        return relied

    def outlays(self, since: int) -> list[Outlay]:
        """What went into requests by transactions signed at `since` (Unix seconds) or later.

        Of the transactions of one nonce only one can be mined, so only the newest counts.
        """
        query = (
            select(
                _jobs.request_id,
                _jobs.request,
                _jobs.refusal,
                _transactions.hash,
                _transactions.gas,
                _transactions.price,
                _transactions.signed_at,
            )
            .join(schema.carried, _carried.transaction_hash == _transactions.hash)
            .join(schema.jobs, _jobs.request_id == _carried.request_id)
            .where(
                self._ours(),
                self._here(_jobs),
                _transactions.signed_at >= since,
                _transactions.state.in_(
                    (*PENDING, TransactionState.MINED, TransactionState.FAILED)
                ),
            )
        )
        with self._reading() as connection:
            rows = connection.execute(query).all()
        shared = Counter(row.hash for row in rows)
        return [
            Outlay(
                request_id=RequestId(row.request_id),
                requester=decode_request(row.request).requester,
                at=row.signed_at,
                wei=row.gas * row.price // shared[row.hash],
                refuses=row.refusal is not None,
            )
            for row in rows
        ]

    def accounts(self) -> frozenset[Address]:
        """The accounts that answer requests of this queue."""
        query = select(_accounts.account).where(self._here(_accounts))
        with self._reading() as connection:
            return frozenset(Address(account) for account in connection.scalars(query))

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

    def counts(self) -> dict[State, int]:
        """How many requests are in each state."""
        query = select(_jobs.state, func.count()).where(self._here(_jobs)).group_by(_jobs.state)
        with self._reading() as connection:
            return {State(state): count for state, count in connection.execute(query)}

    def transaction(self, transaction_hash: bytes) -> SignedAnswer | None:
        """A signed transaction by its hash."""
        query = select(schema.transactions).where(self._transaction(transaction_hash))
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _read_transaction(row)

    def transactions(self, *states: TransactionState) -> list[SignedAnswer]:
        """The account's transactions in these states, in the order of their nonces."""
        return self._transactions(_transactions.state.in_(states))

    def transactions_behind(self, state: State) -> list[SignedAnswer]:
        """The transactions that requests in this state rely on, without their bytes."""
        behind = select(_jobs.transaction_hash).where(self._here(_jobs), _jobs.state == state)
        return self._transactions(_transactions.hash.in_(behind), whole=False)

    def transactions_of_nonce(self, nonce: int) -> list[SignedAnswer]:
        """Everything the account ever signed for a nonce: at most one of them is ever mined."""
        return self._transactions(_transactions.nonce == nonce)

    def transactions_from_nonce(self, nonce: int) -> list[SignedAnswer]:
        """Everything the account ever signed for that nonce or a higher one."""
        return self._transactions(_transactions.nonce >= nonce)

    def bids_in_flight(self) -> list[SignedAnswer]:
        """As `transactions` gives those in flight, without the bytes, which are long."""
        return self._transactions(_transactions.state.in_(PENDING), whole=False)

    def count_in_flight(self) -> Counter[TransactionState]:
        """How many of the account's transactions in flight are in which state."""
        query = (
            select(_transactions.state, func.count())
            .where(self._ours(), _transactions.state.in_(PENDING))
            .group_by(_transactions.state)
        )
        with self._reading() as connection:
            return Counter({TransactionState(s): n for s, n in connection.execute(query)})

    # --- sharing the work ------------------------------------------------------------------------

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
            return [_read_job(row) for row in rows]

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
                update(schema.queues).where(self._here(_queues)).values(halted=_text(reason))
            )

    def halted(self) -> str | None:
        """Why the queue was halted; None while it runs."""
        query = select(_queues.halted).where(self._here(_queues))
        with self._reading() as connection:
            return connection.scalar(query)

    # --- following the chain ---------------------------------------------------------------------

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

    def notice(self, placed: Sequence[Placement]) -> tuple[RequestId, ...]:
        """Record requests of blocks above the cursor, which may yet be dropped, as seen.

        Requests known already are left as they are. Returns what is new.
        """
        new: list[RequestId] = []
        with self._holding(Lease.READING) as connection:
            for placement in placed:
                known = connection.execute(
                    select(_jobs.on_chain).where(self._job(placement.request_id))
                ).one_or_none()
                if known is None:
                    self._insert(connection, [placement], State.SEEN)
                    new.append(placement.request_id)
        return tuple(new)

    def supplement(
        self,
        placed: Sequence[Placement] = (),
        ended: Sequence[Ending] = (),
        dropped: Sequence[RequestId] = (),
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
            over = self._end(connection, {each.request_id: each for each in ended})
            connection.execute(
                update(schema.jobs)
                .where(self._here(_jobs), _jobs.request_id.in_(dropped))
                .values(on_chain=False)
            )
        return Advance(tuple(new), tuple(over))

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
                    transaction_hash=None if state in _UNSENT else row.transaction_hash,
                    ended_at_block=None,
                    reason="a reorganisation dropped its end",
                )
            )
        return list(dict.fromkeys(affected))

    # --- answering -------------------------------------------------------------------------------

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
                {"which": request_id, **blank, **_answer_values(answer)}
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
                update(schema.jobs).where(self._job(request_id)).values(reason=_text(reason))
            )

    def retry(self, request_id: RequestId) -> bool:
        """Have a request that waits, or whose transactions failed, tried again from the start.

        A refusal that was not sent is forgotten. False for one that ended or is in hand.
        """
        waits = and_(self._job(request_id), _jobs.state.in_(_WAITING), _jobs.reason.is_not(None))
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

    def unexplained(self) -> list[RequestId]:
        """The requests that wait for no reason on record: new ones, and those to be retried."""
        query = select(_jobs.request_id).where(
            self._here(_jobs), _jobs.state.in_(_WAITING), _jobs.reason.is_(None)
        )
        with self._reading() as connection:
            return [RequestId(request_id) for request_id in connection.scalars(query)]

    def jobs(self, *states: State) -> list[Job]:
        """The jobs in these states, the nearest deadline first."""
        query = (
            select(schema.jobs)
            .where(self._here(_jobs), _jobs.state.in_(states))
            .order_by(_jobs.deadline, _jobs.request_id)
        )
        with self._reading() as connection:
            return [_read_job(row) for row in connection.execute(query)]

    def record_signed(
        self,
        signed: SignedAnswer,
        request_ids: Sequence[RequestId],
        *,
        replaces: bytes | None = None,
    ) -> None:
        """computed -> signed: a transaction that carries the answers is on disk.

        It may be one that was dropped before: the same nonce and fees give the same bytes. With
        `replaces`, it takes the place of the pending transaction of that hash; requests that one
        carried and this one does not are computed again.

        Raises:
            ReorganisedTooDeep: the queue was halted.
            Superseded: a request ended, or another worker has it or the account.
        """
        self._record_signed({signed.hash: request_ids}, [signed], replaces)

    def record_all_signed(
        self, carrying: Sequence[tuple[SignedAnswer, Sequence[RequestId]]]
    ) -> None:
        """computed -> signed, for several transactions and the requests that each carries: all of
        them, or none.

        Raises what `record_signed` raises.
        """
        self._record_signed(
            {signed.hash: request_ids for signed, request_ids in carrying},
            [signed for signed, _ in carrying],
        )

    def _record_signed(
        self,
        carrying: Mapping[bytes, Sequence[RequestId]],
        signed: Sequence[SignedAnswer],
        replaces: bytes | None = None,
    ) -> None:
        with self._holding(Lease.SENDING) as connection:
            self._require_running(connection)
            if replaces is not None:
                self._move_transaction(connection, replaces, PENDING, TransactionState.REPLACED)
                self._release(
                    connection, _jobs.transaction_hash == replaces, "its transaction was replaced"
                )
            again = set(
                connection.scalars(
                    select(_transactions.hash).where(
                        _transactions.chain_id == self.identity.chain_id,
                        _transactions.hash.in_(carrying),
                        _transactions.state.in_(_SUPERSEDED),
                    )
                )
            )
            for transaction_hash in again:
                self._move_transaction(
                    connection, transaction_hash, _SUPERSEDED, TransactionState.SIGNED
                )
                connection.execute(
                    delete(schema.carried).where(
                        _carried.chain_id == self.identity.chain_id,
                        _carried.transaction_hash == transaction_hash,
                    )
                )
            self._insert_transactions(connection, [one for one in signed if one.hash not in again])
            rows = [
                {"which": request_id, "carrier": transaction_hash}
                for transaction_hash, request_ids in carrying.items()
                for request_id in request_ids
            ]
            if not rows:
                return
            carried = [each for request_ids in carrying.values() for each in request_ids]
            before = (State.COMPUTED, State.HELD)
            faults = self._faults(connection, carried, before, State.SIGNED)
            for fault in faults.values():
                raise fault
            connection.execute(
                update(schema.jobs)
                .where(self._here(_jobs), _jobs.request_id == bindparam("which"))
                .values(
                    state=State.SIGNED,
                    transaction_hash=bindparam("carrier"),
                    account=self.identity.account,
                    holder=self.instance,
                    held_until=0,
                    reason=None,
                ),
                rows,
            )
            connection.execute(
                insert(schema.carried).values(
                    chain_id=self.identity.chain_id,
                    transaction_hash=bindparam("carrier"),
                    request_id=bindparam("which"),
                ),
                rows,
            )

    def record_sent(self, *hashes: bytes) -> None:
        """signed -> sent: the network took these transactions."""
        with self._holding(Lease.SENDING) as connection:
            self._move_transactions(
                connection, hashes, (TransactionState.SIGNED,), TransactionState.SENT
            )
            connection.execute(
                update(schema.jobs)
                .where(
                    self._here(_jobs),
                    _jobs.transaction_hash.in_(hashes),
                    _jobs.state == State.SIGNED,
                )
                .values(state=State.SENT, reason=None)
            )

    def record_all_mined(self, mined: Sequence[Mining]) -> None:
        """signed or sent -> mined, for several transactions that passed no request over."""
        hashes = [each.transaction_hash for each in mined]
        with self._holding(Lease.SENDING) as connection:
            moved = connection.execute(
                update(schema.transactions)
                .where(
                    _transactions.chain_id == self.identity.chain_id,
                    _transactions.hash == bindparam("which"),
                    _one_of(_transactions.state, (*PENDING, *_SUPERSEDED)),
                )
                .values(
                    state=TransactionState.MINED,
                    block_number=bindparam("number"),
                    block_hash=bindparam("block"),
                    spent=bindparam("wei"),
                ),
                [
                    {
                        "which": each.transaction_hash,
                        "number": each.block_number,
                        "block": each.block_hash,
                        "wei": each.spent,
                    }
                    for each in mined
                ],
            )
            if moved.rowcount != len(mined):
                raise ValueError("not all of these transactions can become mined")
            for transaction_hash in self._with_rivals(connection, hashes):
                self._supersede_others(connection, transaction_hash)
            rows = [
                {"which": request_id, "carrier": transaction_hash}
                for transaction_hash, carried in self._carried_by_each(connection, hashes).items()
                for request_id in carried
            ]
            if rows:
                connection.execute(
                    update(schema.jobs)
                    .where(
                        self._here(_jobs),
                        _jobs.request_id == bindparam("which"),
                        _one_of(_jobs.state, _WITH_AN_ANSWER),
                    )
                    .values(state=State.MINED, transaction_hash=bindparam("carrier"), reason=None),
                    rows,
                )

    def record_mined(
        self,
        transaction_hash: bytes,
        block_number: int,
        block_hash: bytes,
        *,
        skipped: Mapping[RequestId, str] | None = None,
    ) -> None:
        """signed or sent -> mined: a block holds the transaction, and it succeeded.

        Requests it passed over are computed again, for the reason `skipped` gives. Whatever else
        was signed for its nonce can no longer be mined.
        """
        passed_over = skipped or {}
        with self._holding(Lease.SENDING) as connection:
            carried = self._use_nonce(
                connection, transaction_hash, TransactionState.MINED, block_number, block_hash
            )
            for request_id, reason in passed_over.items():
                self._release(
                    connection,
                    _jobs.request_id == request_id,
                    reason,
                    failures=_jobs.failures + 1,
                )
            connection.execute(
                update(schema.jobs)
                .where(
                    self._here(_jobs),
                    _jobs.request_id.in_(carried.difference(passed_over)),
                    _jobs.state.in_(_WITH_AN_ANSWER),
                )
                .values(state=State.MINED, transaction_hash=transaction_hash, reason=None)
            )

    def record_unmined(self, transaction_hash: bytes) -> None:
        """mined -> sent: the block that held the transaction is gone."""
        with self._holding(Lease.SENDING) as connection:
            self._unmine(connection, transaction_hash)

    def record_failed(
        self, transaction_hash: bytes, block_number: int, block_hash: bytes, reason: str
    ) -> None:
        """signed or sent -> computed: the transaction was mined and reverted."""
        with self._holding(Lease.SENDING) as connection:
            carried = self._use_nonce(
                connection, transaction_hash, TransactionState.FAILED, block_number, block_hash
            )
            self._release(
                connection, _jobs.request_id.in_(carried), reason, failures=_jobs.failures + 1
            )

    def record_dropped(self, transaction_hash: bytes, reason: str) -> None:
        """signed or sent -> computed: the transaction can no longer be mined, or was given up."""
        with self._holding(Lease.SENDING) as connection:
            self._move_transaction(connection, transaction_hash, PENDING, TransactionState.DROPPED)
            self._release(connection, _jobs.transaction_hash == transaction_hash, reason)

    # --- inside one transaction ------------------------------------------------------------------

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

    def _known(
        self, connection: Connection, request_ids: Collection[RequestId]
    ) -> dict[RequestId, State]:
        """Those of these requests that have a job, and its state."""
        known: dict[RequestId, State] = {}
        for some in _portions(list(request_ids)):
            query = select(_jobs.request_id, _jobs.state).where(
                self._here(_jobs), _jobs.request_id.in_(some)
            )
            for row in connection.execute(query):
                known[RequestId(row.request_id)] = State(row.state)
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

    def _insert_transactions(
        self, connection: Connection, transactions: Sequence[SignedAnswer]
    ) -> None:
        rows = [
            {
                "chain_id": self.identity.chain_id,
                "hash": signed.hash,
                "account": self.identity.account,
                "nonce": signed.nonce,
                "raw": signed.raw,
                "gas": signed.gas,
                "max_fee": signed.max_fee,
                "tip": signed.tip,
                "state": TransactionState.SIGNED,
                "signed_at": signed.signed_at,
                "price": signed.price,
            }
            for signed in transactions
        ]
        if rows:
            connection.execute(insert(schema.transactions), rows)

    def _carried_by(self, connection: Connection, transaction_hash: bytes) -> set[RequestId]:
        return set(self._carried_by_each(connection, [transaction_hash])[transaction_hash])

    def _carried_by_each(
        self, connection: Connection, hashes: Sequence[bytes]
    ) -> dict[bytes, frozenset[RequestId]]:
        carried: dict[bytes, set[RequestId]] = {each: set() for each in hashes}
        for some in _portions(hashes):
            query = select(_carried.transaction_hash, _carried.request_id).where(
                _carried.chain_id == self.identity.chain_id, _carried.transaction_hash.in_(some)
            )
            for row in connection.execute(query):
                carried[row.transaction_hash].add(RequestId(row.request_id))
        return {each: frozenset(request_ids) for each, request_ids in carried.items()}

    def _with_rivals(self, connection: Connection, hashes: Sequence[bytes]) -> list[bytes]:
        """Those of these transactions whose nonce others in flight have, too."""
        rival = schema.transactions.alias()
        found: list[bytes] = []
        for some in _portions(hashes):
            query = (
                select(_transactions.hash)
                .join(
                    rival,
                    and_(
                        rival.c.chain_id == _transactions.chain_id,
                        rival.c.account == _transactions.account,
                        rival.c.nonce == _transactions.nonce,
                        rival.c.hash != _transactions.hash,
                        rival.c.state.in_(PENDING),
                    ),
                )
                .where(self._ours(), _transactions.hash.in_(some))
                .distinct()
            )
            found += connection.scalars(query)
        return found

    def _use_nonce(
        self,
        connection: Connection,
        transaction_hash: bytes,
        to: TransactionState,
        block_number: int,
        block_hash: bytes,
    ) -> set[RequestId]:
        """A block holds the transaction, and so none of its nonce's others; what it carries."""
        self._move_transaction(
            connection,
            transaction_hash,
            (*PENDING, *_SUPERSEDED),
            to,
            block_number=block_number,
            block_hash=block_hash,
        )
        return self._supersede_others(connection, transaction_hash)

    def _supersede_others(self, connection: Connection, transaction_hash: bytes) -> set[RequestId]:
        carried = self._carried_by(connection, transaction_hash)
        nonce = select(_transactions.nonce).where(self._transaction(transaction_hash))
        others = and_(
            self._ours(),
            _transactions.nonce == nonce.scalar_subquery(),
            _transactions.hash != transaction_hash,
            _transactions.state.in_(PENDING),
        )
        for other in connection.scalars(select(_transactions.hash).where(others)).all():
            self._move_transaction(connection, other, PENDING, TransactionState.REPLACED)
            self._release(
                connection,
                and_(_jobs.transaction_hash == other, _jobs.request_id.not_in(carried)),
                "another transaction used its nonce",
            )
        return carried

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
                        "why": _text(endings[request_id].reason),
                        "number": endings[request_id].block_number,
                    }
                    for request_id in sorted(known)
                ],
            )
        self._settle_transactions(connection, endings.values())
        return [each for each in endings if each in known and not known[each].is_end]

    def _settle_transactions(
        self, connection: Connection, endings: Collection[Ending | Hold]
    ) -> None:
        """Those of our transactions that ended requests are mined.

        Where some of the requests that one carries have not ended, its receipt will tell.
        """
        last = {ending.transaction_hash: ending for ending in endings}
        for some in _portions(list(last)):
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

    def _unmine(self, connection: Connection, transaction_hash: bytes) -> list[RequestId]:
        connection.execute(
            update(schema.transactions)
            .where(self._transaction(transaction_hash))
            .values(state=TransactionState.SENT, block_number=None, block_hash=None, spent=None)
        )
        carried = and_(
            self._here(_jobs),
            _jobs.transaction_hash == transaction_hash,
            _jobs.state == State.MINED,
        )
        ids = [RequestId(i) for i in connection.scalars(select(_jobs.request_id).where(carried))]
        connection.execute(update(schema.jobs).where(carried).values(state=State.SENT))
        return ids

    def _release(
        self, connection: Connection, which: ColumnElement[bool], reason: str, **values: Any
    ) -> None:
        connection.execute(
            update(schema.jobs)
            .where(self._here(_jobs), which, _jobs.state.in_(_WITH_AN_ANSWER))
            .values(
                state=case((_jobs.settle_after.is_not(None), State.HELD), else_=State.COMPUTED),
                transaction_hash=None,
                account=case((_jobs.settle_after.is_not(None), _jobs.account), else_=None),
                reason=_text(reason),
                **values,
            )
        )

    def _move_transaction(
        self,
        connection: Connection,
        transaction_hash: bytes,
        before: Sequence[TransactionState],
        to: TransactionState,
        **values: Any,
    ) -> None:
        moved = connection.execute(
            update(schema.transactions)
            .where(self._transaction(transaction_hash), _transactions.state.in_(before))
            .values(state=to, **values)
        )
        if moved.rowcount != 1:
            raise ValueError(f"no transaction 0x{transaction_hash.hex()} can become {to}")

    def _move_transactions(
        self,
        connection: Connection,
        hashes: Sequence[bytes],
        before: Sequence[TransactionState],
        to: TransactionState,
    ) -> None:
        moved = connection.execute(
            update(schema.transactions)
            .where(
                _transactions.chain_id == self.identity.chain_id,
                _transactions.hash.in_(hashes),
                _transactions.state.in_(before),
            )
            .values(state=to)
        )
        if moved.rowcount != len(hashes):
            raise ValueError(f"not all of these transactions can become {to}")

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
        for some in _portions(list(request_ids)):
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

    # --- keys and connections --------------------------------------------------------------------

    def _key(self) -> dict[str, Any]:
        return {"chain_id": self.identity.chain_id, "escrow": self.identity.escrow}

    def _here(self, columns: Any) -> ColumnElement[bool]:
        return and_(
            columns.chain_id == self.identity.chain_id, columns.escrow == self.identity.escrow
        )

    def _job(self, request_id: bytes) -> ColumnElement[bool]:
        return and_(self._here(_jobs), _jobs.request_id == request_id)

    def _ours(self) -> ColumnElement[bool]:
        return and_(
            _transactions.chain_id == self.identity.chain_id,
            _transactions.account == self.identity.account,
        )

    def _transactions(
        self, which: ColumnElement[bool], *, whole: bool = True
    ) -> list[SignedAnswer]:
        columns = [
            literal(b"").label("raw") if column is _transactions.raw and not whole else column
            for column in _transactions
        ]
        query = (
            select(*columns)
            .where(self._ours(), which)
            .order_by(_transactions.nonce, _transactions.max_fee)
        )
        with self._reading() as connection:
            return [_read_transaction(row) for row in connection.execute(query)]

    def _transaction(self, transaction_hash: bytes) -> ColumnElement[bool]:
        return and_(
            _transactions.chain_id == self.identity.chain_id,
            _transactions.hash == transaction_hash,
        )

    def _workable(self) -> ColumnElement[bool]:
        """Jobs for this account that no other worker holds."""
        account = self.identity.account
        return and_(
            or_(_jobs.worker.is_(None), _jobs.worker == account),
            or_(_jobs.account.is_(None), _jobs.account == account),
            or_(_jobs.holder == self.instance, _jobs.held_until <= self._now),
        )

    def _lease_end(self) -> ColumnElement[float] | float:
        return self._now + self.lease if self.shared else 0.0

    def _leased(self, lease: Lease) -> ColumnElement[bool]:
        if lease is Lease.READING:
            return self._here(_queues)
        return and_(self._here(_accounts), _accounts.account == self.identity.account)

    def _holds(self, connection: Connection, lease: Lease) -> bool:
        _, holder, _ = _LEASES[lease]
        query = select(holder).where(self._leased(lease)).with_for_update()
        return connection.scalar(query) == self.instance

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

    def _require_running(self, connection: Connection) -> None:
        reason = connection.scalar(select(_queues.halted).where(self._here(_queues)))
        if reason is not None:
            raise ReorganisedTooDeep(reason)

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def _holding(self, lease: Lease) -> Iterator[Connection]:
        """Write what only the holder of a lease may, and who took it over meanwhile has not."""
        with self._writing() as connection:
            if not self._holds(connection, lease):
                raise Superseded(f"Another worker is {lease.value}.")
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with unavailable_on_failure(self.place), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with unavailable_on_failure(self.place), self._engine.begin() as connection:
            yield connection


def _make_private(file: Path) -> None:
    """Make sure of the file, readable by its user only: inputs are in it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise JournalUnavailable(f"The journal {file} cannot be made: {error.strerror}.") from error


def _text(words: str | None) -> str | None:
    """Words of whatever origin, as every database takes them."""
    if words is None:
        return None
    return (
        words.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
    )


def _answer_values(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Fulfilment):
        return {
            "output": answer.output,
            "commitment": answer.commitment,
            "result_salt": answer.result_salt,
        }
    return {"refusal": int(answer.reason), "refusal_detail": _text(answer.detail)}


def _one_of(column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """`column.in_(values)`, for a statement that runs once for each of many rows."""
    return or_(*(column == value for value in values))


def _portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(values), _ROWS_AT_ONCE):
        yield values[first : first + _ROWS_AT_ONCE]


def _read_job(row: Row[Any]) -> Job:
    answer: Answer | None = None
    if row.commitment is not None:
        answer = Fulfilment(
            output=row.output, commitment=row.commitment, result_salt=row.result_salt
        )
    elif row.refusal is not None:
        answer = Refusal(reason=RefusalReason(row.refusal), detail=row.refusal_detail)
    return Job(
        placement=Placement(
            request_id=RequestId(row.request_id),
            offer=decode_offer(row.offer),
            request=decode_request(row.request),
            input=row.input,
            block_number=row.block_number,
            block_hash=row.block_hash,
        ),
        state=State(row.state),
        reason=row.reason,
        on_chain=row.on_chain,
        answer=answer,
        transaction_hash=row.transaction_hash,
        failures=row.failures,
        attempts=row.attempts,
        settle_after=row.settle_after,
        bond=int(row.bond or 0),
    )


def _read_transaction(row: Row[Any]) -> SignedAnswer:
    return SignedAnswer(
        hash=row.hash,
        raw=row.raw,
        nonce=row.nonce,
        gas=row.gas,
        max_fee=row.max_fee,
        tip=row.tip,
        state=TransactionState(row.state),
        block_number=row.block_number,
        block_hash=row.block_hash,
        signed_at=row.signed_at,
        price=row.price,
    )
