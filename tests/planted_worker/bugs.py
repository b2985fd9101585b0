"""Bugs of a worker that somebody could well write, each a patch beside this file.

A patch is named after what is wrong, and its first line names the row of the drill that finds it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
CODE = Path("offchain", "modelward")

_HEAD = re.compile(r"Row: (\S+)\n\n--- a/(\S+)\n")


@dataclass(frozen=True)
class PlantedBug:
    """A patch to one module."""

    name: str
    row: str
    module: str
    patch: Path

    def plant(self, tree: Path) -> None:
        """Apply it to a copy of the code. Raises `ValueError` if it does not apply."""
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
        run = subprocess.run(
            ["git", "apply", "-C1", str(self.patch)],
            cwd=tree, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if run.returncode:
            raise ValueError(f"{self.name} does not apply: {run.stderr.strip()}")


def copy_of_the_code(folder: Path) -> Path:
    """The package as it is, in a tree of its own."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / CODE, folder / CODE, ignore=ignored)
    return folder


def planted_bugs() -> list[PlantedBug]:
    """All of them, by row. Raises `ValueError` for a patch without its head."""
    bugs = []
    for path in FOLDER.glob("*.patch"):
        head = _HEAD.match(path.read_text("utf-8"))
        if head is None:
            raise ValueError(f"{path.name} names no row.")
        bugs.append(PlantedBug(path.stem, head[1], head[2], path))
    return sorted(bugs, key=lambda bug: (bug.row, bug.name))
