"""The compiled contracts, and how they are made from their Solidity sources.

`load_artifact` gives a compiled contract and needs nothing but this package. The rest needs a
checkout: `sources` gathers what a contract is compiled from, `compiler` finds the pinned solc and
runs it, `build` makes the committed artifacts and compares them with the sources.
"""

from modelward.solidity.artifacts import (
    Artifact,
    artifact_names,
    load_artifact,
    standard_input,
)

__all__ = ["Artifact", "artifact_names", "load_artifact", "standard_input"]
