"""Compiling many changes at once: the compiler takes longer to start than to compile one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelward.errors import CompilationFailed
from modelward.solidity.compiler import Compiler
from modelward.solidity.sources import compiler_input, deployable_sources
from tests.mutation.operators import Change, ChangeT

_FOLDERS = re.compile(r'"\.\.?/(interfaces|libraries)/')
_SETTINGS = {
    "evmVersion": "cancun",
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
    "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
}


def compile_changes(
    root: Path, compiler: Compiler, host: str, changes: Sequence[ChangeT]
) -> dict[ChangeT, str]:
    """The creation code, as 0x-hex, of the contract `host` with each change applied.

    Changes that do not compile are left out.
    """
    whole = compiler_input(root, _source_of(root, host))["sources"]
    waiting = list(changes)
    while waiting:
        sources = dict(whole)
        for place, change in enumerate(waiting):
            sources.update(_variant(root, host, place, change))
        try:
            output, _ = compiler.compile(
                {"language": "Solidity", "sources": sources, "settings": _SETTINGS}
            )
        except CompilationFailed as error:
            broken = {int(place) for place in re.findall(r"mutants/(\d+)/", str(error))}
            if not broken:
                raise
            waiting = [change for place, change in enumerate(waiting) if place not in broken]
            continue
        return {
            change: "0x" + _creation_code(output, f"mutants/{place}/{host}.sol", host)
            for place, change in enumerate(waiting)
        }
    return {}


def _creation_code(output: dict[str, Any], source: str, host: str) -> str:
    code: str = output["contracts"][source][host]["evm"]["bytecode"]["object"]
    return code


def _variant(root: Path, host: str, place: int, change: Change) -> dict[str, dict[str, str]]:
    """The changed file under a name of its own, and the contract that is to use it."""
    path = root / change.source
    changed = change.applied_to(path.read_bytes()).decode()
    if change.contract == host:
        return {f"mutants/{place}/{host}.sol": {"content": _absolute(changed)}}
    user = _absolute((root / _source_of(root, host)).read_text("utf-8"))
    library = f"mutants/{place}/{change.contract}.sol"
    changed = changed.replace('"../', '"contracts/')
    return {
        library: {"content": changed},
        f"mutants/{place}/{host}.sol": {"content": user.replace(change.source, library)},
    }


def _source_of(root: Path, contract: str) -> str:
    return next(name for name in deployable_sources(root) if Path(name).stem == contract)


def _absolute(text: str) -> str:
    return _FOLDERS.sub(r'"contracts/\1/', text)
