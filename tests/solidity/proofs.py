"""Properties that halmos proves for all arguments, as `make halmos` runs it.

They are the functions `check_…` of `symbolic/`. A run that proves too few has not found them, and
fails as one does that finds a counterexample or gives up on a property.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.solidity.forge import BINARY, ROOT, require_forge

LEAST_PROPERTIES = 15
PROFILE = "symbolic"


def proofs(halmos: Path) -> dict[str, list[dict[str, Any]]]:
    """What halmos says of every property, by contract."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        subprocess.run(
            [
                halmos,
                *("--root", ROOT),
                *("--forge-build-out", f"build/{PROFILE}/out"),
                *("--json-output", report),
                "--no-status",
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "FOUNDRY_PROFILE": PROFILE,
                "PATH": f"{ROOT / BINARY.rpartition('/')[0]}{os.pathsep}{os.environ['PATH']}",
            },
            stdin=subprocess.DEVNULL,
            check=False,
        )
        results: dict[str, list[dict[str, Any]]] = (
            json.loads(report.read_text("utf-8"))["test_results"] if report.exists() else {}
        )
    return results


def main() -> None:
    """Prove everything; exit with 1 if anything is not."""
    (halmos,) = map(Path, sys.argv[1:])
    require_forge()
    found = [
        (f"{contract.rpartition(':')[2]}.{result['name']}", result["exitcode"])
        for contract, results in proofs(halmos).items()
        for result in results
    ]
    unproven = [name for name, exit_code in found if exit_code != 0]
    for name in unproven:
        print(f"not proven: {name}")
    print(f"halmos: {len(found) - len(unproven)} of {len(found)} properties proven.")
    if unproven or len(found) < LEAST_PROPERTIES:
        sys.exit(f"error: all properties must be proven, {LEAST_PROPERTIES} at least.")


if __name__ == "__main__":
    main()
