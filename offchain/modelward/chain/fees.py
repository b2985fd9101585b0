"""What to bid for a transaction, by EIP-1559. All amounts are wei per unit of gas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelward.chain.encoding import quantity
from modelward.errors import FeeTooHigh, RpcError

if TYPE_CHECKING:
    from modelward.chain.connection import Block, Chain

DEFAULT_TIP = 1_000_000_000
"""Tip where the node does not suggest one."""


@dataclass(frozen=True, slots=True)
class Fees:
    """A bid: `max_fee` at most in all, `tip` of it at most to whoever builds the block."""

    max_fee: int
    tip: int

    def price(self, base_fee: int) -> int:
        """What a unit of gas costs in a block with that base fee."""
        return min(self.max_fee, base_fee + self.tip)

    def bumped(self, *, cap: int | None = None) -> Fees:
        """A bid that replaces this one: both parts at least 12.5 % higher, rounded up.

        Nodes refuse a replacement that adds less (geth 10 %, others 12.5 %).

        Raises `FeeTooHigh` when `cap` leaves no room for it.
        """
        max_fee = _raised(self.max_fee)
        if cap is not None and max_fee > cap:
            raise FeeTooHigh(needed=max_fee, cap=cap)
        return Fees(max_fee=max_fee, tip=min(_raised(self.tip), max_fee))


def choose_fees(chain: Chain, head: Block | None = None) -> Fees:
    """The bid for a transaction sent now: room for the base fee to double, plus the node's tip.

    A block can raise the base fee by an eighth at most, so this holds for at least five full
    blocks in a row. The network's cap bounds the bid as a whole.

    Raises `FeeTooHigh` when the base fee alone is above the cap.
    """
    base_fee = (head or chain.head()).base_fee
    try:
        tip = quantity(chain.rpc("eth_maxPriorityFeePerGas"))
    except RpcError:
        tip = DEFAULT_TIP
    cap = chain.network.max_fee_per_gas
    max_fee = 2 * base_fee + tip
    if cap is not None:
        if base_fee > cap:
            raise FeeTooHigh(needed=base_fee, cap=cap)
        max_fee = min(max_fee, cap)
    return Fees(max_fee=max_fee, tip=min(tip, max_fee))


def _raised(fee: int) -> int:
    return max(fee + 1, -(-fee * 9 // 8))
