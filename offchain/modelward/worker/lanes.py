"""Lanes: predict beside the thread that talks to the chain, so that what is slow delays nobody.

There are two, each with a process of its own. The quick one is for versions that have been quick so
far. The other one is for versions that crashed, hung or took their time, until they have been left
alone for a while, and for those not known yet.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from modelward.errors import ModelwardError
from modelward.journal import Job
from modelward.models.sandbox import Death, Sandbox
from modelward.terms import RequestId, VersionId
from modelward.worker.execution import Execution, Outcome, Postponed

MOST_IN_A_BATCH = 256
_FIRST_BATCH = 8
_BATCH_SECONDS = 2.0
"""What a batch may take, judged by the one before; a longer one holds up others in its lane."""

_SLOW_SECONDS = 5.0
"""A version whose rows take longer than that is slow."""

_APART_SECONDS = 600.0
_LONGEST_APART_SECONDS = 86_400.0

_log = logging.getLogger(__name__)


class LaneName(StrEnum):
    """Which lane."""

    QUICK = "quick"
    APART = "apart"


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests for one version, what came of each, and how many seconds that took; starting a
    process is not counted."""

    lane: LaneName
    jobs: tuple[Job, ...]
    outcomes: tuple[Outcome, ...] = ()
    seconds: float = 0.0
    broke: bool = False
    """Whether the process died of it."""
    cpu_seconds: float = 0.0
    """CPU time of the lane itself; that of the process which predicts is not in it."""

    @property
    def version_id(self) -> VersionId:
        """The version they all pin."""
        return self.jobs[0].offer.version_id


@dataclass(slots=True)
class _Conduct:
    """How a version has behaved: `seconds` a row lately, and by this process's own clock, until
    when it is kept apart."""

    seconds: float = 0.0
    strikes: int = 0
    apart_until: float = 0.0


class Lanes:
    """Runs batches of requests, at most one a lane at a time."""

    def __init__(self, execution: Execution, sandbox: Sandbox) -> None:
        self._execution = execution
        self._finished: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._sandboxes = {LaneName.QUICK: sandbox, LaneName.APART: Sandbox(sandbox.limits)}
        self._running: dict[LaneName, Batch] = {}
        self._conduct: dict[VersionId, _Conduct] = {}

    @property
    def free(self) -> tuple[LaneName, ...]:
        """The lanes with nothing to do."""
        return tuple(name for name in LaneName if name not in self._running)

    @property
    def busy(self) -> bool:
        """Whether a batch is running."""
        return bool(self._running)

    @property
    def request_ids(self) -> list[RequestId]:
        """The requests in batches that are running."""
        return [job.request_id for batch in self._running.values() for job in batch.jobs]

    def lane_of(self, version_id: VersionId | None) -> LaneName:
        """Where requests for a version go now."""
        conduct = self._conduct.get(version_id) if version_id else None
        if conduct is None:
            return LaneName.APART if self._conduct else LaneName.QUICK
        return LaneName.QUICK if conduct.apart_until <= time.monotonic() else LaneName.APART

    def room(self, version_id: VersionId | None) -> int:
        """How many requests for a version make one batch."""
        conduct = self._conduct.get(version_id) if version_id else None
        if conduct is None:
            return _FIRST_BATCH
        return max(1, min(MOST_IN_A_BATCH, int(_BATCH_SECONDS / max(conduct.seconds, 1e-6))))

    def run(self, lane: LaneName, jobs: Sequence[Job]) -> None:
        """Begin with a batch in a free lane; `finished` will give it back."""
        batch = self._running[lane] = Batch(lane, tuple(jobs))
        threading.Thread(target=self._answer, args=(batch,), name=lane, daemon=True).start()

    def finished(self, timeout: float) -> list[Batch]:
        """The batches that have finished; if there is none, the first to do so in `timeout` s."""
        batches: list[Batch] = []
        while self._running:
            try:
                batch = self._finished.get(timeout=0 if batches else timeout)
            except queue.Empty:
                break
            del self._running[batch.lane]
            self._judge(batch)
            batches.append(batch)
        return batches

    def close(self) -> None:
        """End the process of the lane apart; the other one's is whose sandbox it is."""
        self._sandboxes[LaneName.APART].close()

    @property
    def deaths(self) -> Counter[Death]:
        """How many processes broke while they predicted, and of what."""
        return sum((sandbox.deaths for sandbox in self._sandboxes.values()), Counter())

    def _answer(self, batch: Batch) -> None:
        sandbox, cpu = self._sandboxes[batch.lane], time.thread_time()
        died, waited, begun = sandbox.deaths.total(), sandbox.seconds_waited, time.monotonic()
        try:
            outcomes = self._execution.answer(batch.jobs, sandbox)
            broke = sandbox.deaths.total() > died
        except Exception as error:  # noqa: BLE001 - a defect must not keep the lane from others
            place = traceback.extract_tb(error.__traceback__)[-1]  # the message may quote an input
            what = f"a defect: {type(error).__name__} in {place.name}, line {place.lineno}"
            _log.error("a batch failed for %s", what)
            defect = ModelwardError(f"It failed for {what}.")
            outcomes, broke = [Postponed(defect)] * len(batch.jobs), True
        seconds = time.monotonic() - begun - (sandbox.seconds_waited - waited)
        self._finished.put(
            Batch(batch.lane, batch.jobs, tuple(outcomes), seconds, broke, time.thread_time() - cpu)
        )

    def _judge(self, batch: Batch) -> None:
        if all(isinstance(outcome, Postponed) for outcome in batch.outcomes) and not batch.broke:
            return
        conduct = self._conduct.setdefault(batch.version_id, _Conduct())
        conduct.seconds = batch.seconds / len(batch.jobs)
        if batch.broke or conduct.seconds > _SLOW_SECONDS:
            conduct.strikes += 1
            apart = min(_APART_SECONDS * 2 ** (conduct.strikes - 1), _LONGEST_APART_SECONDS)
            conduct.apart_until = time.monotonic() + apart
