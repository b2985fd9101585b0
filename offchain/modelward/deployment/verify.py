"""Compares the code at an address with the artifact it should be of."""

from __future__ import annotations

from collections.abc import Iterable

from modelward.chain.connection import Chain
from modelward.errors import CodeMismatch, NotDeployed
from modelward.solidity import Artifact
from modelward.terms import Address


def check_code(chain: Chain, artifact: Artifact, address: Address) -> None:
    """Check that the artifact's code is at `address`, whatever its immutables are set to.

    Raises `NotDeployed` when nothing is there, `CodeMismatch` when it is something else.
    """
    code = chain.code(address)
    if not code:
        raise NotDeployed(
            f"There is no code at {address}, where {artifact.name} was deployed.",
            hint=f"Run `modelward deploy --network {chain.network.name}` to deploy it afresh.",
        )
    places = artifact.immutable_references
    if masked(code, places) != masked(artifact.deployed_bytecode, places):
        raise CodeMismatch(
            f"The code at {address} is not that of {artifact.name}.",
            hint="The record or the artifacts belong to another deployment.",
        )


def masked(code: bytes, places: Iterable[tuple[int, int]]) -> bytes:
    """Code with zeros at `places` (start, length), where deploying writes the immutables."""
    blank = bytearray(code)
    for start, length in places:
        end = min(start + length, len(blank))
        blank[start:end] = bytes(max(0, end - start))
    return bytes(blank)
