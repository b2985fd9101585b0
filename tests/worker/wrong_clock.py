"""modelward on a host whose clock is wrong: python wrong_clock.py SECONDS ARGUMENTS..."""

from __future__ import annotations

import sys
import time


def shift_clock(seconds: float) -> None:
    """Put this process's wall clock off by so many seconds."""
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + int(seconds * 10**9)


if __name__ == "__main__":
    shift_clock(float(sys.argv[1]))
    from modelward.cli import main

    sys.exit(main(sys.argv[2:]))
