"""Waiting for a store, but not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def within(seconds: float, action: Callable[[], _T]) -> _T:
    """What `action` returns or raises, or `TimeoutError` after so many seconds.

    Not every backend can be interrupted: what has not ended by then goes on in a thread that no
    longer matters and does not keep the program from ending.
    """
    outcome: Future[_T] = Future()

    def act() -> None:
        try:
            outcome.set_result(action())
        except BaseException as error:  # noqa: BLE001
            outcome.set_exception(error)

    threading.Thread(target=act, name="content store", daemon=True).start()
    return outcome.result(seconds)
