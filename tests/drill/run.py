"""The whole drill, as `make drill` runs it: with a PostgreSQL server where the machine has one.

FULL=1 makes as many runs as the full profile has, and runs the tests of the rows without a chain.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

from modelward.cli import main as modelward
from tests.drill.unit_rows import UNIT_ROWS
from tests.postgres import programs, running_server


def main() -> int:
    """Run it; 1 if anything did not hold."""
    full = bool(os.environ.get("FULL"))
    with ExitStack() as stack:
        arguments = ["drill", *(["--full"] if full else [])]
        if programs() is None:
            print("note: no PostgreSQL server is installed; the row one-queue is left out")
        else:
            arguments += ["--queue", stack.enter_context(running_server()).new_database()]
        code = modelward(arguments)
    for name, row in UNIT_ROWS.items():
        print(f"\n{name}: {row.fault}: {row.demanded}: {', '.join(row.tests)}", flush=True)
        if full:
            tests = [sys.executable, "-m", "pytest", "-q", *row.tests]
            code = subprocess.run(tests, check=False).returncode or code
    return code


if __name__ == "__main__":
    sys.exit(main())
