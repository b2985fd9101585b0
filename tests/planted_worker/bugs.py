"""Bugs of a worker that somebody could well write, each a patch beside this file.

A patch is named after what is wrong, and its first line names the row of the drill that finds it.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
CODE = Path("offchain", "modelward")

_HUNK = re.compile(r"^@@ .*\n", re.MULTILINE)
_HEAD = re.compile(r"Row: (\S+)\n\n--- a/(\S+)\n")


@dataclass(frozen=True)
class PlantedBug:
    """A patch to one module."""

    name: str
    row: str
    module: str
    patch: Path

    def plant(self, tree: Path) -> None:
        """Apply it to a copy of the code, wherever in the module its lines are by now.

        Raises `ValueError` if they are not there, or more than once.
        """
        path = tree / self.module
        text = path.read_text("utf-8")
        for hunk in _HUNK.split(self.patch.read_text("utf-8"))[1:]:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            if text.count(before) != 1:
                raise ValueError(f"{self.name} does not apply: {self.module} has changed")
            text = text.replace(before, after)
        path.write_text(text, "utf-8")


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
