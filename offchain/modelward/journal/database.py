"""Opens the journal's database: a SQLite file that survives a power cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from modelward.errors import ConfigurationError, JournalUnavailable

_BUSY_SECONDS = 5


def locate(place: str | Path) -> Path:
    """The file of a journal given as a path or as a `sqlite:///path` URL.

    Raises:
        ConfigurationError: it is a URL of anything else.
    """
    text = str(place)
    if "://" not in text:
        return Path(text).expanduser().absolute()
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ConfigurationError("The journal's URL cannot be read.") from error
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise ConfigurationError(
            f"A journal cannot be kept in {url.render_as_string(hide_password=True)!r}.",
            hint="Give a path, or a URL such as sqlite:////var/lib/modelward/journal.sqlite.",
        )
    return Path(url.database).expanduser().absolute()


def open_engine(file: Path) -> Engine:
    """An engine on the SQLite file: write-ahead log, every commit on disk before it returns."""
    engine = create_engine(URL.create("sqlite", database=str(file)))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says so
        for pragma in (
            f"busy_timeout = {_BUSY_SECONDS * 1000}",
            "journal_mode = WAL",
            "synchronous = FULL",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@contextmanager
def unavailable_on_failure(file: Path) -> Iterator[None]:
    """Turn a failure of the database into `JournalUnavailable`."""
    try:
        yield
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise JournalUnavailable(f"The journal {file} cannot be used: {why}.") from error
