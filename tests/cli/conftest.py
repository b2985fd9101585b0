"""Commands in process, on the market of `tests/market.py`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.development import DEVELOPMENT_ACCOUNTS
from modelward.cli import main
from modelward.worker import Worker, open_journal
from tests.market import *  # noqa: F403
from tests.market import Market, configuration


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def project(market, monkeypatch) -> Path:
    """The market's folder, as working directory; nothing else applies."""
    for name in ("NETWORK", "ACCOUNT", "PASSWORD", "PASSWORD_FILE", "CONFIG", "DEBUG"):
        monkeypatch.delenv(f"MODELWARD_{name}", raising=False)
    monkeypatch.setenv("MODELWARD_HOME", str(market.home))
    monkeypatch.chdir(market.folder)
    folder: Path = market.folder
    return folder


@pytest.fixture
def run(project, capsys) -> Callable[..., Outcome]:
    """Run a command in the project."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run


@pytest.fixture
def refused(run, market) -> Callable[..., Outcome]:
    """Run a command that must end with a code and one sentence, with nothing moved or lost."""

    def refused(code: int, sentence: str, *arguments: object) -> Outcome:
        before = everything(market)
        outcome: Outcome = run(*arguments)
        assert outcome.code == code, outcome.err
        assert "Traceback" not in outcome.err
        [error] = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
        assert sentence in error
        assert error.endswith(".") or "Invalid value for" in error
        assert outcome.out == ""
        assert everything(market) == before
        return outcome

    return refused


@pytest.fixture
def working(market, sandbox) -> Callable[[], AbstractContextManager[None]]:
    """A real worker answers from another thread, for the length of a `with` block."""

    @contextmanager
    def working() -> Iterator[None]:
        connection, stop = market.connection("worker"), threading.Event()
        directory, signer = connection.config.journal_directory, connection.sender.account
        chain, deployment = connection.chain, connection.deployment
        with (
            open_journal(chain, deployment, signer, directory=directory) as journal,
            Worker(chain, deployment, signer, connection.store, journal, sandbox=sandbox) as worker,
        ):
            thread = threading.Thread(target=worker.run, args=(stop,))
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()

    return working


def everything(market: Market) -> tuple[object, ...]:
    """All that a command could move or lose: balances, nonces, and every file of the project."""
    network = configuration(market.folder).network("embedded")
    chain = Chain.connect(network, market.devchain.provider())
    accounts = [Account.development(account.name).address for account in DEVELOPMENT_ACCOUNTS]
    return (
        [chain.balance(address) for address in accounts],
        [chain.rpc("eth_getTransactionCount", [address, "pending"]) for address in accounts],
        {
            path.relative_to(market.folder): path.read_bytes()
            for path in market.folder.rglob("*")
            if path.is_file()
        },
    )
