"""Run the whole story on an embedded chain and check it: python scripts/demo.py"""

from __future__ import annotations

import sys

from modelward.demo import run_demo
from modelward.errors import ModelwardError


def main() -> None:
    report = run_demo(print)
    for step in report.steps:
        print(f"{step.block:>3}  {step.gas:>9}  {step.words}")
    print(f"{report.result.prediction}, committed to by 0x{report.result.commitment.hex()}")
    report.require()


if __name__ == "__main__":
    try:
        main()
    except ModelwardError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
