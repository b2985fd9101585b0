"""The worker: its stages in turn, until it is told to stop."""

from __future__ import annotations

import gc
import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from modelward.chain.accounts import Account
from modelward.chain.connection import Block, Chain
from modelward.chain.contracts import ExactReferee
from modelward.chain.sender import Sender
from modelward.config import Policy
from modelward.content.store import ContentStore
from modelward.deployment import Deployment
from modelward.errors import (
    CodeMismatch,
    JournalUnavailable,
    NotDeployed,
    ReorganisedTooDeep,
    RpcError,
    RpcUnavailable,
    SandboxUnavailable,
    Superseded,
    Unavailable,
)
from modelward.journal import Answer, Identity, Job, Journal, Refusal, State, default_path
from modelward.models.sandbox import Limits, Sandbox
from modelward.sdk.content_source import ContentSource
from modelward.sdk.gateway_client import GatewayClient
from modelward.sdk.key_files import KeyFiles
from modelward.sdk.keyring import Keyring
from modelward.terms import RefusalReason, RequestId
from modelward.worker.admission import Admission, Waiting
from modelward.worker.bonds import Bonds
from modelward.worker.execution import AnswerDelayed, Execution, Interrupted, Outcome, Postponed
from modelward.worker.flight import Flight
from modelward.worker.intake import Intake, Reading
from modelward.worker.lanes import Batch, Lanes
from modelward.worker.milestones import Milestone, Observer
from modelward.worker.reconciliation import Reconciliation
from modelward.worker.rehearsal import Rehearsal
from modelward.worker.settlement import Settlement
from modelward.worker.taking import Takers
from modelward.worker.versions import VersionReader
from modelward.worker.vitals import Thresholds, Vitals

_RECONCILE_EVERY = 60.0
_BONDS_EVERY = 60.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_GLANCE = 0.2
"""How long predictions are waited for before somebody's wish to stop is looked at again."""

_COLLECTIONS = 20_000, 5, 5

_TO_COMPUTE = (State.CONFIRMED, State.COMPUTING)
_UNMINED = (State.COMPUTED, State.SIGNED, State.SENT)
IN_FLIGHT = (*_UNMINED, State.MINED)
"""The states of requests that have an answer, and no confirmed end yet."""

_log = logging.getLogger(__name__)


class Stop(Protocol):
    """Says when to stop; a `threading.Event` does."""

    def is_set(self) -> bool:
        """Whether to stop now."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most so many seconds."""


class _Deadline:
    """A stop that comes by itself after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def is_set(self) -> bool:
        return time.monotonic() >= self._at

    def wait(self, timeout: float | None = None) -> bool:
        left = max(0.0, self._at - time.monotonic())
        time.sleep(left if timeout is None else min(left, timeout))
        return self.is_set()


@dataclass(frozen=True, slots=True)
class Report:
    """What one step did: the milestones passed, in their order."""

    passed: tuple[tuple[Milestone, RequestId], ...] = ()

    def at(self, milestone: Milestone) -> tuple[RequestId, ...]:
        """The requests that passed a milestone in this step."""
        return tuple(request_id for point, request_id in self.passed if point is milestone)

    @property
    def idle(self) -> bool:
        """Whether nothing happened."""
        return not self.passed


@dataclass(slots=True)
class _Postponements:
    """When, by this process's own clock, to look at a request again."""

    until: dict[RequestId, float] = field(default_factory=dict)
    delays: dict[RequestId, float] = field(default_factory=dict)
    in_want_of_company: dict[RequestId, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.until or self.delays or self.in_want_of_company)

    def due(self, request_id: RequestId) -> bool:
        return self.until.get(request_id, 0.0) <= time.monotonic()

    def postpone(self, request_id: RequestId, seconds: float) -> None:
        self.until[request_id] = time.monotonic() + seconds

    def back_off(self, request_id: RequestId) -> None:
        delay = self.delays.get(request_id, _FIRST_PAUSE)
        self.delays[request_id] = min(2 * delay, _LONGEST_PAUSE)
        self.postpone(request_id, delay)

    def look_for_company(self, most: int) -> None:
        """Look again at some that may pay together with what has come."""
        some = tuple(self.in_want_of_company)[:most]
        self.forget(some)

    def forget(self, request_ids: tuple[RequestId, ...]) -> None:
        for request_id in request_ids:
            self.in_want_of_company.pop(request_id, None)
            self.until.pop(request_id, None)
            self.delays.pop(request_id, None)


def identity_of(chain: Chain, deployment: Deployment, account: Account) -> Identity:
    """Whose journal an account's is, for what is deployed on a chain."""
    return Identity(chain.chain_id, chain.genesis_hash, deployment.escrow.address, account.address)


def open_journal(
    chain: Chain,
    deployment: Deployment,
    account: Account,
    *,
    directory: Path,
    place: str | Path | None = None,
) -> Journal:
    """Open a worker's journal at `place`, or at its usual place under `directory`.

    Raises `JournalInUse`, `JournalUnavailable`, `WrongChain`, `WrongJournal` or
    `ConfigurationError`.
    """
    identity = identity_of(chain, deployment, account)
    return Journal(place or default_path(directory, identity), identity)


class Worker:
    """Answers requests for one account, with bundles from `store`, from the gateway at the URL
    `gateway`, or from where their versions say.

    `step` passes once over everything there is to do and may be called at any rate; `run` calls it
    until told to stop. Killed at any instant and started again on the same journal, a worker
    neither loses a request nor answers one twice. Close it, or use it as a context manager; the
    journal stays open.
    """

    def __init__(
        self,
        chain: Chain,
        deployment: Deployment,
        account: Account,
        store: ContentStore,
        journal: Journal,
        *,
        policy: Policy | None = None,
        gateway: str | None = None,
        key_files: KeyFiles | None = None,
        limits: Limits | None = None,
        sandbox: Sandbox | None = None,
        observer: Observer | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        sender = Sender(chain, account)
        escrow = deployment.escrow
        self.chain = chain
        self.journal = journal
        self.policy = policy or Policy()
        self._sandbox = sandbox or Sandbox(limits)
        self._owns_sandbox = sandbox is None
        self._observer = observer
        self.vitals = Vitals(thresholds or Thresholds())
        self._account = account.address
        self._passed: list[tuple[Milestone, RequestId]] = []
        self._untold: list[tuple[Milestone, RequestId]] = []
        self._postponed = _Postponements()
        self._stop: Stop = threading.Event()
        self._taking = True
        self._intake = Intake(chain, deployment, account.address, journal)
        self._reconciliation = Reconciliation(chain, deployment, journal, self._intake)
        self._reconciled = time.monotonic()
        referee = deployment.referee if ExactReferee.name in deployment.addresses else None
        takers = Takers(account.address, escrow, referee)
        self._admission = Admission(
            sender,
            Rehearsal(sender, takers, journal),
            deployment.data_share,
            self.policy,
            journal,
        )
        execution = Execution(
            VersionReader(chain, deployment),
            store,
            ContentSource(
                store, GatewayClient(chain, deployment.data_share.address, account), gateway
            ),
            Keyring(chain, deployment, account, key_files),
            chain_id=chain.chain_id,
            escrow=escrow.address,
        )
        self._lanes = Lanes(execution, self._sandbox)
        flight = Flight(sender, escrow, journal, self._admission, self._observe)
        self._settlement = Settlement(sender, journal, self._admission, flight)
        self._bonds = Bonds(sender, takers, journal, self._admission, flight)
        self._bonds_seen = -math.inf

    def close(self) -> None:
        """End the processes that predict, unless it was given a sandbox of somebody else's."""
        self._lanes.close()
        if self._owns_sandbox:
            self._sandbox.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def step(self) -> Report:
        """Pass once over all stages.

        Raises:
            RpcUnavailable, RpcError: the endpoint failed; the next step goes on from where this
                one came to.
            ReorganisedTooDeep, JournalUnavailable: no step can go on.
        """
        return self._step(math.inf)

    def drain(self, stop: Stop | None = None, *, take_new: bool = True) -> Report:
        """Step until nothing more can be done now and no answer is on its way, or `stop` is set.

        Unless `take_new`, only what has been computed is brought to its end.

        Raises what `step` raises.
        """
        self._stop, self._taking = stop or threading.Event(), take_new
        passed: list[tuple[Milestone, RequestId]] = []
        while not self._stop.is_set():
            report = self.step()
            passed += report.passed
            if report.idle:
                if not self._under_way(*IN_FLIGHT):
                    break
                self._stop.wait(self.chain.network.poll_interval)
        return Report(tuple(passed))

    def run(self, stop: threading.Event, *, patience: float = 0.0) -> None:
        """Step until `stop` is set.

        Then, for at most `patience` seconds, what is being computed is finished, sent and waited
        for until it is mined; the rest stays in the journal as it is. Infrastructure that fails is
        waited for: ever longer up to half a minute, unless an endpoint answers most of the time.

        Raises `ReorganisedTooDeep` or `JournalUnavailable`.
        """
        self._stop, self._taking = stop, True
        self._say_isolation()
        with _rare_collections(), self.journal.beating():
            self._keep_stepping(stop)
            if patience > 0:
                self._stop, self._taking = _Deadline(patience), False
                self._keep_stepping(self._stop, *_UNMINED)
        self.journal.release(self._lanes.request_ids)
        waiting = sum(n for state, n in self.journal.counts().items() if not state.is_end)
        _log.info("stopped; %d requests wait in the journal", waiting)

    def _say_isolation(self) -> None:
        try:
            while not self._sandbox.has_started(within=_GLANCE):
                if self._stop.is_set():
                    return
            self.vitals.isolation = isolation = self._sandbox.isolation
        except SandboxUnavailable as error:
            _log.error("%s", error.message)
            return
        level = logging.INFO if isolation.complete else logging.WARNING
        _log.log(level, "models run with: %s", isolation, extra={"event": "sandbox"})

    def _keep_stepping(self, stop: Stop, *only_while: State) -> None:
        """Step until `stop` is set, or only while something is under way in some states."""
        pause = _FIRST_PAUSE
        interval = self.chain.network.poll_interval
        while not stop.is_set():
            try:
                self._step(interval)
            except ReorganisedTooDeep as error:
                self.vitals.halted(error.message)
                raise
            except Unavailable as error:
                if isinstance(error, JournalUnavailable) and not self.journal.shared:
                    raise  # a database server comes back, a disk does not
                self.vitals.failed(error.message)
                _log.warning("%s Trying again in %g s.", error.message, pause)
                stop.wait(pause)
                if isinstance(error, RpcUnavailable) and self.chain.answers_mostly:
                    pause = _FIRST_PAUSE  # what failed was one call of many
                else:
                    pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            if only_while and not self._under_way(*only_while):
                return
            if not self._lanes.busy:
                stop.wait(interval)

    def _under_way(self, *states: State) -> bool:
        return self._lanes.busy or any(map(self._postponed.due, self.journal.job_ids(*states)))

    def _step(self, patience: float) -> Report:
        """One pass, in which at most `patience` seconds are spent waiting for predictions."""
        self._passed = []
        self.vitals.turned()
        self.journal.heartbeat()
        self._read()
        self._follow()
        self._compute(patience)
        self._settle_held()
        self._take_back_bonds()
        if Report(tuple(self._passed)).at(Milestone.BROADCAST):
            self._follow()
            self._read()
        self.vitals.look(self.journal, self.chain, self._account)
        return Report(tuple(self._passed))

    # --- stages ----------------------------------------------------------------------------------

    def _read(self) -> Reading:
        if self._postponed:
            self._postponed.forget(tuple(self.journal.unexplained()))
        reading = self._intake.read()
        if time.monotonic() - self._reconciled >= _RECONCILE_EVERY:
            self._reconciled = time.monotonic()
            reading += self._reconciled_with_chain()
        if reading.granted:
            self._postponed.until.clear()
        self._postponed.forget(reading.ended + reading.rewound)
        if reading.placed:
            self._postponed.look_for_company(self.policy.batch)
        for request_id in reading.placed:
            self._observe(Milestone.SEEN, request_id)
        for request_id in reading.ended:
            self._observe(Milestone.ENDED, request_id)
        self._tell()
        return reading

    def _reconciled_with_chain(self) -> Reading:
        """What the reconciliation finds; the contracts, which were there at the start, cannot have
        gone.

        Raises `RpcUnavailable` or `RpcError`.
        """
        try:
            return self._reconciliation.look()
        except (NotDeployed, CodeMismatch) as error:
            raise RpcUnavailable(
                "The RPC endpoint lacks the state of a block it has shown before."
            ) from error

    def _follow(self) -> None:
        for request_id in self._settlement.follow():
            self._postponed.back_off(request_id)
        self._tell()

    def _compute(self, patience: float) -> None:
        """Hand what is due to free lanes, and record and settle what they come to meanwhile."""
        until = time.monotonic() + patience
        tried: set[RequestId] = set()
        while not self._stop.is_set():
            self._start_batches(tried)
            self._settle_computed()
            if not self._lanes.busy:
                return
            for batch in self._lanes.finished(min(_GLANCE, max(0.0, until - time.monotonic()))):
                self.vitals.finished(batch, self._lanes.deaths)
                tried |= self._record(batch)
            if time.monotonic() >= until:
                break
        self._settle_computed()

    def _start_batches(self, tried: set[RequestId]) -> None:
        """Give each free lane the nearest deadline and what else is due for the same version."""
        free = self._lanes.free
        if not self._taking or not free:
            return
        running = set(self._lanes.request_ids)
        queue = {
            request_id: version
            for request_id, version in self.journal.queue(*_TO_COMPUTE).items()
            if self._postponed.due(request_id)
            and request_id not in tried
            and request_id not in running
        }
        head = self.chain.head() if queue else None
        for lane in free:
            waiting = [each for each in queue if self._lanes.lane_of(queue[each]) is lane]
            chosen: list[Job] = []
            while waiting and head is not None:
                version = chosen[0].offer.version_id if chosen else queue[waiting[0]]
                room = self._lanes.room(version) - len(chosen)
                some = [each for each in waiting if queue[each] == version][:room]
                if not some:
                    break
                looked_at = set(some)
                waiting = [each for each in waiting if each not in looked_at]
                chosen += self._admitted(self._jobs(some, *_TO_COMPUTE), head)
            claimed = self.journal.claim([job.request_id for job in chosen]) if chosen else []
            if claimed:
                self._lanes.run(lane, claimed)

    def _admitted(self, jobs: Sequence[Job], head: Block) -> list[Job]:
        """Those of these requests to answer now; of the others is said why not."""
        verdicts = self._admission.judge(jobs, head)
        refusals = {}
        for job in jobs:
            match verdicts[job.request_id]:
                case Waiting() as waiting:
                    self._wait(job, waiting)
                case Refusal() as refusal:
                    refusals[job.request_id] = refusal
        self._record_answers(refusals)
        return [job for job in jobs if verdicts[job.request_id] is None]

    def _record(self, batch: Batch) -> set[RequestId]:
        """Put what came of a batch on disk; returns the requests not to try again in this step."""
        postponed: set[RequestId] = set()
        answers: dict[RequestId, Answer] = {}
        standing = {
            job.request_id
            for job in self._standing([job.request_id for job in batch.jobs], State.COMPUTING)
        }
        for job, outcome in zip(batch.jobs, batch.outcomes, strict=True):
            if job.request_id not in standing:
                continue  # it ended while it was computed
            answer = self._answer(job, outcome)
            if answer is not None:
                answers[job.request_id] = answer
            elif isinstance(outcome, Postponed):
                postponed.add(job.request_id)
        self._record_answers(answers)
        return postponed

    def _record_answers(self, answers: Mapping[RequestId, Answer]) -> None:
        if not answers:
            return
        for request_id in answers:
            self._observe(Milestone.ANSWERED, request_id)
        faults = self.journal.record_answers(answers)
        for request_id, fault in faults.items():
            if not isinstance(fault, Superseded):
                raise fault
            _log.info("%s %s", request_id.hex()[:8], fault.message)
        for request_id in answers:
            if request_id not in faults:
                self._observe(Milestone.COMPUTED, request_id)
        self._tell()

    def _answer(self, job: Job, outcome: Outcome) -> Answer | None:
        """The answer, unless the request has to be tried again."""
        match outcome:
            case Postponed(error=AnswerDelayed() as error):
                if job.request.deadline - self.chain.head().timestamp <= self.policy.refuse_within:
                    return Refusal(error.reason, error.message)
                self._put_back(job, Waiting(error.message, 0))
                self._postponed.back_off(job.request_id)
            case Postponed(error=error):
                self._put_back(job, Waiting(error.message, 15))
            case Interrupted(error=error, culprit=True):
                if job.attempts > 1:
                    return Refusal(RefusalReason.PREDICTION_FAILED, error.message)
                _log.warning("%s It is tried once more.", error.message)
            case Interrupted():
                self.journal.release([job.request_id])
            case _:
                return outcome
        return None

    def _put_back(self, job: Job, waiting: Waiting) -> None:
        self.journal.release([job.request_id])
        self._wait(job, waiting)

    def _settle_computed(self) -> None:
        self._submit(self._journal_ids(State.COMPUTED), State.COMPUTED)

    def _settle_held(self) -> None:
        """Have answers paid that a verifier held, once nobody can challenge them any more."""
        if self._taking and self.journal.job_ids(State.HELD):
            due = self.journal.settleable(self.chain.head().timestamp)
            self._submit([each for each in due if self._postponed.due(each)], State.HELD)

    def _take_back_bonds(self) -> None:
        """Have bonds released of answers that could not be settled in time."""
        if self._taking and time.monotonic() - self._bonds_seen >= _BONDS_EVERY:
            self._bonds_seen = time.monotonic()
            self._bonds.take_back()

    def _submit(self, request_ids: Sequence[RequestId], state: State) -> None:
        due = request_ids[: self._settlement.capacity] if request_ids else []
        jobs = self._jobs(due, state)
        try:
            waiting = self._settlement.submit(jobs)
        except RpcError as error:
            waiting = dict.fromkeys(due, Waiting(error.message, 15))
        for job in jobs:
            if job.request_id in waiting:
                self._wait(job, waiting[job.request_id])
        self._tell()

    def _wait(self, job: Job, waiting: Waiting) -> None:
        self._postponed.postpone(job.request_id, waiting.seconds)
        if waiting.company:
            self._postponed.in_want_of_company[job.request_id] = None
        if job.reason != waiting.reason:
            self.journal.record_reason(job.request_id, waiting.reason)
            self._observe(Milestone.WAITING, job.request_id)

    def _journal_ids(self, *states: State) -> list[RequestId]:
        return [i for i in self.journal.job_ids(*states) if self._postponed.due(i)]

    def _jobs(self, request_ids: Sequence[RequestId], *states: State) -> list[Job]:
        """Those of the jobs that are still there and in such a state, unless somebody said stop."""
        return [] if self._stop.is_set() else self._standing(request_ids, *states)

    def _standing(self, request_ids: Sequence[RequestId], *states: State) -> list[Job]:
        return [
            job
            for job in self.journal.jobs_among(request_ids)
            if job.state in states and job.on_chain
        ]

    def _observe(self, milestone: Milestone, request_id: RequestId) -> None:
        self._passed.append((milestone, request_id))
        self.vitals.passed(milestone, request_id)
        if milestone in _LOGGED and _log.isEnabledFor(logging.INFO):
            self._untold.append((milestone, request_id))
        if self._observer is not None:
            self._observer(milestone, request_id)

    def _tell(self) -> None:
        """Log what was observed, with what the journal says of the requests."""
        untold, self._untold = self._untold, []
        jobs = {job.request_id: job for job in self.journal.jobs_among([i for _, i in untold])}
        for milestone, request_id in untold:
            job = jobs.get(request_id)
            about = {"event": milestone, "request": request_id, "state": job and job.state}
            _log.info("%s %s", request_id.hex()[:8], _describe(milestone, job), extra=about)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Have cyclic garbage looked for less often: requests leave none, and looking for it after
    every 700 objects takes a tenth of the time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


_LOGGED = frozenset(
    {
        Milestone.SEEN,
        Milestone.COMPUTED,
        Milestone.SENT,
        Milestone.MINED,
        Milestone.ENDED,
        Milestone.WAITING,
    }
)


def _describe(milestone: Milestone, job: Job | None) -> str:
    if job is None:
        return str(milestone)
    if milestone is Milestone.COMPUTED and isinstance(job.answer, Refusal):
        return f"to be refused, {job.answer.reason.name}: {job.answer.detail}"
    if milestone is Milestone.ENDED:
        return f"{job.state}: {job.reason}" if job.reason else str(job.state)
    if milestone is Milestone.WAITING:
        return f"waiting: {job.reason}"
    if milestone is Milestone.SENT and job.transaction_hash is not None:
        return f"sent in 0x{job.transaction_hash.hex()[:8]}…"
    return str(milestone)
