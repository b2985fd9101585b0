"""Stopping a command that stays: the first signal asks, the second one insists."""

from __future__ import annotations

import signal
import threading


def stop_on_signal() -> threading.Event:
    """An event that the first SIGINT or SIGTERM sets; the second one acts as usual."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    usual = {number: signal.getsignal(number) for number in numbers}

    def ask_to_stop(*_: object) -> None:
        stop.set()
        for number, handler in usual.items():
            signal.signal(number, handler)

    for number in numbers:
        signal.signal(number, ask_to_stop)
    return stop
