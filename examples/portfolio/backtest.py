"""The months held out, traded on as PortfolioVault does, beside equal weights, after all fees.

In examples/, `python -m portfolio.backtest [--markets N] [--signal X]` does so in N other markets,
each with a model of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, pstdev
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from applications import answers
from portfolio.generate import History, closing_prices, history, returns_table
from portfolio.strategy import (
    WAD,
    Limits,
    Portfolio,
    equal_weights,
    rebalanced,
    target_weights,
)

from modelward.errors import ThresholdNotMet
from modelward.pipeline.definition import FrameSource, read_pipeline
from modelward.pipeline.package import PackagedModel
from modelward.pipeline.run import run_pipeline
from modelward.terms import ETHER

if TYPE_CHECKING:
    import pandas as pd

PIPELINE = Path(__file__).resolve().parent / "pipeline.toml"
START = 100_000 * WAD
TRADING_FEE_BPS = 10
PRICE = ETHER // 1000
"""What pipeline.toml asks for a prediction, in wei."""
ETHER_IN_CASH = 3_000
"""What such a fee is counted at."""
LIMITS = Limits(
    max_weight_bps=4_000,
    max_turnover_bps=5_000,
    max_slippage_bps=50,
    min_interval=28 * 86_400,
    max_age=3_600,
    tilt=20,
)

Forecasts = Mapping[int, tuple[int, ...]]
"""By month, a prediction for each asset, in 10^-decimals."""


@dataclass(frozen=True)
class Course:
    """The value at the end of each month, the first included, and what it took to get there."""

    values: tuple[int, ...]
    turnover: int
    trading_fees: int
    prediction_fees: int = 0

    @property
    def final(self) -> int:
        """What is left once everything was paid."""
        return self.values[-1] - self.prediction_fees

    @property
    def returns(self) -> list[float]:
        """Month by month."""
        return [after / before - 1 for before, after in pairwise(self.values)]

    @property
    def yearly(self) -> float:
        """The mean yearly return, compounded, after all fees."""
        years = (len(self.values) - 1) / 12
        return float((self.final / self.values[0]) ** (1 / years) - 1)

    @property
    def volatility(self) -> float:
        """Of the monthly returns, a year."""
        return float(pstdev(self.returns) * 12**0.5)

    @property
    def deepest_fall(self) -> float:
        """From a peak to the lowest value after it."""
        peak, deepest = 0, 0.0
        for value in self.values:
            peak = max(peak, value)
            deepest = max(deepest, 1 - value / peak)
        return deepest


@dataclass(frozen=True)
class Comparison:
    """What came of following the model, and of equal weights."""

    model: Course
    equal: Course

    def rows(self) -> list[tuple[str, ...]]:
        """Both, figure by figure."""
        both = (self.model, self.equal)
        return [
            ("value at the end", *(f"{course.final / WAD:,.0f}" for course in both)),
            ("return a year", *(f"{course.yearly:.2%}" for course in both)),
            ("volatility a year", *(f"{course.volatility:.2%}" for course in both)),
            ("deepest fall", *(f"{course.deepest_fall:.2%}" for course in both)),
            ("sold and bought", *(f"{course.turnover / WAD:,.0f}" for course in both)),
            ("trading fees", *(f"{course.trading_fees / WAD:,.0f}" for course in both)),
            ("prediction fees", *(f"{course.prediction_fees / WAD:,.0f}" for course in both)),
        ]


def unseen(rows: pd.DataFrame) -> pd.DataFrame:
    """The last fifth of the months, which pipeline.toml holds out."""
    last = int(rows["month"].max())
    return rows.loc[rows["month"].gt(last * 4 // 5)]


def forecasts(packaged: PackagedModel, rows: pd.DataFrame) -> Forecasts:
    """What the model answers for each row, as a worker would."""
    predicted: dict[int, tuple[int, ...]] = {}
    for month, answer in zip(rows["month"], answers(packaged, rows), strict=True):
        predicted[month] = (*predicted.get(month, ()), *answer.units)
    return predicted


def starting_portfolio(prices: Sequence[int]) -> Portfolio:
    """As much of each asset for the same money."""
    return Portfolio(0, tuple(START // len(prices) * WAD // price for price in prices))


def compare(known: History, predicted: Forecasts, decimals: int, fee: int) -> Comparison:
    """Trade at the end of each month there are predictions for, of which each costs `fee` wei."""
    months = sorted(predicted)
    courses = {
        followed: _course(known, months, predicted if followed else None, decimals, fee)
        for followed in (True, False)
    }
    return Comparison(courses[True], courses[False])


def _course(
    known: History, months: Sequence[int], predicted: Forecasts | None, decimals: int, fee: int
) -> Course:
    prices = closing_prices(known, months[0])
    portfolio = starting_portfolio(prices)
    values, turnover, trading_fees = [portfolio.value(prices)], 0, 0
    for month in months:
        prices = closing_prices(known, month)
        weights = (
            equal_weights(len(prices))
            if predicted is None
            else target_weights(predicted[month], decimals, LIMITS)
        )
        trades = rebalanced(portfolio, prices, weights, TRADING_FEE_BPS, LIMITS.max_turnover_bps)
        portfolio = trades.after
        turnover += trades.turnover
        trading_fees += trades.fees
        values.append(portfolio.value(closing_prices(known, month + 1)))
    asked = 0 if predicted is None else len(months) * len(prices)
    return Course(tuple(values), turnover, trading_fees, asked * fee * ETHER_IN_CASH * WAD // ETHER)


def whole_story(folder: Path, seed: int, signal: float) -> Comparison:
    """Generate a market, run the pipeline on it, and trade on the months held out.

    Raises `ThresholdNotMet` where the pipeline publishes nothing.
    """
    rows = returns_table(seed, signal)
    definition = read_pipeline(PIPELINE)
    definition = definition.model_copy(update={"source": FrameSource(kind="frame")})
    run = run_pipeline(definition, base=folder, directory=folder, frame=rows)
    predicted = forecasts(run.packaged, unseen(rows))
    decimals = run.packaged.manifest.output.decimals
    return compare(history(seed, signal), predicted, decimals, PRICE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trade on the months held out.")
    parser.add_argument("--markets", type=int, default=12)
    parser.add_argument("--signal", type=float, default=1.0)
    given = parser.parse_args()
    ahead = []
    for seed in range(100, 100 + given.markets):
        try:
            with TemporaryDirectory() as folder:
                both = whole_story(Path(folder), seed, given.signal)
        except ThresholdNotMet:
            print(
                f"market {seed}   nothing published: the model is below its threshold", flush=True
            )
            continue
        ahead.append(both.model.yearly - both.equal.yearly)
        print(f"market {seed}   {ahead[-1]:+.2%} a year against equal weight", flush=True)
    better = sum(difference > 0 for difference in ahead)
    print(f"published in {len(ahead)} of {given.markets} markets, and better in {better} of those")
    if ahead:
        print(f"{mean(ahead):+.2%} a year on average")


if __name__ == "__main__":
    main()
