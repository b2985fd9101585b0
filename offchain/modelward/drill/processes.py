"""Workers as processes of their own, which die by SIGKILL at named points.

They are forked from a process that has imported everything, so that one starts in milliseconds.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Final

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.config import Policy, load_config
from modelward.content.store import ContentStore
from modelward.deployment import load_deployment
from modelward.drill.proxy import Stage, Witness, see_nothing
from modelward.drill.site import Site
from modelward.terms import RequestId
from modelward.worker import Milestone, Worker, open_journal

SECONDS: Final = 60.0
"""Longest any process may take to come to where it is wanted."""

_PRELOADED: Final = (
    "modelward.drill.processes",
    "sqlalchemy.dialects.sqlite",
    "fsspec.implementations.local",
)


@dataclass(frozen=True, slots=True)
class Call:
    """A point outside the worker: one of its calls, on the way to the node or back.

    With `before`, the call of a batch that has so many before it; those have reached the node.
    """

    method: str
    stage: Stage
    before: int | None = None

    def __str__(self) -> str:
        place = "" if self.before is None else f", {self.before} of its batch before it"
        return f"{self.method} {self.stage}{place}"


Point = Milestone | Call

POINTS: Final[tuple[Point, ...]] = (
    *Milestone,
    Call("eth_getLogs", Stage.ASKED),
    Call("eth_getLogs", Stage.ANSWERED),
    Call("eth_estimateGas", Stage.ASKED),
    Call("eth_sendRawTransaction", Stage.ASKED),
    Call("eth_sendRawTransaction", Stage.ANSWERED),
    Call("eth_getTransactionReceipt", Stage.ANSWERED),
    Call("eth_sendRawTransaction", Stage.ASKED, before=1),
    Call("eth_sendRawTransaction", Stage.ASKED, before=2),
    Call("eth_sendRawTransaction", Stage.ANSWERED, before=2),
    Call("eth_getTransactionReceipt", Stage.ANSWERED, before=2),
)
"""Where workers are killed."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a process is to do: work from `folder` on `journal` until told to stop, or to die.

    A transaction carries at most `batch` answers.
    """

    folder: Path
    journal: Path
    role: str
    dies_at: Milestone | None
    batch: int


def end_with_parent(last_act: Callable[[], None] = lambda: None) -> None:
    """End this process, after a last act, once the one that started it has gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        last_act()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def work(orders: Orders) -> None:
    """Run a worker as `modelward worker run` does; the entry point of a process."""
    logging.getLogger("modelward").addHandler(logging.NullHandler())
    end_with_parent()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    config = load_config(
        orders.folder / "deploy.toml", environ={"MODELWARD_HOME": str(orders.folder / "home")}
    )

    def observe(milestone: Milestone, _: RequestId) -> None:
        if milestone is orders.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    chain = Chain.connect(config.network())
    deployment = load_deployment(chain, config)
    account = Account.development(orders.role)
    with (
        open_journal(
            chain, deployment, account, directory=orders.folder, place=orders.journal
        ) as journal,
        Worker(
            chain,
            deployment,
            account,
            ContentStore(config.store_url),
            journal,
            policy=Policy(batch=orders.batch),
            observer=observe,
        ) as worker,
    ):
        worker.run(stop)


@contextmanager
def employed(
    site: Site,
    journal: Path,
    *,
    role: str = "worker",
    dies_at: Point | None = None,
    batch: int = Policy().batch,
) -> Iterator[ForkServerProcess]:
    """A worker process, which is dead afterwards."""
    milestone = dies_at if isinstance(dies_at, Milestone) else None
    process = _context().Process(
        target=work, args=(Orders(site.folder, journal, role, milestone, batch),), daemon=True
    )
    if isinstance(dies_at, Call):
        site.proxy.witness = _executioner(process, dies_at)
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        site.proxy.witness = see_nothing


def mine_until(site: Site, reached: Callable[[], bool], seconds: float = SECONDS) -> bool:
    """Mine, ten blocks a second, until something is so; whether it was within `seconds`."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if reached():
            return True
        site.mine()
        time.sleep(0.1)
    return False


def _executioner(process: ForkServerProcess, point: Call) -> Witness:
    def witness(method: str, stage: Stage, before: int | None) -> bool:
        if (method, stage) != (point.method, point.stage) or process.pid is None:
            return False
        if point.before not in (None, before):
            return False
        os.kill(process.pid, signal.SIGKILL)
        return True

    return witness


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    return context
