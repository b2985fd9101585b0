"""What one of several workers on a journal holds for a while, and how it keeps hold of it.

A lease ends by the database's clock. Until then nobody else may do what it covers; once it has
ended, whoever comes first takes it over, and what the former holder still tries is refused.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Self

from modelward.errors import JournalUnavailable

LEASE_SECONDS = 60.0
"""How long a worker that fell silent keeps what it holds."""


class Lease(Enum):
    """What only one worker at a time may do."""

    READING = "reading the chain"
    """Move the cursor of the queue."""
    SENDING = "sending from the account"
    """Sign and follow the transactions of an account."""


def new_instance() -> str:
    """A name that no other worker has: host, process and chance."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"


class Heartbeat:
    """Calls `beat` every `seconds` in a thread of its own, so that long work loses no lease.

    A database that cannot be reached is tried again at the next beat.
    """

    def __init__(self, beat: Callable[[], None], seconds: float) -> None:
        self._beat = beat
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._beat()
            except JournalUnavailable:
                continue
