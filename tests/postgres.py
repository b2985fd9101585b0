"""A PostgreSQL server of the tests' own: Debian's programs, a temporary directory, one socket."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

REQUIRED = "MODELWARD_REQUIRE_POSTGRES"
"""Set in CI: tests that need the server fail without it, instead of being skipped."""

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
}


class PostgresServer:
    """A running server; `new_database` gives each test one of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._numbers = count(1)

    def url(self, database: str) -> str:
        """The address of a database."""
        return URL.create(
            "postgresql", username="tests", database=database, query={"host": str(self.directory)}
        ).render_as_string()

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement outside of a transaction."""
        url = self.url(database).replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"journal{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def programs() -> Path | None:
    """Where PostgreSQL's server programs are: Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    on_path = shutil.which("initdb")
    return found[0].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server and stop it again; the test is skipped where there is none to start."""
    where = programs()
    if where is None:
        reason = "PostgreSQL's server programs are not installed"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    user = _unprivileged(directory)
    data = directory / "data"
    try:
        subprocess.run(
            [where / "initdb", "--pgdata", data, "--username=tests", "--auth=trust", "--no-sync",
             "--encoding=UTF8", "--locale=C"],
            check=True, capture_output=True, user=user, cwd=directory,
        )  # fmt: skip
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        with (directory / "log").open("wb") as log:
            server = subprocess.Popen(
                [where / "postgres", "-D", data, "-k", directory, *settings],
                stdout=log, stderr=log, user=user, cwd=directory, preexec_fn=_end_with_the_tests,
            )  # fmt: skip
        try:
            running = PostgresServer(directory)
            _wait(running, server)
            yield running
        finally:
            server.send_signal(signal.SIGQUIT)  # at once, and children with it
            server.wait(10)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _end_with_the_tests() -> None:
    """Let the kernel stop the server when the tests are killed (prctl, PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _unprivileged(directory: Path) -> str | None:
    """The user the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    shutil.chown(directory, user)
    return user


def _wait(server: PostgresServer, running: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            server.execute("SELECT 1")
            return
        except OperationalError:
            if running.poll() is not None or time.monotonic() > give_up:
                pytest.fail((server.directory / "log").read_text())
            time.sleep(0.05)
