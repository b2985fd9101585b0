"""What an RPC endpoint does wrong, and when."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Collection
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """A way in which an endpoint fails, or lies."""

    UNAVAILABLE = "503"
    THROTTLED = "429"
    """With a ``Retry-After``."""
    RESET = "reset"
    HANG = "hang"
    """It takes the request and says nothing until the client gives up."""
    RATE_LIMITED = "rate limit inside 200"
    HTML = "HTML"
    TRUNCATED = "truncated JSON"
    WRONG_ID = "wrong id"
    NULL = "null"
    LOST_REPLY = "lost reply"
    """It does what it was asked, and closes the connection instead of saying so."""
    DELAY = "delay"
    LAGGING = "lagging"
    """It answers as a node some blocks behind would."""
    EMPTY_LOGS = "empty logs"
    """``[]``, whatever was asked for."""
    DUPLICATED_LOGS = "duplicated logs"
    REORDERED_LOGS = "reordered logs"
    REMOVED_LOGS = "removed logs"
    """Logs beside the right ones that say of themselves that a reorganisation removed them."""
    SWALLOWED = "swallowed transaction"
    """It acknowledges a transaction and forgets it."""
    UNDERPRICED = "underpriced"
    """It refuses a transaction for its fee."""
    LEFT_OUT = "reply left out"
    """It does all calls of a batch, and leaves the reply to one of them out."""
    DISORDERED = "replies in another order"
    """It gives the replies to a batch, and the first is not the first call's."""


RPC_FAULTS = (
    Fault.UNAVAILABLE,
    Fault.THROTTLED,
    Fault.RESET,
    Fault.HANG,
    Fault.RATE_LIMITED,
    Fault.HTML,
    Fault.TRUNCATED,
    Fault.WRONG_ID,
    Fault.NULL,
    Fault.LOST_REPLY,
)
"""Those that any method can meet."""

LOG_FAULTS = (
    Fault.EMPTY_LOGS,
    Fault.DUPLICATED_LOGS,
    Fault.REORDERED_LOGS,
    Fault.REMOVED_LOGS,
)
"""Those of ``eth_getLogs`` alone."""

TRANSACTION_FAULTS = (Fault.SWALLOWED, Fault.UNDERPRICED)
"""Those of ``eth_sendRawTransaction`` alone."""

BATCH_FAULTS = (Fault.LEFT_OUT, Fault.DISORDERED)
"""Those of a call among several in one exchange."""


def fits(fault: Fault, method: str) -> bool:
    """Whether a method can meet a fault."""
    if fault in LOG_FAULTS:
        return method == "eth_getLogs"
    if fault in TRANSACTION_FAULTS:
        return method == "eth_sendRawTransaction"
    return True


class FaultPlan:
    """Which fault a call meets: first those scheduled for its method, then by chance.

    The n-th call of a method meets the same fault in every run with one seed, however the calls of
    several threads interleave; where that is a fault of a batch and the call is alone, it meets
    none. `met` counts what was met, `calls` what was asked for, `batched` how much of that in a
    batch.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.calls: Counter[str] = Counter()
        self.batched: Counter[str] = Counter()
        self.met: Counter[tuple[str, Fault]] = Counter()
        self._rate = 0.0
        self._kinds: tuple[Fault, ...] = ()
        self._scheduled: dict[tuple[str, bool], deque[Fault | None]] = {}
        self._guard = threading.Lock()

    def by_chance(self, rate: float, kinds: Collection[Fault] = RPC_FAULTS) -> None:
        """From now on a call meets one of `kinds` with the probability `rate`."""
        with self._guard:
            self._rate, self._kinds = rate, tuple(kinds)

    def schedule(self, method: str, *faults: Fault | None, batched: bool = False) -> None:
        """Let the next calls of `method` meet `faults`, one each, None being no fault; or the next
        ones in a batch."""
        with self._guard:
            self._scheduled.setdefault((method, batched), deque()).extend(faults)

    def clear(self) -> None:
        """Be honest from now on."""
        with self._guard:
            self._rate = 0.0
            self._scheduled.clear()

    @property
    def waiting(self) -> int:
        """How many scheduled faults no call has met yet."""
        with self._guard:
            return sum(map(len, self._scheduled.values()))

    def next(self, method: str, *, batched: bool = False) -> Fault | None:
        """The fault that this call of `method` meets."""
        with self._guard:
            number = self.calls[method]
            self.calls[method] += 1
            self.batched[method] += batched
            fault = self._choose(method, number, batched)
            if fault is not None:
                self.met[method, fault] += 1
            return fault

    def _choose(self, method: str, number: int, batched: bool) -> Fault | None:
        queues = [(method, True), (method, False)] if batched else [(method, False)]
        for scheduled in map(self._scheduled.get, queues):
            if scheduled:
                return scheduled.popleft()
        random = Random(f"{self.seed} {method} {number}")  # noqa: S311 - reproducible, not secret
        if random.random() >= self._rate:
            return None
        kinds = [kind for kind in self._kinds if fits(kind, method)]
        fault = random.choice(kinds) if kinds else None
        return None if fault in BATCH_FAULTS and not batched else fault
