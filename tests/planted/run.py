"""Planted bugs, and which test of the Foundry suite catches each, as `make planted` prints them.

Exits with 1 if a bug is not caught, or does not compile.
"""

from __future__ import annotations

import sys
import time

from tests.mutation.judging import judged
from tests.planted.bugs import CLASSES, planted_bugs
from tests.solidity.forge import require_forge


def main() -> None:
    """Plant every bug and print the table."""
    require_forge()
    started = time.monotonic()
    bugs = planted_bugs()
    caught_by = {verdict.change: verdict.killed_by for verdict in judged(bugs)}

    for kind in CLASSES:
        print(kind)
        for bug in bugs:
            if bug.kind == kind:
                print(f"  {bug.name:42}{caught_by.get(bug) or 'NOT CAUGHT'}")
    missed = [bug.name for bug in bugs if not caught_by.get(bug)]
    print(
        f"{len(bugs) - len(missed)} of {len(bugs)} bugs of {len(CLASSES)} classes were caught "
        f"in {time.monotonic() - started:,.0f} s."
    )
    for bug in bugs:
        if bug not in caught_by:
            print(f"does not compile: {bug.name}")
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
