"""What a worker takes on, on which terms, and how it pays for its transactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from modelward.terms import ETH, ETHER, Address, Offer


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What one whole token of `decimals` decimals is worth to the operator, in wei."""

    wei: int
    decimals: int

    def worth(self, amount: int) -> int:
        """The worth in wei, rounded down, of an `amount` of base units."""
        worth: int = amount * self.wei // 10**self.decimals
        return worth


@dataclass(frozen=True, slots=True)
class Policy:
    """What a worker takes on. Amounts in wei, times in seconds as told by block timestamps.

    Pay: `min_pay` is the least that its share of a fee must be; `compute_cost` is what a prediction
    costs it beside the gas; `allow_loss` answers even when both cost more than that share. `tokens`
    gives the worth of fees in tokens; a request paid in another one is left alone, or refused if
    `refuse_unpriced` says so.

    Time: no work begins with less than `margin` to the deadline; what is missing is waited for
    until `refuse_within` before it.

    Limits: inputs in events have at most `max_input_bytes`. Within each `period`, one requester's
    requests are at most `max_requests`, and the gas for them at most `max_spend`; None is no limit.
    Refusals pay nothing: all of one requester's cost at most `refusal_budget` in a period.

    Sending: a transaction that no block has taken for `patience` is replaced by one that bids more.
    At most `window` transactions are in flight, each with at most `batch` answers.
    """

    min_pay: int = 0
    compute_cost: int = 0
    allow_loss: bool = False
    tokens: Mapping[Address, TokenPrice] = field(default_factory=lambda: MappingProxyType({}))
    refuse_unpriced: bool = False
    margin: int = 5
    refuse_within: int = 30
    max_input_bytes: int = 1 << 16
    period: int = 3_600
    max_requests: int | None = None
    max_spend: int | None = None
    refusal_budget: int = ETHER // 200
    patience: int = 30
    window: int = 16
    batch: int = 64

    def pay(self, offer: Offer) -> int | None:
        """What the worker's share of an offer's fee is worth, None for a token without a price."""
        if offer.token == ETH:
            return offer.worker_share
        price = self.tokens.get(offer.token)
        return None if price is None else price.worth(offer.worker_share)
