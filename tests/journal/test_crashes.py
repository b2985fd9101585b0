"""Whatever the chain does and whenever the process dies, journal and chain tell the same story.

At a statement of the machine's choice, or right after the commit, the database's files are copied
as a killed process would leave them; the copy must open, and hold all of the step or nothing of it.
In PostgreSQL, the server ends the connection at that statement.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event, select

from modelward.errors import JournalUnavailable
from modelward.journal import (
    Answer,
    Checkpoint,
    Ending,
    Journal,
    Lease,
    Placement,
    Refusal,
    State,
    TransactionState,
)
from modelward.journal.database import locate, open_engine
from modelward.journal.schema import metadata
from modelward.journal.states import ENDS, PENDING
from modelward.terms import RefusalReason, RequestId
from tests.postgres import PostgresServer

from .specimens import IDENTITY, block, ending, fulfilment, place, signed

MOMENTS = st.integers(0, 12)
LONG = 100_000
MEMORY = Path("/dev/shm")
"""Where flushing, which every commit does, costs nothing."""


@dataclass
class Block:
    """A block of the made-up chain, and what it says."""

    header: Checkpoint
    placed: list[Placement] = field(default_factory=list)
    ended: list[Ending] = field(default_factory=list)


def everything(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    with closing(sqlite3.connect(file)) as connection:
        return {
            name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr)
            for name in metadata.tables
        }


class JournalMachine(RuleBasedStateMachine):
    """A chain that grows and is reorganised, and a journal that follows it and answers."""

    def __init__(self) -> None:
        super().__init__()
        self.set_up()
        self.journal = self.reopened()
        self.chain: list[Block] = []
        self.branches = 0
        self.tags = 0
        self.nonce = 0
        self.answers: dict[RequestId, Answer] = {}
        self.raw: dict[bytes, bytes] = {}

    def set_up(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.file = self.directory / "journal.sqlite"

    def reopened(self) -> Journal:
        return Journal(self.file, IDENTITY)

    def teardown(self) -> None:
        self.journal.close()
        shutil.rmtree(self.directory)

    # --- the chain -------------------------------------------------------------------------------

    def append(self, placed: list[Placement]) -> Block:
        header = block(len(self.chain), str(self.branches))
        moved = [
            Placement(p.request_id, p.offer, p.request, p.input, header.number, header.hash)
            for p in placed
        ]
        self.chain.append(Block(header, moved))
        return self.chain[-1]

    def open_on_chain(self) -> list[Placement]:
        """Requests of the chain that no block of it has ended."""
        over = {e.request_id for b in self.chain for e in b.ended}
        return [p for b in self.chain for p in b.placed if p.request_id not in over]

    @initialize()
    def genesis(self) -> None:
        self.append([])

    @rule(requests=st.integers(0, 2), moment=MOMENTS, read=st.booleans())
    def mine_requests(self, requests: int, moment: int, read: bool) -> None:
        at = block(len(self.chain), str(self.branches))
        self.tags += requests
        self.append([place(self.tags - i, at, LONG) for i in range(requests)])
        if read:
            self.follow(len(self.chain) - 1, moment)

    @precondition(lambda self: self.open_on_chain())
    @rule(data=st.data(), state=st.sampled_from([State.LOST, State.EXPIRED]), moment=MOMENTS)
    def somebody_ends_a_request(self, data: st.DataObject, state: State, moment: int) -> None:
        request = data.draw(st.sampled_from(self.open_on_chain()))
        self.follow(len(self.chain) - 1, moment)
        there = self.append([])
        there.ended.append(ending(request, there.header, state))
        self.follow(len(self.chain) - 1, moment)

    @precondition(lambda self: self.sent_and_open())
    @rule(data=st.data(), moment=MOMENTS, read=st.booleans())
    def our_transaction_is_mined(self, data: st.DataObject, moment: int, read: bool) -> None:
        request_id, transaction_hash = data.draw(st.sampled_from(self.sent_and_open()))
        request = next(p for p in self.open_on_chain() if p.request_id == request_id)
        there = self.append([])
        there.ended.append(ending(request, there.header, State.FINAL, transaction_hash))
        if read:
            self.follow(len(self.chain) - 1, moment)

    def sent_and_open(self) -> list[tuple[RequestId, bytes]]:
        still_open = {p.request_id for p in self.open_on_chain()}
        return [
            (job.request_id, transaction.hash)
            for transaction in self.journal.transactions(TransactionState.SENT)
            for job in self.journal.jobs_of(transaction.hash)
            if job.request_id in still_open and not job.state.is_end
        ]

    @precondition(lambda self: len(self.chain) > 1)
    @rule(data=st.data(), moment=MOMENTS, read=st.booleans())
    def reorganise(self, data: st.DataObject, moment: int, read: bool) -> None:
        depth = data.draw(st.integers(1, min(4, len(self.chain) - 1)))
        dropped = [p for b in self.chain[-depth:] for p in b.placed]
        kept = [p for p in dropped if data.draw(st.booleans())]
        del self.chain[-depth:]
        self.branches += 1
        for number in range(depth):
            self.append(kept if number == depth - 1 else [])
        if read:
            self.follow(len(self.chain) - 1, moment)

    # --- the worker ------------------------------------------------------------------------------

    def perform(self, step: Callable[[], object], moment: int) -> None:
        """Take a step, and look at what a process killed at that moment of it leaves behind."""
        before = everything(self.file)
        left = self.directory / "left"
        seen = 0

        def copy(*_: object) -> None:
            nonlocal seen
            if seen == moment:
                self.copy_to(left)
            seen += 1

        engine = self.journal._engine
        event.listen(engine, "before_cursor_execute", copy)
        try:
            step()
        finally:
            event.remove(engine, "before_cursor_execute", copy)
        after = everything(self.file)
        if seen > moment:
            assert everything(left / self.file.name) == before
        self.copy_to(left)
        assert everything(left / self.file.name) == after

    def copy_to(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for suffix in ("", "-wal"):
            source = self.file.with_name(self.file.name + suffix)
            if source.exists():
                shutil.copy(source, directory)

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal = self.reopened()

    @rule(data=st.data(), moment=MOMENTS)
    def read(self, data: st.DataObject, moment: int) -> None:
        self.follow(data.draw(st.integers(0, len(self.chain) - 1)), moment)

    def follow(self, last: int, moment: int) -> None:
        """Read up to block `last`, going back to the common ancestor first, as intake does."""
        checkpoints = self.journal.checkpoints()
        common = next(
            (
                c
                for c in checkpoints
                if c.number < len(self.chain) and self.chain[c.number].header == c
            ),
            None,
        )
        if checkpoints and common is None:
            return  # reorganised below all that is remembered; the worker halts here
        if common is not None and common != checkpoints[0]:
            target = common
            self.perform(lambda: self.journal.rewind(target), moment)
        first = 0 if common is None else common.number + 1
        part = self.chain[first : last + 1]
        if part:
            self.perform(
                lambda: self.journal.advance(
                    first,
                    part[-1].header,
                    placed=[p for b in part for p in b.placed],
                    ended=[e for b in part for e in b.ended],
                ),
                moment,
            )

    @precondition(lambda self: self.journal.job_ids(State.CONFIRMED))
    @rule(moment=MOMENTS, release=st.booleans())
    def begin_to_compute(self, moment: int, release: bool) -> None:
        request_ids = self.journal.job_ids(State.CONFIRMED)
        self.perform(lambda: self.journal.claim(request_ids), moment)
        assert set(request_ids) <= set(self.journal.job_ids(State.COMPUTING))
        if release:
            self.perform(lambda: self.journal.release(request_ids), moment)
            assert set(self.journal.job_ids(State.CONFIRMED)) == set(request_ids)

    @precondition(lambda self: self.journal.job_ids(State.CONFIRMED, State.COMPUTING))
    @rule(data=st.data(), moment=MOMENTS, refuse=st.booleans())
    def answer(self, data: st.DataObject, moment: int, refuse: bool) -> None:
        unanswered = self.journal.job_ids(State.CONFIRMED, State.COMPUTING)
        request_id = data.draw(st.sampled_from(unanswered))
        job = self.journal.job(request_id)
        assert job is not None
        answer: Answer = fulfilment(job.placement)
        if refuse:
            answer = Refusal(RefusalReason.PREDICTION_FAILED, "it crashed")
        self.perform(lambda: self.journal.record_answer(request_id, answer), moment)
        assert self.answers.setdefault(request_id, answer) == answer

    @precondition(lambda self: self.journal.job_ids(State.COMPUTED))
    @rule(data=st.data(), moment=MOMENTS)
    def sign(self, data: st.DataObject, moment: int) -> None:
        request_id = data.draw(st.sampled_from(self.journal.job_ids(State.COMPUTED)))
        transaction = signed(self.nonce)
        self.nonce += 1
        self.perform(lambda: self.journal.record_signed(transaction, [request_id]), moment)
        self.raw[transaction.hash] = transaction.raw

    @precondition(lambda self: self.journal.transactions(TransactionState.SIGNED))
    @rule(moment=MOMENTS)
    def send(self, moment: int) -> None:
        transaction = self.journal.transactions(TransactionState.SIGNED)[0]
        self.perform(lambda: self.journal.record_sent(transaction.hash), moment)

    @precondition(lambda self: self.journal.transactions(*PENDING))
    @rule(data=st.data(), moment=MOMENTS, fate=st.sampled_from(["mined", "failed", "dropped"]))
    def learn_of_a_transaction(self, data: st.DataObject, moment: int, fate: str) -> None:
        pending = self.journal.transactions(*PENDING)
        hash_ = data.draw(st.sampled_from([transaction.hash for transaction in pending]))
        head = self.chain[-1].header
        steps: dict[str, Callable[[], None]] = {
            "mined": lambda: self.journal.record_mined(hash_, head.number, head.hash),
            "failed": lambda: self.journal.record_failed(hash_, head.number, head.hash, "why"),
            "dropped": lambda: self.journal.record_dropped(hash_, "why"),
        }
        self.perform(steps[fate], moment)

    # --- what always holds -----------------------------------------------------------------------

    @invariant()
    def the_journal_holds_what_the_blocks_up_to_its_cursor_say(self) -> None:
        cursor = self.journal.cursor()
        if cursor is None or cursor.number >= len(self.chain):
            return
        if self.chain[cursor.number].header != cursor:
            return  # reorganised, and not yet read
        read = self.chain[: cursor.number + 1]
        over = {e.request_id: e.state for b in read for e in b.ended}
        for placement in (p for b in read for p in b.placed):
            job = self.journal.job(placement.request_id)
            if job is None:
                assert placement.request_id in over
                continue
            assert job.on_chain
            assert job.placement == placement
            if placement.request_id in over:
                assert job.state is over[placement.request_id]
            else:
                assert job.state not in ENDS
        placed = {p.request_id for b in read for p in b.placed}
        for state in State:
            assert set(self.journal.job_ids(state)) <= placed

    @invariant()
    def a_state_says_what_is_on_disk(self) -> None:
        for state in (State.COMPUTED, State.SIGNED, State.SENT, State.MINED):
            for request_id in self.journal.job_ids(state):
                job = self.journal.job(request_id)
                assert job is not None
                assert job.answer == self.answers[request_id]
                if state is State.COMPUTED:
                    assert job.transaction_hash is None
                    continue
                assert job.transaction_hash is not None
                transaction = self.journal.transaction(job.transaction_hash)
                assert transaction is not None
                assert transaction.state == TransactionState(state)

    @invariant()
    def nothing_signed_is_ever_lost(self) -> None:
        kept = {t.hash: t.raw for t in self.journal.transactions(*TransactionState)}
        assert kept == self.raw


class SharedJournalMachine(JournalMachine):
    """The same in PostgreSQL, whose server may end the connection at any statement."""

    server: PostgresServer

    def set_up(self) -> None:
        self.queue = self.server.new_database()
        self.inspector = open_engine(locate(self.queue))

    def reopened(self) -> Journal:
        journal = Journal(self.queue, IDENTITY)
        for lease in Lease:
            assert journal.hold(lease)
        return journal

    def teardown(self) -> None:
        self.journal.close()
        self.inspector.dispose()

    def rows(self) -> dict[str, list[Any]]:
        """All rows of all tables, without the ends of leases."""
        with self.inspector.connect() as connection:
            return {
                table.name: sorted(
                    map(
                        tuple,
                        connection.execute(
                            select(*(c for c in table.columns if not c.name.endswith("until")))
                        ),
                    ),
                    key=repr,
                )
                for table in metadata.sorted_tables
            }

    def perform(self, step: Callable[[], object], moment: int) -> None:
        """Take a step that is cut off at that moment, and take it once more."""
        before = self.rows()
        seen = 0

        def cut_off(connection: Any, *_: object) -> None:
            nonlocal seen
            if seen == moment:
                pid = connection.connection.dbapi_connection.info.backend_pid
                with self.inspector.connect() as other:
                    other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
            seen += 1

        engine = self.journal._engine
        event.listen(engine, "before_cursor_execute", cut_off)
        try:
            step()
        except JournalUnavailable:
            assert seen > moment
        else:
            assert seen <= moment
        finally:
            event.remove(engine, "before_cursor_execute", cut_off)
        if seen > moment:
            assert self.rows() == before
            step()


def test_a_connection_that_is_cut_off_leaves_all_of_a_step_or_nothing(postgres):
    SharedJournalMachine.server = postgres
    run_state_machine_as_test(
        SharedJournalMachine,
        settings=settings(max_examples=5, stateful_step_count=25, deadline=None),
    )


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=25, stateful_step_count=35, deadline=None)
