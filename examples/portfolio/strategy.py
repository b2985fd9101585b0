"""What PortfolioVault does with predictions, to the last unit; and what would have come of it.

Weights and prices are integers in 10^-18, money and tokens integers in base units (10^-18).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WAD = 10**18
WHOLE_BPS = 10_000


@dataclass(frozen=True)
class Limits:
    """Mirrors the struct of the same name."""

    max_weight_bps: int
    max_turnover_bps: int
    max_slippage_bps: int
    min_interval: int
    max_age: int
    tilt: int


@dataclass(frozen=True)
class Portfolio:
    """Cash, and so much of each asset."""

    cash: int
    held: tuple[int, ...]

    def value(self, prices: Sequence[int]) -> int:
        """All of it in cash, at these prices."""
        return self.cash + sum(
            amount * price // WAD for amount, price in zip(self.held, prices, strict=True)
        )


@dataclass(frozen=True)
class Trades:
    """A portfolio after trading, the value that was sold and bought, and what the exchange kept."""

    after: Portfolio
    turnover: int
    fees: int


def target_weights(predictions: Sequence[int], decimals: int, limits: Limits) -> tuple[int, ...]:
    """The weights that predictions, in 10^-decimals, give."""
    count, total = len(predictions), sum(predictions)
    most = limits.max_weight_bps * WAD // WHOLE_BPS
    weights = []
    for prediction in predictions:
        ahead = prediction * count - total
        moved = _divided(limits.tilt * WAD * ahead, count * 10**decimals)
        weights.append(min(max(WAD // count + moved, 0), most))
    whole = sum(weights)
    return tuple(weights if whole <= WAD else [weight * WAD // whole for weight in weights])


def equal_weights(count: int) -> tuple[int, ...]:
    """The same weight for each."""
    return (WAD // count,) * count


def rebalanced(
    portfolio: Portfolio,
    prices: Sequence[int],
    weights: Sequence[int],
    fee_bps: int,
    max_turnover_bps: int = 2 * WHOLE_BPS,
) -> Trades:
    """Trade towards `weights` at `prices`, for a fee on what each trade gives."""
    worth = [amount * price // WAD for amount, price in zip(portfolio.held, prices, strict=True)]
    value = portfolio.cash + sum(worth)
    moves = [value * weight // WAD - now for weight, now in zip(weights, worth, strict=True)]
    turnover, most = sum(map(abs, moves)), value * max_turnover_bps // WHOLE_BPS
    if turnover > most:
        moves = [_divided(move * most, turnover) for move in moves]
    cash, held = portfolio.cash, list(portfolio.held)
    for index, (move, price) in enumerate(zip(moves, prices, strict=True)):
        if move < 0:
            sold = -move * WAD // price
            held[index] -= sold
            cash += _less_fee(sold * price // WAD, fee_bps)
    for index, (move, price) in enumerate(zip(moves, prices, strict=True)):
        if move > 0:
            spent = min(move, cash)
            cash -= spent
            held[index] += _less_fee(spent * WAD // price, fee_bps)
    after = Portfolio(cash, tuple(held))
    return Trades(after, sum(map(abs, moves)), value - after.value(prices))


def _less_fee(amount: int, fee_bps: int) -> int:
    return amount * (WHOLE_BPS - fee_bps) // WHOLE_BPS


def _divided(number: int, by: int) -> int:
    """Rounded towards zero, as Solidity does."""
    return number // by if number >= 0 else -(-number // by)
