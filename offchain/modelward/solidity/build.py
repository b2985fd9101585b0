"""Making the committed artifacts from the sources, and telling when the two differ."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from modelward.errors import ArtifactDrift, CompilationFailed
from modelward.solidity.artifacts import FOLDER, INPUTS, Artifact, canonical_json
from modelward.solidity.compiler import SOLC_BUILD, Compiler
from modelward.solidity.sources import (
    LIBRARIES,
    SETTINGS,
    checkout,
    compiler_input,
    deployable_sources,
    is_library,
    read_source,
)

CODE_SIZE_LIMIT = 24_576
"""Bytes of runtime code a contract may have (EIP-170)."""


@dataclass(frozen=True)
class Build:
    """The artifacts of a source tree, the text of each file they make, the compiler's warnings."""

    artifacts: tuple[Artifact, ...]
    files: Mapping[str, str]
    warnings: tuple[str, ...]


def artifacts_folder(root: Path) -> Path:
    """Where a checkout keeps its artifacts."""
    return root / "offchain" / "modelward" / "solidity" / FOLDER


def compile_source(compiler: Compiler, root: Path, source_name: str) -> list[Artifact]:
    """Compile one source and all it imports; returns the contracts it holds itself.

    Interfaces and abstract contracts are left out. Raises `CompilationFailed`.
    """
    artifacts, _ = _compile(compiler, compiler_input(root, source_name), source_name)
    return artifacts


def compile_once(
    find: Callable[[], Compiler], root: Path, source_name: str, folder: Path
) -> dict[str, Artifact]:
    """The contracts of a source by name, compiled unless `folder` has them from before.

    They are kept under the hash of everything that was compiled. `find` finds the compiler, and is
    not called without need. Raises as it does, and `CompilationFailed`.
    """
    kept = folder / f"{source_hash(compiler_input(root, source_name))}.json"
    if kept.exists():
        texts = json.loads(kept.read_text("utf-8"))
        return {name: Artifact.from_json(text) for name, text in texts.items()}
    artifacts = compile_source(find(), root, source_name)
    folder.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps({a.name: a.to_json() for a in artifacts}), "utf-8")
    partial.replace(kept)
    return {artifact.name: artifact for artifact in artifacts}


def source_hash(standard_input: Mapping[str, Any]) -> str:
    """SHA-256 of a standard-JSON input in its shortest form with sorted keys, as 0x-hex."""
    text = json.dumps(standard_input, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "0x" + hashlib.sha256(text.encode()).hexdigest()


def build(root: Path, compiler: Compiler) -> Build:
    """Compile every deployable contract of a checkout, each from its own sources alone.

    Raises `CompilationFailed`, also for a contract that is too large to deploy.
    """
    artifacts: list[Artifact] = []
    texts: dict[str, str] = {}
    warnings: dict[str, None] = {}
    for source_name in deployable_sources(root):
        standard_input = compiler_input(root, source_name)
        compiled, messages = _compile(compiler, standard_input, source_name)
        warnings.update(dict.fromkeys(messages))
        artifact = _only_contract(compiled, source_name)
        if f"{artifact.name}.json" in texts:
            raise CompilationFailed(f"Two deployable contracts are named {artifact.name}.")
        artifacts.append(artifact)
        texts[f"{artifact.name}.json"] = artifact.to_json()
        texts[f"{INPUTS}/{artifact.name}.json"] = canonical_json(standard_input)
    return Build(tuple(artifacts), texts, tuple(warnings))


def write(root: Path, built: Build) -> None:
    """Write a build's files into the checkout, and remove those of contracts that are gone."""
    folder = artifacts_folder(root)
    for name in _present(folder) - built.files.keys():
        (folder / name).unlink()
    for name, text in built.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def check(root: Path, built: Build) -> None:
    """Compare a build with the committed artifacts, byte for byte.

    Raises `ArtifactDrift`, naming what differs.
    """
    folder = artifacts_folder(root)
    present = _present(folder)
    differences = [
        *(f"{name} is missing" for name in sorted(built.files.keys() - present)),
        *(f"{name} has no source" for name in sorted(present - built.files.keys())),
    ]
    for name in sorted(present & built.files.keys()):
        committed, expected = (folder / name).read_text("utf-8"), built.files[name]
        if committed != expected:
            differences.append(f"{name} differs{_where(committed, expected)}")
    _raise_if_any(differences)


def check_sources(root: Path | None = None) -> None:
    """Compare the sources of a checkout with those the artifacts were compiled from.

    Needs no compiler, and compares library sources only where they are installed. Without a
    checkout there is nothing to compare. Raises `ArtifactDrift`, naming what differs.
    """
    root = root or checkout()
    if root is None:
        return
    folder = artifacts_folder(root)
    names = {PurePosixPath(source).stem: source for source in deployable_sources(root)}
    committed = {path.stem for path in folder.glob("*.json")}
    differences = [
        *(f"{names[name]} has no artifact" for name in sorted(names.keys() - committed)),
        *(f"{name}.json has no source" for name in sorted(committed - names.keys())),
    ]
    for name in sorted(committed & names.keys()):
        path = folder / INPUTS / f"{name}.json"
        if not path.exists():
            differences.append(f"{INPUTS}/{name}.json is missing")
            continue
        recorded = json.loads(path.read_text("utf-8"))
        if recorded["settings"] != SETTINGS:
            differences.append(f"{name} was compiled with other settings")
        differences += [
            f"{source} has changed since {name} was compiled"
            for source, entry in recorded["sources"].items()
            if _is_installed(root, source) and _text(root, source) != entry["content"]
        ]
    _raise_if_any(differences)


def _compile(
    compiler: Compiler, standard_input: Mapping[str, Any], source_name: str
) -> tuple[list[Artifact], list[str]]:
    output, warnings = compiler.compile(standard_input)
    digest = source_hash(standard_input)
    artifacts = [
        _artifact(name, source_name, digest, contract)
        for name, contract in sorted(output["contracts"].get(source_name, {}).items())
        if contract["evm"]["bytecode"]["object"]
    ]
    return artifacts, warnings


def _artifact(name: str, source_name: str, digest: str, contract: Mapping[str, Any]) -> Artifact:
    creation, runtime = contract["evm"]["bytecode"], contract["evm"]["deployedBytecode"]
    if creation["linkReferences"]:
        raise CompilationFailed(f"{name} needs a library with public functions to be linked in.")
    places = [
        (place["start"], place["length"])
        for group in runtime.get("immutableReferences", {}).values()
        for place in group
    ]
    return Artifact(
        name=name,
        source_name=source_name,
        compiler=SOLC_BUILD,
        source_hash=digest,
        abi=contract["abi"],
        bytecode=bytes.fromhex(creation["object"]),
        deployed_bytecode=bytes.fromhex(runtime["object"]),
        immutable_references=tuple(sorted(places)),
    )


def _only_contract(compiled: list[Artifact], source_name: str) -> Artifact:
    expected = PurePosixPath(source_name).stem
    if [artifact.name for artifact in compiled] != [expected]:
        found = ", ".join(artifact.name for artifact in compiled) or "none"
        raise CompilationFailed(
            f"{source_name} must hold one deployable contract, {expected}; found: {found}."
        )
    (artifact,) = compiled
    excess = len(artifact.deployed_bytecode) - CODE_SIZE_LIMIT
    if excess > 0:
        raise CompilationFailed(
            f"{expected} is {excess:,} bytes over the code size limit of {CODE_SIZE_LIMIT:,}."
        )
    return artifact


def _present(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}


def _where(committed: str, expected: str) -> str:
    try:
        left, right = json.loads(committed), json.loads(expected)
        keys = [key for key in right if left.get(key) != right[key]]
    except (ValueError, AttributeError):
        return ""
    return f" ({', '.join(keys)})" if keys else " (layout)"


def _is_installed(root: Path, source: str) -> bool:
    return not is_library(source) or (root / LIBRARIES / source).is_file()


def _text(root: Path, source: str) -> str | None:
    try:
        return read_source(root, source)
    except CompilationFailed:
        return None


def _raise_if_any(differences: list[str]) -> None:
    if differences:
        raise ArtifactDrift(
            "The committed artifacts do not match the Solidity sources: "
            + "; ".join(differences)
            + "."
        )
