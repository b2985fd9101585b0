"""A worker of a drill, in this process: it can be killed at a milestone, and started again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.drill.site import Site
from modelward.errors import JournalUnavailable, ReorganisedTooDeep, Unavailable
from modelward.journal import Job, Journal, State
from modelward.terms import RequestId
from modelward.worker import Milestone, Report, Worker, open_journal

PATIENCE = 60.0
"""Seconds within which a worker must have recovered from whatever its endpoint did."""

_ROUNDS_BEFORE_RESTART = 25
_UNFINISHED = tuple(state for state in State if not state.is_end)


class Killed(BaseException):
    """Stands for SIGKILL where many deaths are wanted: no handler of the worker's runs."""


class Crew:
    """A worker on a journal of its own, reaching the chain through the site's proxy.

    `journal` is the place of its journal, which workers of one queue share.
    `step` does what `Worker.run` does once: infrastructure that fails is met again at the next
    step. `options` are those of `Worker`; `network` changes fields of its network.
    """

    def __init__(
        self,
        site: Site,
        journal: Path | str,
        *,
        role: str = "worker",
        network: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.account = Account.development(role)
        self.deaths = 0
        self._failure = ""
        self._site = site
        self._place = journal
        self._network = network or {}
        self._options = options
        self._dies_at: Milestone | None = None
        self._running = ExitStack()
        self._worker: Worker | None = None

    @property
    def journal(self) -> Journal:
        """The journal, of a worker that runs."""
        return self.worker.journal

    @property
    def worker(self) -> Worker:
        """The worker, started if it does not run."""
        if self._worker is None:
            self._worker = self._started()
        return self._worker

    def die_at(self, milestone: Milestone) -> None:
        """Be killed when next passing `milestone`, and start again at the next step."""
        self._dies_at = milestone

    def kill(self) -> None:
        """End the worker, as it stands."""
        self._worker = None
        self._running.close()
        self.deaths += 1

    def close(self) -> None:
        """Let go of the journal."""
        self._worker = None
        self._running.close()

    def step(self) -> Report | None:
        """One step; None if it came to no end.

        Raises `ReorganisedTooDeep` or `JournalUnavailable`, as `Worker.run` does.
        """
        self._failure = ""
        try:
            return self.worker.step()
        except Killed:
            self.kill()
        except (JournalUnavailable, ReorganisedTooDeep):
            raise
        except Unavailable as error:
            self._failure = error.message
        return None

    def finish(self, *, restarts: bool = True, seconds: float = PATIENCE) -> bool:
        """Step and mine until nothing is unfinished, and everything is confirmed.

        A worker that waits is started again after some rounds if `restarts`, since in a drill
        time passes by blocks. Returns whether it came to that within `seconds`.
        """
        give_up = time.monotonic() + seconds
        self._site.mine(self._network.get("confirmations", 1))
        rounds = 0
        while time.monotonic() < give_up:
            self._site.mine()
            report = self.step()
            rounds += 1
            if report is not None and report.idle and not self._unfinished():
                return True
            if restarts and rounds % _ROUNDS_BEFORE_RESTART == 0:
                self.close()
            if not restarts and report is None:
                time.sleep(0.02)
        return False

    @property
    def left(self) -> str:
        """What is unfinished, in words: each request's state, and its reason if there is one; or
        how the last step failed."""
        jobs = filter(None, map(self.journal.job, self._unfinished()))
        words = [f"request {job.request_id.hex()[:8]} {_standing(job)}" for job in jobs]
        return "; ".join(words) or self._failure or "nothing, and it did not come to rest"

    @property
    def without_end(self) -> str:
        """What to say when `finish` did not succeed."""
        return f"the worker did not come to an end within {PATIENCE:g} s: {self.left}"

    def _unfinished(self) -> list[RequestId]:
        return self.journal.job_ids(*_UNFINISHED)

    def _started(self) -> Worker:
        site = self._site
        network = replace(site.config.network(), **self._network)
        chain = Chain.connect(network)
        deployment = replace(site.deployment, chain=chain)
        journal = self._running.enter_context(
            open_journal(chain, deployment, self.account, directory=site.folder, place=self._place)
        )
        options: dict[str, Any] = {"sandbox": site.sandbox, "observer": self._observe}
        options |= self._options
        return self._running.enter_context(
            Worker(chain, deployment, self.account, site.store, journal, **options)
        )

    def _observe(self, milestone: Milestone, _: RequestId) -> None:
        if milestone is self._dies_at:
            self._dies_at = None
            raise Killed


def _standing(job: Job) -> str:
    return f"is {job.state} ({job.reason})" if job.reason else f"is {job.state}"


@contextmanager
def hired(site: Site, name: str = "journal", **options: Any) -> Iterator[Crew]:
    """A crew whose journal is gone afterwards."""
    file = site.folder / f"{name}.sqlite"
    crew = Crew(site, file, **options)
    try:
        yield crew
    finally:
        crew.close()
        for leftover in site.folder.glob(f"{name}.sqlite*"):
            leftover.unlink()
