"""A journal of its own for each test, in a file and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from modelward.journal import Identity, Journal, Lease
from tests.postgres import PostgresServer

from .specimens import IDENTITY


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, file: Path) -> Path | str:
    """Where a journal may be kept."""
    if request.param == "sqlite":
        return file
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def queue(postgres: PostgresServer) -> str:
    """A database for several workers."""
    return postgres.new_database()


OpenJournal = Callable[..., Journal]


@pytest.fixture
def open_journal() -> Iterator[OpenJournal]:
    """Open a journal and hold all of it; it is closed when the test ends."""
    with ExitStack() as opened:

        def open_and_hold(
            place: Path | str, identity: Identity = IDENTITY, *, lease: float = 60.0
        ) -> Journal:
            journal = opened.enter_context(Journal(place, identity, lease=lease))
            for each in Lease:
                journal.hold(each)
            return journal

        yield open_and_hold


@pytest.fixture
def journal(place: Path | str, open_journal: OpenJournal) -> Journal:
    return open_journal(place)
