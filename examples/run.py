"""Run one of the applications whole: python examples/run.py diagnosis [--network NAME]

On the network `embedded` all of it happens in this process. Another one must be a development
chain with the contracts deployed, since applications let days go by.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from applications import EXAMPLES, Stage

from market import reached, told_plainly
from modelward.models.sandbox import Sandbox


def names() -> list[str]:
    """The applications there are."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/application.py"))


def main() -> None:
    """Play the application named on the command line."""
    parser = argparse.ArgumentParser(description="Run an application whole.")
    parser.add_argument("application", choices=names())
    parser.add_argument("--network", default="embedded", help="a network of deploy.toml")
    chosen = parser.parse_args()
    play = import_module(f"{chosen.application}.application").play
    with (
        told_plainly(),
        TemporaryDirectory() as folder,
        reached(chosen.network) as connection,
        Sandbox() as sandbox,
    ):
        play(Stage(connection, sandbox, Path(folder)))


if __name__ == "__main__":
    main()
