"""The worker: its stages in turn, until it is told to stop."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.sender import Sender
from modelward.config import Policy
from modelward.content.store import ContentStore
from modelward.deployment import Deployment
from modelward.errors import (
    JournalUnavailable,
    KeyNotGranted,
    ReorganisedTooDeep,
    RpcError,
    SandboxUnavailable,
    Unavailable,
)
from modelward.journal import Answer, Identity, Job, Journal, Refusal, State, default_path
from modelward.models.sandbox import Sandbox
from modelward.sdk.content_source import ContentSource
from modelward.sdk.gateway_client import GatewayClient
from modelward.sdk.keyring import Keyring
from modelward.terms import RequestId
from modelward.worker.admission import Admission, Waiting
from modelward.worker.execution import AnswerDelayed, Execution
from modelward.worker.intake import Intake, Reading
from modelward.worker.milestones import Milestone, Observer
from modelward.worker.settlement import Settlement
from modelward.worker.versions import VersionReader

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_IN_FLIGHT = (State.COMPUTED, State.SIGNED, State.SENT, State.MINED)

_log = logging.getLogger(__name__)


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

    def due(self, request_id: RequestId) -> bool:
        return self.until.get(request_id, 0.0) <= time.monotonic()

    def postpone(self, request_id: RequestId, seconds: float) -> None:
        self.until[request_id] = time.monotonic() + seconds

    def back_off(self, request_id: RequestId) -> None:
        delay = self.delays.get(request_id, _FIRST_PAUSE)
        self.delays[request_id] = min(2 * delay, _LONGEST_PAUSE)
        self.postpone(request_id, delay)

    def forget(self, request_ids: tuple[RequestId, ...]) -> None:
        for request_id in request_ids:
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
        sandbox: Sandbox | None = None,
        observer: Observer | None = None,
    ) -> None:
        sender = Sender(chain, account)
        escrow = deployment.escrow
        self.chain = chain
        self.journal = journal
        self.policy = policy or Policy()
        self._sandbox = sandbox or Sandbox()
        self._owns_sandbox = sandbox is None
        self._observer = observer
        self._passed: list[tuple[Milestone, RequestId]] = []
        self._postponed = _Postponements()
        self._stop = threading.Event()
        self._intake = Intake(chain, deployment, account.address, journal)
        self._admission = Admission(sender, escrow, deployment.data_share, self.policy, journal)
        self._execution = Execution(
            VersionReader(chain, deployment),
            store,
            ContentSource(
                store, GatewayClient(chain, deployment.data_share.address, account), gateway
            ),
            self._sandbox,
            Keyring(chain, deployment, account),
            chain_id=chain.chain_id,
            escrow=escrow.address,
        )
        self._settlement = Settlement(sender, escrow, journal, self._admission, self._observe)

    def close(self) -> None:
        """End the process that predicts, unless it was given a sandbox of somebody else's."""
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
        self._passed = []
        self._read()
        self._follow()
        for request_id in self._journal_ids(State.COMPUTED):
            self._settle(request_id)
        for request_id in self._journal_ids(State.CONFIRMED):
            self._answer(request_id)
        if Report(tuple(self._passed)).at(Milestone.BROADCAST):
            self._follow()
            self._read()
        return Report(tuple(self._passed))

    def drain(self, stop: threading.Event | None = None) -> Report:
        """Step until nothing more can be done now and no answer is on its way, or `stop` is set.

        Raises what `step` raises.
        """
        self._stop = stop or threading.Event()
        passed: list[tuple[Milestone, RequestId]] = []
        while not self._stop.is_set():
            report = self.step()
            passed += report.passed
            if report.idle:
                if not any(map(self._postponed.due, self.journal.job_ids(*_IN_FLIGHT))):
                    break
                self._stop.wait(self.chain.network.poll_interval)
        return Report(tuple(passed))

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set; the request in hand is finished first.

        Infrastructure that fails is waited for, ever longer up to half a minute.

        Raises `ReorganisedTooDeep` or `JournalUnavailable`.
        """
        self._stop = stop
        self._sandbox.start()
        pause = _FIRST_PAUSE
        while not stop.is_set():
            try:
                self.step()
            except (JournalUnavailable, ReorganisedTooDeep):
                raise
            except Unavailable as error:
                _log.warning("%s Trying again in %g s.", error.message, pause)
                stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE
                stop.wait(self.chain.network.poll_interval)

    # --- stages ----------------------------------------------------------------------------------

    def _read(self) -> Reading:
        reading = self._intake.read()
        if reading.granted:
            self._postponed.until.clear()
        self._postponed.forget(reading.ended + reading.rewound)
        for request_id in reading.placed:
            self._observe(Milestone.SEEN, request_id)
        for request_id in reading.ended:
            self._observe(Milestone.ENDED, request_id)
        return reading

    def _follow(self) -> None:
        for request_id in self._settlement.follow():
            self._postponed.back_off(request_id)

    def _answer(self, request_id: RequestId) -> None:
        job = self._job(request_id, State.CONFIRMED)
        if job is None:
            return
        try:
            self._compute(job)
        except (RpcError, SandboxUnavailable, KeyNotGranted) as error:
            self._wait(job, Waiting(error.message, 15))
        self._settle(request_id)

    def _compute(self, job: Job) -> None:
        head = self.chain.head()
        verdict = self._admission.judge(job, head)
        if isinstance(verdict, Waiting):
            self._wait(job, verdict)
            return
        try:
            answer: Answer = verdict or self._execution.answer(job)
        except AnswerDelayed as error:
            if job.request.deadline - head.timestamp > self.policy.refuse_within:
                self._wait(job, Waiting(error.message, 0))
                self._postponed.back_off(job.request_id)
                return
            answer = Refusal(error.reason, error.message)
        self._observe(Milestone.ANSWERED, job.request_id)
        self.journal.record_answer(job.request_id, answer)
        self._observe(Milestone.COMPUTED, job.request_id)

    def _settle(self, request_id: RequestId) -> None:
        job = self._job(request_id, State.COMPUTED)
        if job is None:
            return
        try:
            waiting = self._settlement.submit(job)
        except RpcError as error:
            waiting = Waiting(error.message, 15)
        if waiting is not None:
            self._wait(job, waiting)

    def _wait(self, job: Job, waiting: Waiting) -> None:
        self._postponed.postpone(job.request_id, waiting.seconds)
        if job.reason != waiting.reason:
            self.journal.record_reason(job.request_id, waiting.reason)
            self._observe(Milestone.WAITING, job.request_id)

    def _journal_ids(self, state: State) -> list[RequestId]:
        return [i for i in self.journal.job_ids(state) if self._postponed.due(i)]

    def _job(self, request_id: RequestId, state: State) -> Job | None:
        """The job, if it is still there and in that state, and nobody said stop."""
        if self._stop.is_set():
            return None
        job = self.journal.job(request_id)
        return job if job is not None and job.state is state and job.on_chain else None

    def _observe(self, milestone: Milestone, request_id: RequestId) -> None:
        self._passed.append((milestone, request_id))
        if milestone in _LOGGED:
            job = self.journal.job(request_id)
            _log.info("%s %s", request_id.hex()[:8], _describe(milestone, job))
        if self._observer is not None:
            self._observer(milestone, request_id)


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
