"""`eth_feeHistory`: what recent blocks cost."""

from __future__ import annotations

from typing import Final

from eth.vm.forks.london.headers import calculate_expected_base_fee_per_gas

from modelward.devchain.faults import invalid_params
from modelward.devchain.ledger import Block, Ledger
from modelward.devchain.parameters import array, number
from modelward.devchain.shapes import JsonObject

MAX_BLOCKS: Final = 1024
MAX_PERCENTILES: Final = 100


def read_count(value: object) -> int:
    """Read how many blocks are wanted; more than 1024 are cut to that, as in geth."""
    return min(number(value, "blockCount"), MAX_BLOCKS)


def read_percentiles(value: object) -> list[float] | None:
    """Read the ascending percentiles of the tips that are wanted, or None for no tips.

    Raises:
        RpcFault: they are not ascending numbers from 0 to 100, or too many.
    """
    if value is None:
        return None
    percentiles = array(value, "reward percentiles")
    if len(percentiles) > MAX_PERCENTILES:
        raise invalid_params(f"over the limit of {MAX_PERCENTILES} reward percentiles")
    for item in percentiles:
        if isinstance(item, bool) or not isinstance(item, int | float) or not 0 <= item <= 100:
            raise invalid_params(f"invalid reward percentile: {item!r}")
    if percentiles != sorted(percentiles):
        raise invalid_params("reward percentiles must be ascending")
    return [float(item) for item in percentiles]


def fee_history_json(
    ledger: Ledger, count: int, last: Block, percentiles: list[float] | None
) -> JsonObject:
    """Return base fees (one more than blocks), fill ratios and tips up to block `last`."""
    first = max(last.number - count + 1, 0)
    blocks = list(ledger.blocks(first, last.number)) if count else []
    if not blocks:
        return {"oldestBlock": "0x0", "gasUsedRatio": []}
    next_fee = calculate_expected_base_fee_per_gas(blocks[-1].header)
    answer: JsonObject = {
        "oldestBlock": hex(first),
        "baseFeePerGas": [hex(b.base_fee) for b in blocks] + [hex(next_fee)],
        "gasUsedRatio": [b.header.gas_used / b.header.gas_limit for b in blocks],
        "baseFeePerBlobGas": ["0x1"] * (len(blocks) + 1),
        "blobGasUsedRatio": [0.0] * len(blocks),
    }
    if percentiles:
        answer["reward"] = [[hex(tip) for tip in _tips(block, percentiles)] for block in blocks]
    return answer


def _tips(block: Block, percentiles: list[float]) -> list[int]:
    """Return the tips per gas at these percentiles of the gas used, in wei."""
    if not block.transactions:
        return [0] * len(percentiles)
    base_fee = block.base_fee
    paid = sorted((m.effective_gas_price - base_fee, m.gas_used) for m in block.transactions)
    tips, place, gas = [], 0, paid[0][1]
    for percentile in percentiles:
        threshold = block.header.gas_used * percentile / 100
        while gas < threshold and place < len(paid) - 1:
            place += 1
            gas += paid[place][1]
        tips.append(paid[place][0])
    return tips
