"""Makes returns.csv: months of six assets that never existed.

python examples/portfolio/generate.py [--seed N] [--signal X] [--output FILE]

An asset's price is its earnings times a multiple. Earnings grow by a rate that drifts slowly, with
noise that all assets share in part; the multiple's logarithm falls back to zero slowly. What can be
foreseen of a month's return is the rate, and a fifteenth of the logarithm's distance from zero:
about 4 % of the variance of returns relative to the average. `--signal` scales it; with 0, nothing
can be foreseen.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

ASSETS = ("consumer", "energy", "finance", "health", "industry", "technology")
MONTHS = 480
SEED = 2

_HISTORY = 12
_WARM_UP = 120
_MEAN_GROWTH = 0.005
_GROWTH_PERSISTENCE = 0.9
_GROWTH_SHOCK = 0.003
_COMMON_NOISE = 0.025
_OWN_NOISE = 0.03
_MULTIPLE_PERSISTENCE = 1 - 1 / 15
_MULTIPLE_SHOCK = 0.03


@dataclass(frozen=True)
class History:
    """Logarithms of prices and of earnings, months by assets, and what was to be expected.

    `expected[t]` is the mean of the return of month t, given all that came before.
    """

    prices: NDArray[np.float64]
    earnings: NDArray[np.float64]
    expected: NDArray[np.float64]


def history(seed: int = SEED, signal: float = 1.0, months: int = MONTHS) -> History:
    """Prices of `months`, and of the twelve before that the first row looks back on."""
    random = np.random.default_rng(seed)
    total, size = _WARM_UP + _HISTORY + months + 1, len(ASSETS)
    growth, multiple = np.zeros(size), np.zeros(size)
    earnings, prices = np.zeros((total, size)), np.zeros((total, size))
    expected = np.zeros((total, size))
    for month in range(1, total):
        fading = -(1 - _MULTIPLE_PERSISTENCE) * multiple
        expected[month] = _MEAN_GROWTH + signal * (growth + fading)
        noise = random.normal(0, _COMMON_NOISE) + random.normal(0, _OWN_NOISE, size)
        shock = random.normal(0, _MULTIPLE_SHOCK, size)
        earnings[month] = earnings[month - 1] + _MEAN_GROWTH + signal * growth + noise
        prices[month] = prices[month - 1] + expected[month] + noise + shock
        multiple = multiple + fading + shock
        growth = _GROWTH_PERSISTENCE * growth + random.normal(0, _GROWTH_SHOCK, size)
    return History(prices[_WARM_UP:], earnings[_WARM_UP:], expected[_WARM_UP:])


def closing_prices(known: History, month: int) -> tuple[int, ...]:
    """What one whole token of each asset costs at the end of a month, in 10^-18 of cash.

    Months are numbered as in `returns_table`; all prices began at 100.
    """
    grown = np.exp(known.prices[month - 1 + _HISTORY] - known.prices[0])
    return tuple(round(float(price) * 100 * 10**6) * 10**12 for price in grown)


def returns_table(seed: int = SEED, signal: float = 1.0, months: int = MONTHS) -> pd.DataFrame:
    """One row a month and asset: what was known at the month's end, and the return of the next.

    All figures are relative to the average of the six assets in that month.
    """
    import pandas as pd

    known = history(seed, signal, months)
    returns = np.diff(known.prices, axis=0, prepend=known.prices[:1])
    parts = []
    for month in range(months):
        now = month + _HISTORY
        columns = {
            "last_month": returns[now],
            "last_year": known.prices[now - 1] - known.prices[now - _HISTORY],
            "volatility": returns[now - _HISTORY + 1 : now + 1].std(axis=0, ddof=1),
            "earnings_growth": known.earnings[now] - known.earnings[now - _HISTORY],
            "earnings_yield": known.earnings[now] - known.prices[now],
            "next_month": np.expm1(returns[now + 1]),
        }
        relative = {name: values - values.mean() for name, values in columns.items()}
        parts.append(pd.DataFrame({"month": month + 1, "asset": ASSETS, **relative}))
    return pd.concat(parts, ignore_index=True).round(6)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make returns.csv.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--signal", type=float, default=1.0)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).resolve().parent / "returns.csv"
    )
    given = parser.parse_args()
    returns_table(given.seed, given.signal).to_csv(given.output, index=False)


if __name__ == "__main__":
    main()
