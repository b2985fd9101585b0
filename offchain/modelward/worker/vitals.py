"""How a worker is doing: where it stands, what it has done, and what somebody should look at.

Time is told by block timestamps, except for the question whether the loop still turns.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from modelward.chain.connection import Block, Chain
from modelward.journal import Balance, Checkpoint, Journal, SignedAnswer, State
from modelward.journal.states import PENDING
from modelward.models.sandbox import Death
from modelward.models.sandbox_isolation import Isolation
from modelward.terms import ETHER, Address, RequestId, format_amount
from modelward.worker.execution import Interrupted, Postponed
from modelward.worker.lanes import Batch, LaneName
from modelward.worker.milestones import Milestone

_LOOK_EVERY = 15.0
"""Seconds between two looks at balance, head and queue."""

_log = logging.getLogger(__name__)


class Alarm(StrEnum):
    """What somebody should look at."""

    LOW_BALANCE = "low_balance"
    """The account will soon be unable to pay for gas."""
    STALLED = "stalled"
    """The chain moves, and the worker does not."""
    HALTED = "halted"
    """A reorganisation was too deep; nothing is sent until somebody has looked at it."""
    RPC_DOWN = "rpc_down"
    """No endpoint answers."""


STOPS_WORK = frozenset({Alarm.STALLED, Alarm.HALTED, Alarm.RPC_DOWN})
"""The alarms under which nothing is answered."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When to raise an alarm: below `low_balance` wei, and `stall_seconds` behind the chain."""

    low_balance: int = ETHER // 100
    stall_seconds: int = 300


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a worker stands: in the chain, in its queue, and with its money (wei)."""

    account: Address
    balance: int
    head: Block
    confirmed: Block
    cursor: Checkpoint | None
    counts: dict[State, int]
    in_flight: tuple[SignedAnswer, ...]
    halted: str | None
    money: Balance = field(default_factory=lambda: Balance({}, 0))

    @property
    def lag_blocks(self) -> int:
        """How many confirmed blocks have not been read."""
        return self.confirmed.number - (self.cursor.number if self.cursor else 0)

    @property
    def lag_seconds(self) -> int:
        """How much older the block read last is than the newest confirmed one."""
        return max(0, self.confirmed.timestamp - self.cursor.timestamp) if self.cursor else 0

    def alarms(self, thresholds: Thresholds) -> dict[Alarm, str]:
        """What somebody should look at, and why."""
        found: dict[Alarm, str] = {}
        if self.balance < thresholds.low_balance:
            found[Alarm.LOW_BALANCE] = f"{self.account} has {format_amount(self.balance)}"
        most = thresholds.stall_seconds
        oldest = min((each.signed_at for each in self.in_flight if each.signed_at), default=None)
        if self.lag_seconds > most:
            found[Alarm.STALLED] = f"it has read nothing of the last {self.lag_seconds} s"
        elif oldest is not None and self.head.timestamp - oldest > most:
            waited = self.head.timestamp - oldest
            found[Alarm.STALLED] = f"a transaction has been in flight for {waited} s"
        if self.halted is not None:
            found[Alarm.HALTED] = self.halted
        return found


def look(journal: Journal, chain: Chain, account: Address) -> Standing:
    """Where the worker of `account` stands. Raises `RpcUnavailable` or `RpcError`."""
    return Standing(
        account=account,
        balance=chain.balance(account),
        head=chain.head(),
        confirmed=chain.confirmed_head(),
        cursor=journal.cursor(),
        counts=journal.counts(),
        in_flight=tuple(journal.transactions(*PENDING)),
        halted=journal.halted(),
        money=journal.balance(),
    )


@dataclass(slots=True)
class Vitals:
    """What a running worker tells of itself. Written by its own thread, read by any."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    standing: Standing | None = None
    alarms: dict[Alarm, str] = field(default_factory=dict)
    isolation: Isolation | None = None
    milestones: Counter[Milestone] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    batches: Counter[LaneName] = field(default_factory=Counter)
    batch_seconds: dict[LaneName, float] = field(default_factory=dict)
    batch_cpu_seconds: float = 0.0
    deaths: Counter[Death] = field(default_factory=Counter)
    failed_steps: int = 0
    turned_at: float = field(default_factory=time.time)
    _looked_at: float = -_LOOK_EVERY

    def turned(self) -> None:
        """The loop has come round."""
        self.turned_at = time.time()

    def passed(self, milestone: Milestone, _: RequestId) -> None:
        """A request has passed a milestone."""
        self.milestones[milestone] += 1

    def finished(self, batch: Batch, deaths: Counter[Death]) -> None:
        """A lane has finished a batch; `deaths` counts the processes that broke so far."""
        self.batches[batch.lane] += 1
        self.batch_seconds[batch.lane] = self.batch_seconds.get(batch.lane, 0.0) + batch.seconds
        self.batch_cpu_seconds += batch.cpu_seconds
        for outcome in batch.outcomes:
            self.answers[type(outcome).__name__.lower()] += 1
        self.deaths = deaths

    def failed(self, why: str) -> None:
        """A step failed because the chain could not be reached."""
        self.failed_steps += 1
        self._raise({**self.alarms, Alarm.RPC_DOWN: why})

    def halted(self, why: str) -> None:
        """The worker has halted."""
        self._raise({**self.alarms, Alarm.HALTED: why})

    def look(self, journal: Journal, chain: Chain, account: Address) -> None:
        """Look at where the worker stands, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY and Alarm.RPC_DOWN not in self.alarms:
            return
        self.standing = look(journal, chain, account)
        self._looked_at = now
        self._raise(self.standing.alarms(self.thresholds))

    def _raise(self, alarms: dict[Alarm, str]) -> None:
        for alarm in alarms.keys() - self.alarms.keys():
            _log.error("alarm %s: %s", alarm, alarms[alarm], extra={"event": "alarm"})
        for alarm in self.alarms.keys() - alarms.keys():
            _log.info("alarm %s is over", alarm, extra={"event": "alarm_over"})
        self.alarms = alarms


OUTCOMES = ("fulfilment", "refusal", Postponed.__name__.lower(), Interrupted.__name__.lower())
"""What can come of a request in a batch."""
