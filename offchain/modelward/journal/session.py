"""Opens a journal, and picks the rows in it that belong to the worker's queue and account."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Engine, and_, or_

from modelward.errors import JournalUnavailable
from modelward.journal import schema
from modelward.journal.database import clock, locate, open_engine, reading, unavailable_on_failure
from modelward.journal.leases import LEASE_SECONDS, new_instance
from modelward.journal.lock import JournalLock
from modelward.journal.migrations import migrate
from modelward.journal.records import Identity
from modelward.journal.registration import register, take_everything

_jobs = schema.jobs.c
_transactions = schema.transactions.c


class Session:
    """A database that one worker has opened, for one queue and one account."""

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

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with unavailable_on_failure(self.place), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with unavailable_on_failure(self.place), self._engine.begin() as connection:
            yield connection

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


def _make_private(file: Path) -> None:
    """Make sure of the file, readable by its user only: inputs are in it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise JournalUnavailable(f"The journal {file} cannot be made: {error.strerror}.") from error
