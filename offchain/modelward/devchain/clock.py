"""When blocks are stamped: wall clock plus an offset, never at or before the parent."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """The chain's clock, in seconds since the epoch.

    `offset` is how far it runs ahead of (or behind) the wall clock; `next_timestamp` is promised
    to the next block, after which the clock goes on from there.
    """

    offset: int = 0
    next_timestamp: int | None = None

    def now(self) -> int:
        """Return the present time of the chain."""
        return int(time.time()) + self.offset

    def for_child_of(self, parent_timestamp: int) -> int:
        """Return the timestamp a block mined now would carry."""
        wanted = self.now() if self.next_timestamp is None else self.next_timestamp
        return max(wanted, parent_timestamp + 1)

    def stamp(self, parent_timestamp: int) -> int:
        """Return the timestamp of the block being mined, and use up a promised one."""
        timestamp = self.for_child_of(parent_timestamp)
        if self.next_timestamp is not None:
            self.set(timestamp)
        return timestamp

    def set(self, now: int) -> None:
        """Make it `now` o'clock."""
        self.offset = now - int(time.time())
        self.next_timestamp = None
