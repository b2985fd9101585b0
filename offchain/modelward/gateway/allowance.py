"""How often somebody may ask: a bucket of tokens that fills at a steady rate."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

REMEMBERED = 10_000
"""How many callers are told apart; who has not asked for longest is forgotten first."""


class Allowance:
    """`burst` requests at once, then `per_minute`, for each caller. Safe to use from threads."""

    def __init__(
        self, per_minute: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = per_minute / 60
        self._burst = float(burst)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: str) -> bool:
        """Whether the caller may ask now; counts it if so."""
        with self._lock:
            now = self._clock()
            left, since = self._left.pop(caller, (self._burst, now))
            left = min(self._burst, left + (now - since) * self._rate)
            allowed = left >= 1
            self._left[caller] = (left - 1 if allowed else left, now)
            if len(self._left) > REMEMBERED:
                self._left.popitem(last=False)
            return allowed
