"""Bugs of contracts that somebody could well write, each a patch beside this file.

A patch is named after what is wrong, and its first line names the class of bugs it is one of.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutation.operators import Change

FOLDER = Path(__file__).parent

CLASSES = (
    "re-entrancy",
    "payments pushed to receivers that refuse",
    "copied answers",
    "altered or replayed requests",
    "unsalted commitments",
    "replayed signatures",
    "malleable and short signatures",
    "lying ERC-1271 signers",
    "truncating casts",
    "rounding",
    "forced ether",
    "squatted ids",
    "unbounded loops",
    "gas griefing",
    "requests priced below their gas",
    "deadlines off by one",
    "access checks",
    "mixed accounts",
)

_HEAD = re.compile(r"Class: (.+)\n\n--- a/(\S+)\n\+\+\+ b/\2\n")


@dataclass(frozen=True)
class PlantedBug(Change):
    """A patch to one source."""

    title: str
    kind: str
    patch: bytes = field(repr=False)

    @property
    def name(self) -> str:
        return self.title

    def applied_to(self, content: bytes) -> bytes:
        """The changed file. Raises `ValueError` if the patch does not apply."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, self.source)
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            environment = {
                **os.environ,
                "GIT_CEILING_DIRECTORIES": str(Path(folder).parent),
            }
            run = subprocess.run(
                ["git", "apply"],
                cwd=folder,
                env=environment,
                input=self.patch,
                capture_output=True,
                check=False,
            )
            changed = path.read_bytes()
        if run.returncode or changed == content:
            raise ValueError(f"{self.title} does not apply: {run.stderr.decode().strip()}")
        return changed


def planted_bugs() -> list[PlantedBug]:
    """All of them, in the order of `CLASSES`. Raises `ValueError` for a patch without its head."""
    bugs = []
    for path in sorted(FOLDER.glob("*.patch")):
        head = _HEAD.match(path.read_text("utf-8"))
        if head is None or head[1] not in CLASSES:
            raise ValueError(f"{path.name} names no class, or changes not one file.")
        bugs.append(PlantedBug(head[2], path.stem, head[1], path.read_bytes()))
    return sorted(bugs, key=lambda bug: CLASSES.index(bug.kind))
