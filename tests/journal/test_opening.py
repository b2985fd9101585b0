"""Whose journal it is, who may open it, and what is not a journal."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from eth_utils.crypto import keccak
from sqlalchemy import MetaData

from modelward.errors import (
    ConfigurationError,
    JournalInUse,
    JournalUnavailable,
    WrongChain,
    WrongJournal,
)
from modelward.journal import Journal, Lease, State, default_path
from modelward.journal.database import locate, open_engine
from modelward.journal.encoding import encode_offer, encode_request
from modelward.journal.migrations import STEPS, migrate
from modelward.journal.schema import metadata

from .specimens import ESCROW, IDENTITY, OWNER, REQUESTER, WORKER, block
from .specimens import place as place_request


def test_what_was_written_is_there_when_it_is_opened_again(place, open_journal):
    with open_journal(place) as journal:
        journal.advance(0, block(5))

    with open_journal(place) as journal:
        assert journal.cursor() == block(5)


def test_a_sqlite_url_names_the_same_file_as_its_path(file):
    with Journal(f"sqlite:///{file}", IDENTITY) as journal:
        assert journal.file == file


@pytest.mark.parametrize(
    "place", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "x://", "postgresql://host"]
)
def test_a_url_that_holds_no_journal_is_bad_input(place):
    with pytest.raises(ConfigurationError):
        Journal(place, IDENTITY)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"chain_id": 1}, WrongChain),
        ({"genesis_hash": keccak(b"another")}, WrongChain),
        ({"escrow": OWNER}, WrongChain),
        ({"account": REQUESTER}, WrongJournal),
    ],
)
def test_a_journal_of_another_chain_escrow_or_account_is_refused(file, changes, error):
    Journal(file, IDENTITY).close()

    with pytest.raises(error, match=str(file)):
        Journal(file, replace(IDENTITY, **changes))

    Journal(file, IDENTITY).close()


@pytest.mark.parametrize("genesis", [keccak(b"another")])
def test_a_shared_database_keeps_chains_of_one_id_apart(queue, genesis):
    Journal(queue, IDENTITY).close()

    with pytest.raises(WrongChain, match="genesis"):
        Journal(queue, replace(IDENTITY, genesis_hash=genesis, escrow=OWNER))


def test_a_shared_database_holds_queues_of_several_chains_and_escrows(queue, open_journal):
    other_chain = replace(IDENTITY, chain_id=1, genesis_hash=keccak(b"another"))
    journals = [
        open_journal(queue, identity)
        for identity in (IDENTITY, other_chain, replace(IDENTITY, escrow=OWNER))
    ]
    for number, journal in enumerate(journals):
        journal.advance(0, block(number), placed=[place_request(number, block(number))])

    for number, journal in enumerate(journals):
        assert journal.cursor() == block(number)
        assert journal.counts() == {State.CONFIRMED: 1}


def test_the_password_of_a_database_is_never_shown():
    with pytest.raises(JournalUnavailable) as unreachable:
        Journal("postgresql://worker:hunter2@127.0.0.1:9/journal", IDENTITY)
    assert "127.0.0.1" in unreachable.value.message
    assert "hunter2" not in unreachable.value.message


def test_without_the_driver_a_database_is_refused_with_a_hint(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError) as refused:
        Journal("postgresql://127.0.0.1:9/journal", IDENTITY)
    assert "modelward[postgres]" in str(refused.value.hint)


def test_a_database_answers_only_once_a_commit_is_on_disk(queue):
    Journal(queue, IDENTITY).close()
    with open_engine(locate(queue)).connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_the_usual_place_differs_by_chain_genesis_escrow_and_account(tmp_path):
    others = [
        replace(IDENTITY, chain_id=1),
        replace(IDENTITY, genesis_hash=keccak(b"another")),
        replace(IDENTITY, escrow=OWNER),
        replace(IDENTITY, account=OWNER),
    ]
    places = {default_path(tmp_path, identity) for identity in (IDENTITY, *others)}
    assert len(places) == 5


def test_only_its_user_can_read_it(file):
    with Journal(file, IDENTITY) as journal:
        journal.advance(0, block(0))
        modes = {stat.S_IMODE(path.stat().st_mode) for path in file.parent.glob("journal.sqlite*")}
    assert modes == {0o600}


def test_every_commit_reaches_the_disk_before_it_returns(file):
    Journal(file, IDENTITY).close()
    with open_engine(locate(file)).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


# --- one process at a time -----------------------------------------------------------------------

HOLDER = """
import sys, time
from tests.journal.specimens import IDENTITY
from modelward.journal import Journal
journal = Journal(sys.argv[1], IDENTITY)
print("open", flush=True)
time.sleep(60)
"""


def test_a_second_process_is_refused_and_told_which_one_has_it(file, repository):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=repository,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(JournalInUse, match=f"in use by the process {holder.pid}") as refused:
            Journal(file, IDENTITY)
        assert refused.value.exit_code == 4
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()

    Journal(file, IDENTITY).close()  # what is killed holds nothing


@pytest.fixture
def opened(file, open_journal):
    return open_journal(file)


def test_a_second_journal_in_one_process_is_refused_too(opened, file):
    with pytest.raises(JournalInUse):
        Journal(file, IDENTITY)


def test_a_refused_opening_leaves_the_first_one_working(opened, file):
    with pytest.raises(JournalInUse):
        Journal(file, IDENTITY)
    opened.advance(0, block(1))
    assert opened.cursor() == block(1)


# --- what is not a journal -----------------------------------------------------------------------


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(file):
    file.write_bytes(b"my diary" * 1000)
    with pytest.raises(JournalUnavailable, match="not a database"):
        Journal(file, IDENTITY)
    assert file.read_bytes() == b"my diary" * 1000


def test_a_directory_that_cannot_be_made_is_said_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnavailable, match="cannot be made"):
        Journal(tmp_path / "file" / "journal.sqlite", IDENTITY)


def test_a_database_that_fails_is_told_from_a_defect(journal):
    with open_engine(journal.place).begin() as connection:
        connection.exec_driver_sql("DROP TABLE jobs")
    with pytest.raises(JournalUnavailable, match=r"no such table|does not exist"):
        journal.counts()


# --- migrations ----------------------------------------------------------------------------------


def shape(tables: MetaData):
    return {
        table.name: {(column.name, column.nullable, column.primary_key) for column in table.columns}
        for table in tables.sorted_tables
    }


def test_the_migrations_arrive_at_the_schema_the_code_uses(journal):
    found = MetaData()
    found.reflect(open_engine(journal.place))
    assert shape(found) == shape(metadata)


@pytest.fixture
def engine(place):
    """The database of a journal that has read up to block 3."""
    with Journal(place, IDENTITY) as journal:
        for lease in Lease:
            journal.hold(lease)
        journal.advance(0, block(3))
    return open_engine(locate(place))


def test_a_new_step_is_applied_once_and_keeps_what_is_there(engine):
    steps = (*STEPS, ("CREATE TABLE extra (a INTEGER)",))

    migrate(engine, steps)
    migrate(engine, steps)

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM extra").scalar() == 0
        version = connection.exec_driver_sql("SELECT version FROM schema_version").scalar()
        assert version == len(steps)
        assert connection.exec_driver_sql("SELECT number FROM checkpoints").scalar() == 3


def test_a_step_that_fails_leaves_the_version_before_it(engine):
    with pytest.raises(Exception, match="syntax error"):
        migrate(engine, (*STEPS, ("CREATE TABLE extra (a INTEGER)", "nonsense")))

    with engine.connect() as connection:
        version = connection.exec_driver_sql("SELECT version FROM schema_version").scalar()
        assert version == len(STEPS)
        assert not engine.dialect.has_table(connection, "extra")


def test_workers_that_start_together_migrate_once(queue):
    with ThreadPoolExecutor(4) as threads:
        for journal in threads.map(lambda _: Journal(queue, IDENTITY), range(4)):
            journal.close()


def test_requests_of_the_first_version_are_found_confirmed(file):
    engine = open_engine(locate(file))
    migrate(engine, STEPS[:1])
    request = place_request(1, block(1))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO identity VALUES (?, ?, ?, ?)",
            (IDENTITY.chain_id, ESCROW, WORKER, IDENTITY.genesis_hash),
        )
        connection.exec_driver_sql(
            "INSERT INTO jobs (chain_id, escrow, request_id, state, offer, request, input, "
            "deadline, block_number, block_hash, on_chain, failures) "
            "VALUES (?, ?, ?, 'seen', ?, ?, ?, ?, 1, ?, 1, 0)",
            (
                IDENTITY.chain_id,
                ESCROW,
                request.request_id,
                encode_offer(request.offer),
                encode_request(request.request),
                request.input,
                request.request.deadline,
                block(1).hash,
            ),
        )
    engine.dispose()

    with Journal(file, IDENTITY) as journal:
        assert journal.job_ids(State.CONFIRMED) == [request.request_id]
        job = journal.job(request.request_id)
    assert job is not None
    assert job.placement == request


def test_a_journal_of_a_newer_modelward_is_refused(engine, place):
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version = 99")
    with pytest.raises(JournalUnavailable, match="version 99"):
        Journal(place, IDENTITY)
