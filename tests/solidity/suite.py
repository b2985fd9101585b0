"""The Foundry suite, as `make forge` runs it.

First a suite of failing tests, which must fail; then the real one, on the very bytecode that the
package ships, in the profile `ci`, or `full` where FULL is set. Of the calls of every handler of
the invariants more than 30 % must have changed state: a handler discards a call that finds nothing
to do, and forge counts those.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass

from modelward.solidity import artifact_names, load_artifact
from tests.solidity.forge import ROOT, require_forge, run_forge

LEAST_SHARE = 0.30
RED_TESTS = ("test_fails", "testFuzz_failsForOneByteOf256", "invariant_failsAtTheThirdCall")

_METRICS_ROW = re.compile(r"^\| (\w+) +\| (\w+) +\| (\d+) +\| (\d+) +\| (\d+) +\|$", re.MULTILINE)


@dataclass(frozen=True)
class Handler:
    """What forge counted of one function of one handler, over a whole campaign."""

    contract: str
    function: str
    calls: int
    reverts: int
    discards: int

    @property
    def share(self) -> float:
        """The share of calls that changed state."""
        return (self.calls - self.reverts - self.discards) / self.calls if self.calls else 0.0


def handlers_in(output: str) -> list[Handler]:
    """The handlers of the tables that forge prints below an invariant."""
    return [
        Handler(contract, function, int(calls), int(reverts), int(discards))
        for contract, function, calls, reverts, discards in _METRICS_ROW.findall(output)
    ]


def require_red_run() -> None:
    """End the program unless forge reports failing tests as such."""
    run = run_forge("test", profile="red")
    failing = run.stdout.partition("Failing tests:")[2]
    if run.returncode == 0 or not all(f"{name}(" in failing for name in RED_TESTS):
        print(run.stdout)
        sys.exit(
            f"error: forge exits with {run.returncode} where {', '.join(RED_TESTS)} must fail."
        )
    print(
        f"Self-test: {len(RED_TESTS)} tests that must fail do; forge exits with {run.returncode}."
    )


def require_shipped_bytecode() -> None:
    """End the program unless forge compiled what the package ships."""
    for name in artifact_names():
        path = ROOT / "build" / "forge" / "out" / f"{name}.sol" / f"{name}.json"
        compiled = json.loads(path.read_text("utf-8"))["bytecode"]["object"]
        if bytes.fromhex(compiled.removeprefix("0x")) != load_artifact(name).bytecode:
            sys.exit(f"error: forge compiled another {name} than the package ships (make compile).")
    print(f"Bytecode: {', '.join(artifact_names())} as the package ships them.")


def main() -> None:
    """Run everything; exit with 1 if anything fails."""
    require_forge()
    require_red_run()
    build = run_forge("build")
    if build.returncode:
        sys.exit(build.stdout)
    require_shipped_bytecode()

    run = run_forge("test", profile="full" if os.environ.get("FULL") else "ci")
    print(run.stdout)
    handlers = handlers_in(run.stdout)
    idle = [handler for handler in handlers if handler.share <= LEAST_SHARE]
    for handler in handlers:
        name = f"{handler.contract}.{handler.function}"
        print(f"{handler.share:7.1%} of {handler.calls:9,} calls changed state: {name}")
    if run.returncode:
        sys.exit(run.returncode)
    if idle or not handlers:
        names = ", ".join(f"{handler.contract}.{handler.function}" for handler in idle) or "none"
        sys.exit(f"error: handlers that too rarely change state: {names}.")


if __name__ == "__main__":
    main()
