"""Running the forge that npm installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = "node_modules/.bin/forge"


def require_forge(root: Path = ROOT) -> None:
    """End the program in one sentence where there is no forge."""
    if not (root / BINARY).exists():
        sys.exit(
            "error: forge is missing; npm provides it on x86-64 Linux only (make setup there)."
        )


def run_forge(
    *arguments: str,
    root: Path = ROOT,
    profile: str = "default",
    variables: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run forge to its end and return what it printed, both streams in `stdout`.

    Raises `subprocess.TimeoutExpired` after `timeout` seconds.
    """
    return subprocess.run(
        [root / BINARY, *arguments],
        cwd=root,
        env={**os.environ, "FOUNDRY_PROFILE": profile, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


def copy_of_the_tree(to: Path) -> Path:
    """A copy of all that forge needs, to change contracts in; what is installed is linked."""
    shutil.rmtree(to, ignore_errors=True)
    for part in ("contracts", "tests/solidity", "offchain/modelward/solidity"):
        shutil.copytree(ROOT / part, to / part)
    shutil.copy(ROOT / "foundry.toml", to)
    for installed in ("node_modules", ".venv"):
        (to / installed).symlink_to(ROOT / installed)
    return to
