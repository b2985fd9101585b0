"""The journal itself."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from modelward.errors import JournalUnavailable, ReorganisedTooDeep, Superseded
from modelward.journal import schema
from modelward.journal.database import clock, locate, open_engine, unavailable_on_failure
from modelward.journal.encoding import decode_offer, decode_request, encode_offer, encode_request
from modelward.journal.leases import LEASE_SECONDS, Heartbeat, Lease, new_instance
from modelward.journal.lock import JournalLock
from modelward.journal.migrations import migrate
from modelward.journal.records import (
    Advance,
    Answer,
    Checkpoint,
    Ending,
    Fulfilment,
    Identity,
    Job,
    Outlay,
    Placement,
    Refusal,
    SignedAnswer,
)
from modelward.journal.registration import register, take_everything
from modelward.journal.states import ENDS, PENDING, State, TransactionState
from modelward.terms import ZERO_ADDRESS, Address, RefusalReason, RequestId

KEPT_CHECKPOINTS = 128
"""How many checkpoints below the cursor are kept to find a common ancestor by."""

_jobs = schema.jobs.c
_checkpoints = schema.checkpoints.c
_transactions = schema.transactions.c
_carried = schema.carried.c
_queues = schema.queues.c
_accounts = schema.identity.c

_LEASES = {
    Lease.READING: (schema.queues, _queues.reader, _queues.reader_until),
    Lease.SENDING: (schema.identity, _accounts.sender, _accounts.sender_until),
}

_SUPERSEDED = (TransactionState.REPLACED, TransactionState.DROPPED)
_UNSENT = (State.CONFIRMED, State.COMPUTED)
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

    def jobs_of(self, transaction_hash: bytes) -> list[Job]:
        """The jobs whose answers a transaction carries."""
        query = select(schema.jobs).where(
            self._here(_jobs), _jobs.transaction_hash == transaction_hash
        )
        with self._reading() as connection:
            return [_read_job(row) for row in connection.execute(query)]

    def carried_by(self, transaction_hash: bytes) -> frozenset[RequestId]:
        """The requests a transaction carries, whatever else carries them by now."""
        with self._reading() as connection:
            return frozenset(self._carried_by(connection, transaction_hash))

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
        """The transactions that requests in this state rely on."""
        behind = select(_jobs.transaction_hash).where(self._here(_jobs), _jobs.state == state)
        return self._transactions(_transactions.hash.in_(behind))

    def transactions_of_nonce(self, nonce: int) -> list[SignedAnswer]:
        """Everything the account ever signed for a nonce: at most one of them is ever mined."""
        return self._transactions(_transactions.nonce == nonce)

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
            for placement in placed:
                if not self._anchor(connection, placement) and placement.request_id not in endings:
                    self._insert(connection, placement, State.CONFIRMED)
                    new.append(placement.request_id)
                if placement.request_id in noticed:
                    new.append(placement.request_id)
            connection.execute(
                update(schema.jobs)
                .where(
                    self._here(_jobs),
                    _jobs.state == State.SEEN,
                    _jobs.block_number <= to.number,
                )
                .values(on_chain=False)
            )
            over += [id_ for id_, ending in endings.items() if self._end(connection, ending)]
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
                    self._insert(connection, placement, State.SEEN)
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
            for placement in placed:
                if not self._anchor(connection, placement):
                    self._insert(connection, placement, State.CONFIRMED)
                    new.append(placement.request_id)
            over = [each.request_id for each in ended if self._end(connection, each)]
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
        after = to.number
        touched = select(_jobs.request_id).where(
            self._here(_jobs), (_jobs.block_number > after) | (_jobs.ended_at_block > after)
        )
        unmined = select(_transactions.hash).where(
            _transactions.chain_id == self.identity.chain_id, _transactions.block_number > after
        )
        with self._holding(Lease.READING) as connection:
            affected = [RequestId(request_id) for request_id in connection.scalars(touched)]
            hashes = list(connection.scalars(unmined))
            connection.execute(
                delete(schema.checkpoints).where(
                    self._here(_checkpoints), _checkpoints.number > after
                )
            )
            connection.execute(
                update(schema.jobs)
                .where(self._here(_jobs), _jobs.block_number > after)
                .values(on_chain=False)
            )
            for transaction_hash in hashes:
                affected += self._unmine(connection, transaction_hash)
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
        values: dict[str, Any] = {"state": State.COMPUTED, "reason": None}
        if isinstance(answer, Fulfilment):
            values |= {
                "output": answer.output,
                "commitment": answer.commitment,
                "result_salt": answer.result_salt,
            }
        else:
            values |= {"refusal": int(answer.reason), "refusal_detail": _text(answer.detail)}
        with self._writing() as connection:
            kept = self._lease_end() if self._holds(connection, Lease.SENDING) else 0
            self._step(
                connection,
                request_id,
                (State.CONFIRMED, State.COMPUTING),
                values | {"holder": self.instance, "held_until": kept},
            )

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
        waits = and_(self._job(request_id), _jobs.state.in_(_UNSENT), _jobs.reason.is_not(None))
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
            self._here(_jobs), _jobs.state.in_(_UNSENT), _jobs.reason.is_(None)
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
        with self._holding(Lease.SENDING) as connection:
            self._require_running(connection)
            if replaces is not None:
                self._move_transaction(connection, replaces, PENDING, TransactionState.REPLACED)
                self._release(
                    connection, _jobs.transaction_hash == replaces, "its transaction was replaced"
                )
            again = connection.execute(
                update(schema.transactions)
                .where(
                    self._transaction(signed.hash),
                    _transactions.state.in_(_SUPERSEDED),
                )
                .values(state=TransactionState.SIGNED)
            )
            if again.rowcount == 0:
                self._insert_transaction(connection, signed)
            connection.execute(
                delete(schema.carried).where(
                    _carried.chain_id == self.identity.chain_id,
                    _carried.transaction_hash == signed.hash,
                )
            )
            for request_id in request_ids:
                self._step(
                    connection,
                    request_id,
                    (State.COMPUTED,),
                    {
                        "state": State.SIGNED,
                        "transaction_hash": signed.hash,
                        "account": self.identity.account,
                        "holder": self.instance,
                        "held_until": 0,
                        "reason": None,
                    },
                )
                connection.execute(
                    insert(schema.carried).values(
                        chain_id=self.identity.chain_id,
                        transaction_hash=signed.hash,
                        request_id=request_id,
                    )
                )

    def record_sent(self, transaction_hash: bytes) -> None:
        """signed -> sent: the network took the transaction."""
        with self._holding(Lease.SENDING) as connection:
            self._move_transaction(
                connection, transaction_hash, (TransactionState.SIGNED,), TransactionState.SENT
            )
            self._move_jobs(connection, transaction_hash, (State.SIGNED,), State.SENT)

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

    def _anchor(self, connection: Connection, placement: Placement) -> bool:
        known = connection.execute(
            update(schema.jobs)
            .where(self._job(placement.request_id))
            .values(
                on_chain=True,
                block_number=placement.block_number,
                block_hash=placement.block_hash,
                state=case((_jobs.state == State.SEEN, State.CONFIRMED), else_=_jobs.state),
            )
        )
        return known.rowcount == 1

    def _noticed(self, connection: Connection) -> set[RequestId]:
        query = select(_jobs.request_id).where(self._here(_jobs), _jobs.state == State.SEEN)
        return {RequestId(request_id) for request_id in connection.scalars(query)}

    def _insert(self, connection: Connection, placement: Placement, state: State) -> None:
        named = placement.request.worker
        connection.execute(
            insert(schema.jobs).values(
                **self._key(),
                request_id=placement.request_id,
                state=state,
                offer=encode_offer(placement.offer),
                request=encode_request(placement.request),
                input=placement.input,
                deadline=placement.request.deadline,
                block_number=placement.block_number,
                block_hash=placement.block_hash,
                on_chain=True,
                failures=0,
                worker=None if named == ZERO_ADDRESS else named,
                attempts=0,
                held_until=0,
            )
        )

    def _insert_transaction(self, connection: Connection, signed: SignedAnswer) -> None:
        connection.execute(
            insert(schema.transactions).values(
                chain_id=self.identity.chain_id,
                hash=signed.hash,
                account=self.identity.account,
                nonce=signed.nonce,
                raw=signed.raw,
                gas=signed.gas,
                max_fee=signed.max_fee,
                tip=signed.tip,
                state=TransactionState.SIGNED,
                signed_at=signed.signed_at,
                price=signed.price,
            )
        )

    def _carried_by(self, connection: Connection, transaction_hash: bytes) -> set[RequestId]:
        query = select(_carried.request_id).where(
            _carried.chain_id == self.identity.chain_id,
            _carried.transaction_hash == transaction_hash,
        )
        return {RequestId(request_id) for request_id in connection.scalars(query)}

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

    def _end(self, connection: Connection, ending: Ending) -> bool:
        if ending.state not in ENDS:
            raise ValueError(f"{ending.state} is no end")
        known = connection.execute(
            update(schema.jobs)
            .where(self._job(ending.request_id))
            .values(
                state=ending.state,
                reason=_text(ending.reason),
                ended_at_block=ending.block_number,
                held_until=0,
            )
        )
        waiting = select(_jobs.request_id).where(
            self._here(_jobs),
            _jobs.transaction_hash == ending.transaction_hash,
            _jobs.state.in_((State.SIGNED, State.SENT)),
        )
        settled = connection.execute(  # others may have been passed over: the receipt tells
            update(schema.transactions)
            .where(self._transaction(ending.transaction_hash), ~exists(waiting))
            .values(
                state=TransactionState.MINED,
                block_number=ending.block_number,
                block_hash=ending.block_hash,
            )
        )
        if settled.rowcount:
            self._supersede_others(connection, ending.transaction_hash)
        return known.rowcount == 1

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

    def _resting_state(self, connection: Connection, row: Row[Any]) -> State:
        if row.transaction_hash is not None:
            state = connection.scalar(
                select(_transactions.state).where(self._transaction(row.transaction_hash))
            )
            if state in (*PENDING, TransactionState.MINED):
                return State(str(state))
        answered = row.commitment is not None or row.refusal is not None
        return State.COMPUTED if answered else State.CONFIRMED

    def _unmine(self, connection: Connection, transaction_hash: bytes) -> list[RequestId]:
        connection.execute(
            update(schema.transactions)
            .where(self._transaction(transaction_hash))
            .values(state=TransactionState.SENT, block_number=None, block_hash=None)
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
                state=State.COMPUTED,
                transaction_hash=None,
                account=None,
                reason=_text(reason),
                **values,
            )
        )

    def _move_jobs(
        self, connection: Connection, transaction_hash: bytes, before: Sequence[State], to: State
    ) -> None:
        connection.execute(
            update(schema.jobs)
            .where(
                self._here(_jobs),
                _jobs.transaction_hash == transaction_hash,
                _jobs.state.in_(before),
            )
            .values(state=to, reason=None)
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

    def _step(
        self,
        connection: Connection,
        request_id: RequestId,
        before: Sequence[State],
        values: dict[str, Any],
    ) -> None:
        which = self._job(request_id)
        moved = connection.execute(
            update(schema.jobs)
            .where(which, _jobs.state.in_(before), self._workable())
            .values(**values)
        )
        if moved.rowcount == 1:
            return
        found = connection.execute(
            select(_jobs.state, _jobs.holder, _jobs.reason).where(which)
        ).one_or_none()
        if found is not None and found.state in ENDS:
            raise Superseded(f"The request 0x{request_id.hex()[:8]}… has ended: {found.state}.")
        if found is not None and found.holder not in (None, self.instance):
            raise Superseded(
                f"Another worker has taken over the request 0x{request_id.hex()[:8]}…."
            )
        raise ValueError(f"no such request can become {values['state']}")

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

    def _transactions(self, which: ColumnElement[bool]) -> list[SignedAnswer]:
        query = (
            select(schema.transactions)
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
        with unavailable_on_failure(self.place), self._engine.connect() as connection:
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
