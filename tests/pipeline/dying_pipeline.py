"""Run the pipeline of the apples and be killed in the middle of one step: FOLDER STEP MOMENT."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from modelward.pipeline import run, steps
from tests.pipeline.orchard import apples, numbers_alone


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_middle(step: str, moment: str) -> None:
    write, hashes = Path.write_bytes, steps._hashes

    def half_written(path: Path, data: bytes) -> int:
        """One of the step's files has half of its bytes."""
        if moment == "half written" and path.parent.name.startswith(f".{step}-"):
            write(path, data[: len(data) // 2])
            die()
        return write(path, data)

    def not_on_record(directory: Path) -> dict[str, str]:
        """The step's files are written, and nothing says yet that they are all."""
        if moment == "not on record" and directory.name.startswith(f".{step}-"):
            die()
        return hashes(directory)

    changed: Any = Path
    changed.write_bytes = half_written
    steps._hashes = not_on_record


def main(folder: Path, step: str, moment: str) -> None:
    def told(words: str) -> None:
        if moment in words:
            die()

    die_in_the_middle(step, moment)
    run.run_pipeline(numbers_alone(), base=folder, directory=folder, frame=apples(), progress=told)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
