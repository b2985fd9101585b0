"""Fixtures every folder of tests may use."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from modelward.solidity import Artifact
from modelward.solidity.build import compile_source, source_hash
from modelward.solidity.compiler import Compiler, find_compiler
from modelward.solidity.sources import compiler_input

REPOSITORY = Path(__file__).resolve().parents[1]


@cache
def find_compiler_once() -> Compiler:
    explicit = os.environ.get("MODELWARD_SOLC")
    return find_compiler(Path(explicit) if explicit else None, project=REPOSITORY)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def compiler() -> Compiler:
    """The pinned Solidity compiler, wherever this machine has it."""
    return find_compiler_once()


@pytest.fixture(scope="session")
def compile_solidity(pytestconfig: pytest.Config) -> Callable[[str], dict[str, Artifact]]:
    """Compile a test's own Solidity source, named from the repository's root.

    Gives the contracts of that file by name. Results are kept in pytest's cache folder under the
    hash of everything that was compiled, so an unchanged source is compiled once.
    """
    folder = pytestconfig.cache.mkdir("solidity") if pytestconfig.cache else None

    def compile_or_recall(source_name: str) -> dict[str, Artifact]:
        digest = source_hash(compiler_input(REPOSITORY, source_name))
        kept = folder / f"{digest}.json" if folder else None
        if kept and kept.exists():
            texts = json.loads(kept.read_text("utf-8"))
            return {name: Artifact.from_json(text) for name, text in texts.items()}
        artifacts = compile_source(find_compiler_once(), REPOSITORY, source_name)
        if kept:
            partial = kept.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps({a.name: a.to_json() for a in artifacts}), "utf-8")
            partial.replace(kept)
        return {artifact.name: artifact for artifact in artifacts}

    return compile_or_recall
