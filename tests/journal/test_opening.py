"""Whose journal it is, who may open it, and what is not a journal."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace

import pytest
from eth_utils.crypto import keccak
from sqlalchemy import MetaData, create_engine

from modelward.errors import (
    ConfigurationError,
    JournalInUse,
    JournalUnavailable,
    WrongChain,
    WrongJournal,
)
from modelward.journal import Journal, default_path
from modelward.journal.database import open_engine
from modelward.journal.migrations import STEPS, migrate
from modelward.journal.schema import metadata

from .specimens import IDENTITY, OWNER, REQUESTER, block


def test_what_was_written_is_there_when_it_is_opened_again(file):
    with Journal(file, IDENTITY) as journal:
        journal.advance(0, block(5))

    with Journal(file, IDENTITY) as journal:
        assert journal.cursor() == block(5)


def test_a_sqlite_url_names_the_same_file_as_its_path(file):
    with Journal(f"sqlite:///{file}", IDENTITY) as journal:
        assert journal.file == file


@pytest.mark.parametrize("place", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "x://"])
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
    with open_engine(file).connect() as connection:
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


def test_a_second_journal_in_one_process_is_refused_too(journal, file):
    with pytest.raises(JournalInUse):
        Journal(file, IDENTITY)


def test_a_refused_opening_leaves_the_first_one_working(journal, file):
    with pytest.raises(JournalInUse):
        Journal(file, IDENTITY)
    journal.advance(0, block(1))
    assert journal.cursor() == block(1)


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
    with create_engine(f"sqlite:///{journal.file}").begin() as connection:
        connection.exec_driver_sql("DROP TABLE jobs")
    with pytest.raises(JournalUnavailable, match="no such table"):
        journal.counts()


# --- migrations ----------------------------------------------------------------------------------


def shape(tables: MetaData):
    return {
        table.name: {(column.name, column.nullable, column.primary_key) for column in table.columns}
        for table in tables.sorted_tables
    }


def test_the_migrations_arrive_at_the_schema_the_code_uses(journal):
    found = MetaData()
    found.reflect(create_engine(f"sqlite:///{journal.file}"))
    assert shape(found) == shape(metadata)


def test_a_new_step_is_applied_once_and_keeps_what_is_there(file):
    with Journal(file, IDENTITY) as journal:
        journal.advance(0, block(3))
    steps = (*STEPS, ("CREATE TABLE extra (a INTEGER)",))
    engine = open_engine(file)

    migrate(engine, steps)
    migrate(engine, steps)

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM extra").scalar() == 0
        assert connection.exec_driver_sql("SELECT version FROM schema_version").scalar() == len(
            steps
        )
        assert connection.exec_driver_sql("SELECT number FROM checkpoints").scalar() == 3


def test_a_step_that_fails_leaves_the_version_before_it(file):
    Journal(file, IDENTITY).close()
    engine = open_engine(file)

    with pytest.raises(Exception, match="syntax error"):
        migrate(engine, (*STEPS, ("CREATE TABLE extra (a INTEGER)", "nonsense")))

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version FROM schema_version").scalar() == len(
            STEPS
        )
        assert not engine.dialect.has_table(connection, "extra")


def test_a_journal_of_a_newer_modelward_is_refused(file):
    Journal(file, IDENTITY).close()
    with open_engine(file).begin() as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version = 99")
    with pytest.raises(JournalUnavailable, match="version 99"):
        Journal(file, IDENTITY)
