"""Canonical inputs, and the canonical outputs that the reference gives."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from eth_abi.abi import encode

from modelward.models.exact import reference
from modelward.models.exact.inputs import NUMBER_LETTERS
from modelward.models.exact.program import Program


def canonical_input(program: Program, numbers: Sequence[int]) -> bytes:
    """The canonical input of these numbers."""
    letters = NUMBER_LETTERS[program.encoding]
    return struct.pack(f">B{program.features}{letters}", program.encoding, *numbers)


def canonical_output(program: Program, numbers: Sequence[int]) -> bytes:
    """What the program makes of them."""
    label, scores = reference.run(program, numbers)
    return encode(["uint8", "uint256", "int256[]"], [1, label, scores])
