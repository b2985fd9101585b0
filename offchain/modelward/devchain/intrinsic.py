"""What a transaction's bytes cost before a single instruction runs."""

from __future__ import annotations

from typing import Final

from eth.constants import GAS_TX, GAS_TXDATAZERO
from eth.vm.forks.istanbul.constants import GAS_TXDATANONZERO_EIP2028
from eth.vm.forks.prague.constants import STANDARD_TOKEN_COST, TOTAL_COST_FLOOR_PER_TOKEN
from eth.vm.forks.shanghai.constants import MAX_INITCODE_SIZE

MAX_INITCODE: Final = MAX_INITCODE_SIZE
"""EIP-3860, in bytes."""


def floor_gas(data: bytes) -> int:
    """Return the least gas a transaction with this data is charged (EIP-7623)."""
    zeros = data.count(0)
    tokens = zeros + (len(data) - zeros) * STANDARD_TOKEN_COST
    return GAS_TX + tokens * TOTAL_COST_FLOOR_PER_TOKEN


def intrinsic_gas(data: bytes) -> int:
    """Return what a call with this data is charged before it begins (EIP-2028)."""
    zeros = data.count(0)
    return GAS_TX + zeros * GAS_TXDATAZERO + (len(data) - zeros) * GAS_TXDATANONZERO_EIP2028
