"""Opens the journal's database: a SQLite file, or PostgreSQL, that survives a power cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Engine,
    cast,
    create_engine,
    event,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from modelward.errors import ConfigurationError, JournalUnavailable

T = TypeVar("T")

_BUSY_SECONDS = 5
_READS = "modelward_reads"
_MIGRATION_LOCK = 0x6D6F64656C77  # any number nobody else in the database uses
_ROWS_AT_ONCE = 500
"""Rows named in one statement: databases take so many values in one and no more."""
_POSTGRES_OPTIONS = (
    "synchronous_commit=on",
    "lock_timeout=10s",
    "statement_timeout=60s",
    "idle_in_transaction_session_timeout=60s",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a journal is kept. `file` is None for a database that several workers share."""

    url: URL
    file: Path | None

    def __str__(self) -> str:
        return str(self.file or self.url.render_as_string(hide_password=True))


def locate(place: str | Path) -> Place:
    """The place that a path, a `sqlite:///path` or a `postgresql://` URL names.

    Raises:
        ConfigurationError: it is a URL of anything else.
    """
    text = str(place)
    if "://" not in text:
        return _file(Path(text))
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ConfigurationError("The journal's URL cannot be read.") from error
    backend = url.get_backend_name()
    if backend == "postgresql" and url.database:
        return Place(url.set(drivername="postgresql+psycopg"), None)
    if backend != "sqlite" or not url.database or url.database == ":memory:":
        raise ConfigurationError(
            f"A journal cannot be kept in {url.render_as_string(hide_password=True)!r}.",
            hint="Give a path, or a URL such as sqlite:////var/lib/modelward/journal.sqlite or "
            "postgresql://modelward@host/modelward.",
        )
    return _file(Path(url.database))


def open_engine(place: Place) -> Engine:
    """An engine on the database: every commit is on disk before it returns.

    Raises:
        ConfigurationError: the driver that it needs is not installed.
    """
    return _open_postgres(place) if place.file is None else _open_sqlite(place)


def reading(engine: Engine) -> Engine:
    """The same engine for those who only read: they see one state of the database, and wait for
    nobody who writes."""
    return engine.execution_options(**{_READS: True})


def clock(engine: Engine) -> ColumnElement[float]:
    """The database's own clock, in Unix seconds: the same for all who share it."""
    if engine.dialect.name == "postgresql":
        return cast(func.extract("epoch", func.clock_timestamp()), Double)
    return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Double)


def take_turns(connection: Connection) -> None:
    """Let only one at a time set up the database, until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))


def portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """These values in parts, each small enough for one statement."""
    for first in range(0, len(values), _ROWS_AT_ONCE):
        yield values[first : first + _ROWS_AT_ONCE]


def one_of(column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """`column.in_(values)`, for a statement that runs once for each of many rows."""
    return or_(*(column == value for value in values))


@contextmanager
def unavailable_on_failure(place: Place) -> Iterator[None]:
    """Turn a failure of the database into `JournalUnavailable`."""
    try:
        yield
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise JournalUnavailable(f"The journal {place} cannot be used: {why}.") from error


def _file(path: Path) -> Place:
    file = path.expanduser().absolute()
    return Place(URL.create("sqlite", database=str(file)), file)


def _open_sqlite(place: Place) -> Engine:
    engine = create_engine(place.url)

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
        reads = connection.get_execution_options().get(_READS)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _open_postgres(place: Place) -> Engine:
    options = " ".join(f"-c {option}" for option in _POSTGRES_OPTIONS)
    try:
        return create_engine(
            place.url,
            pool_pre_ping=True,
            connect_args={
                "application_name": "modelward",
                "connect_timeout": _BUSY_SECONDS,
                "options": options,
            },
        )
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "A journal in PostgreSQL needs a driver that is not installed.",
            hint="Run `pip install 'modelward[postgres]'`.",
        ) from error
