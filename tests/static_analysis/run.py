"""Static analysis of the contracts by slither, as `make slither` runs it.

Every finding in our own sources must be listed in `accepted.toml` with its reason; a listed one
that no longer occurs fails as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from modelward.solidity.compiler import SOLC_VERSION, find_compiler
from modelward.solidity.sources import LIBRARIES, compiler_input, deployable_sources
from tests.solidity.forge import ROOT

ACCEPTED = Path(__file__).with_name("accepted.toml")

GUARD = f"{LIBRARIES}/@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol"
GUARD_AS_SLITHER_READS_IT = """// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

abstract contract ReentrancyGuardTransient {
    error ReentrancyGuardReentrantCall();

    bool private _entered;

    modifier nonReentrant() {
        if (_entered) revert ReentrancyGuardReentrantCall();
        _entered = true;
        _;
        _entered = false;
    }
}
"""
"""Slither does not understand the library's, and then gives up on every contract that uses it."""

_OUTPUT = {"*": {"*": ["abi"], "": ["ast"]}}


def compiled() -> dict[str, Any]:
    """The compiler's output for all deployable contracts."""
    given = compiler_input(ROOT, *deployable_sources(ROOT))
    sources = {
        f"{LIBRARIES}/{name}" if name.startswith("@") else name: source
        for name, source in given["sources"].items()
    }
    if GUARD not in sources:
        sys.exit(f"error: {GUARD} is no longer used; take its stand-in out of {__file__}.")
    sources[GUARD] = {"content": GUARD_AS_SLITHER_READS_IT}
    settings = {
        "evmVersion": given["settings"]["evmVersion"],
        "remappings": [f"@openzeppelin/={LIBRARIES}/@openzeppelin/"],
        "outputSelection": _OUTPUT,
    }
    output, _ = find_compiler(project=ROOT).compile(
        {**given, "sources": sources, "settings": settings}
    )
    return output


def analyse(python: str) -> dict[str, Any]:
    """What `analysis.py` prints in the environment of that interpreter."""
    run = subprocess.run(
        [python, Path(__file__).with_name("analysis.py"), SOLC_VERSION],
        cwd=ROOT,
        input=json.dumps(compiled()),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        sys.exit(f"{run.stdout}{run.stderr}error: slither failed.")
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def accepted() -> Counter[tuple[str, str]]:
    """Check and place of every accepted finding, as often as it is accepted."""
    entries = tomllib.loads(ACCEPTED.read_text("utf-8"))["accepted"]
    for entry in entries:
        if not entry["reason"].strip():
            sys.exit(f"error: {entry['check']} is accepted without a reason.")
    return Counter((entry["check"], place) for entry in entries for place in entry["places"])


def main() -> None:
    """Compare what slither finds with what was accepted; exit with 1 if they differ."""
    (python,) = sys.argv[1:]
    result = analyse(python)
    ours = [
        finding
        for finding in result["findings"]
        if any(not path.startswith(LIBRARIES) for _, path in finding["places"])
    ]
    found = Counter((finding["check"], finding["places"][0][0]) for finding in ours)
    unreviewed, gone = found - accepted(), accepted() - found
    for finding in ours:
        if (finding["check"], finding["places"][0][0]) in unreviewed:
            print(f"{finding['check']} ({finding['impact']}): {finding['description']}\n")
    for check, place in unreviewed:
        print(f"not reviewed: {check} in {place}")
    for check, place in gone:
        print(f"accepted, but not found: {check} in {place}")
    for name in result["unread"]:
        print(f"slither cannot read {name}")
    print(
        f"slither: {result['detectors']} detectors, {found.total()} findings, "
        f"{(found - unreviewed).total()} accepted with their reasons."
    )
    if unreviewed or gone or result["unread"] or not result["detectors"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
