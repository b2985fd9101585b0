"""Makes legs.csv: journeys of goods that never went anywhere.

python examples/logistics/generate.py [--seed N] [--output FILE]

A leg takes its distance at the speed of its mode, longer at sea in strong wind and on roads at the
hours when everybody drives; a few hours at each border, and for loading and unloading by weight and
congestion; and who arrives on a Sunday at a terminal waits. What remains is chance, of about a
tenth of the hours.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LEGS = 2_000
DAYS = 730
SEED = 3


@dataclass(frozen=True)
class Mode:
    """Distances in km, speed in km/h, cargo in tonnes, hours at the terminal."""

    nearest: float
    farthest: float
    speed: float
    heaviest: float
    handling: float


MODES = {
    "rail": Mode(200, 2_500, 45, 1_500, 8),
    "road": Mode(30, 1_500, 62, 25, 1.5),
    "sea": Mode(300, 6_000, 30, 8_000, 14),
}

_SUNDAY = 6
_BORDER_HOURS = 2.5
_CHANCE = 0.1


def legs_table(seed: int = SEED, legs: int = LEGS) -> pd.DataFrame:
    """One row a leg: what is known when it begins, and the hours it took; by day of departure."""
    import pandas as pd

    random = np.random.default_rng(seed)
    days = np.sort(random.integers(1, DAYS + 1, legs))
    names = random.choice(list(MODES), legs, p=[0.25, 0.5, 0.25])
    rows = []
    for day, name in zip(days, names, strict=True):
        mode = MODES[name]
        distance = np.exp(random.uniform(np.log(mode.nearest), np.log(mode.farthest)))
        tonnes = random.uniform(0.05, 1) * mode.heaviest
        hour, weekday = int(random.integers(0, 24)), int(day % 7)
        wind = min(11.0, random.weibull(2) * 5)
        congestion = random.beta(2, 4)
        borders = int(random.poisson(distance / 1_200)) if name != "sea" else 0
        slower = 1 + (0.06 * max(0.0, wind - 4) if name == "sea" else 0.0)
        if name == "road" and (6 <= hour <= 9 or 15 <= hour <= 18) and weekday < _SUNDAY - 1:
            slower += 0.15
        hours = distance / mode.speed * slower + borders * _BORDER_HOURS
        hours += mode.handling * (0.5 + tonnes / mode.heaviest) * (1 + 2 * congestion)
        if name != "road" and (weekday + (hour + hours) / 24) % 7 >= _SUNDAY:
            hours += 12
        hours *= np.exp(random.normal(0, _CHANCE))
        rows.append((day, name, distance, tonnes, hour, weekday, borders, wind, congestion, hours))
    columns = [
        "day",
        "mode",
        "distance",
        "tonnes",
        "hour",
        "weekday",
        "borders",
        "wind",
        "congestion",
        "hours",
    ]
    return pd.DataFrame(rows, columns=columns).round(3)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make legs.csv.")
    parser.add_argument("--seed", type=int, default=SEED)
    default = Path(__file__).resolve().parent / "legs.csv"
    parser.add_argument("--output", type=Path, default=default)
    given = parser.parse_args()
    legs_table(given.seed).to_csv(given.output, index=False)


if __name__ == "__main__":
    main()
