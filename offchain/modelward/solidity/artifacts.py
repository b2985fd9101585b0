"""Compiled contracts, one JSON file each, committed beside this module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from modelward.errors import UnknownContract

FOLDER = "artifacts"
INPUTS = "inputs"


@dataclass(frozen=True)
class Artifact:
    """A compiled contract.

    `bytecode` deploys it, `deployed_bytecode` is what then lies on chain, with zeros in the byte
    ranges of `immutable_references` (start, length). `source_hash` is the SHA-256 of the canonical
    standard-JSON input: sources, libraries, settings.
    """

    name: str
    source_name: str
    compiler: str
    source_hash: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_references: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> str:
        """The artifact file's text; the same artifact always gives the same text."""
        return canonical_json(
            {
                "contractName": self.name,
                "sourceName": self.source_name,
                "compiler": self.compiler,
                "sourceHash": self.source_hash,
                "abi": self.abi,
                "bytecode": "0x" + self.bytecode.hex(),
                "deployedBytecode": "0x" + self.deployed_bytecode.hex(),
                "immutableReferences": [list(place) for place in self.immutable_references],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Artifact:
        """Read what `to_json` wrote."""
        fields: Mapping[str, Any] = json.loads(text)
        return cls(
            name=fields["contractName"],
            source_name=fields["sourceName"],
            compiler=fields["compiler"],
            source_hash=fields["sourceHash"],
            abi=fields["abi"],
            bytecode=bytes.fromhex(fields["bytecode"][2:]),
            deployed_bytecode=bytes.fromhex(fields["deployedBytecode"][2:]),
            immutable_references=tuple(
                (start, length) for start, length in fields["immutableReferences"]
            ),
        )


def canonical_json(value: Any) -> str:
    """JSON in the one layout that artifact files have."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def artifact_names() -> list[str]:
    """The names of all compiled contracts, sorted."""
    folder = files(__package__) / FOLDER
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".json"))


@cache
def load_artifact(name: str) -> Artifact:
    """The compiled contract of that name.

    Raises `UnknownContract`.
    """
    return Artifact.from_json(_read(name, f"{name}.json"))


def standard_input(name: str) -> dict[str, Any]:
    """The standard-JSON input the contract was compiled from, as block explorers ask for it.

    Raises `UnknownContract`.
    """
    fields: dict[str, Any] = json.loads(_read(name, INPUTS, f"{name}.json"))
    return fields


def _read(name: str, *place: str) -> str:
    try:
        return (files(__package__) / FOLDER).joinpath(*place).read_text("utf-8")
    except FileNotFoundError as error:
        known = ", ".join(artifact_names()) or "none"
        raise UnknownContract(
            f"There is no compiled contract named {name!r} (there are: {known})."
        ) from error
