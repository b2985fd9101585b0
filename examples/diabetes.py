"""A ridge regression foretells how diabetes progresses.

python examples/diabetes.py [--network NAME]

A regression has no classes: its output is a number with as many decimals as its manifest says.
"""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from market import main


def train() -> tuple[Any, Any, Any]:
    """A fitted ridge regression, and 100 rows it has not seen with what they came to."""
    data = load_diabetes(as_frame=True)
    seen, unseen, known, truth = train_test_split(
        data.data, data.target, test_size=100, random_state=0
    )
    return Ridge(alpha=0.1).fit(seen, known), unseen, truth


if __name__ == "__main__":
    main(*train(), name="diabetes-progression", price="0.002 ether", thresholds={"mae": 60})
