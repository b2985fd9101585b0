"""What the Foundry suite covers of the three contracts, as `make coverage` prints it.

Exits with 1 unless every line and every branch of them, and of the libraries they are made of, was
taken.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, field

from tests.solidity.forge import ROOT, require_forge, run_forge

COVERED = (
    "contracts/DataShare.sol",
    "contracts/ModelRegistry.sol",
    "contracts/InferenceEscrow.sol",
    "contracts/libraries/Commitments.sol",
    "contracts/libraries/RequestWord.sol",
    "contracts/libraries/Signatures.sol",
    "contracts/libraries/Terms.sol",
)
TRACE = ROOT / "build" / "coverage.lcov"


@dataclass
class Coverage:
    """Of one source: how often each line, and each (line, block, branch), was taken."""

    lines: dict[str, int] = field(default_factory=dict)
    branches: dict[str, int] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """What was never taken."""
        lines = [f"line {line}" for line, count in self.lines.items() if not count]
        sides = [name.partition(",")[0] for name, count in self.branches.items() if not count]
        return lines + [f"a branch of line {line}" for line in sides]


def coverage_in(trace: str) -> dict[str, Coverage]:
    """The sources of an lcov trace."""
    sources: dict[str, Coverage] = defaultdict(Coverage)
    source = ""
    for record in trace.splitlines():
        kind, _, value = record.partition(":")
        if kind == "SF":
            source = value
        elif kind == "DA":
            line, count = value.split(",")[:2]
            sources[source].lines[line] = int(count)
        elif kind == "BRDA":
            name, _, taken = value.rpartition(",")
            sources[source].branches[name] = 0 if taken == "-" else int(taken)
    return sources


def main() -> None:
    """Run the suite on instrumented contracts and print the table."""
    require_forge()
    TRACE.unlink(missing_ok=True)
    TRACE.parent.mkdir(exist_ok=True)
    run = run_forge("coverage", "--report=lcov", f"--report-file={TRACE}", profile="coverage")
    if run.returncode:
        sys.exit(run.stdout)
    sources = coverage_in(TRACE.read_text("utf-8"))

    print(f"{'source':38}{'lines':>12}{'branches':>12}")
    missed = []
    for name in COVERED:
        covered = sources[name]
        if not covered.lines:
            sys.exit(f"error: forge counted nothing of {name}.")
        print(f"{name:38}{_share(covered.lines):>12}{_share(covered.branches):>12}")
        missed += [f"not covered: {name}, {place}" for place in covered.missed]
    for each in missed:
        print(each)
    if missed:
        sys.exit(1)


def _share(counts: dict[str, int]) -> str:
    return f"{sum(1 for count in counts.values() if count)}/{len(counts)}"


if __name__ == "__main__":
    main()
