"""A random forest tells three cultivars of wine apart: python examples/wine.py [--network NAME]"""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from market import main


def train() -> tuple[Any, Any, Any]:
    """A fitted forest, and 40 rows it has not seen with their labels."""
    data = load_wine(as_frame=True)
    cultivars = data.target.map({0: "barolo", 1: "grignolino", 2: "barbera"})
    seen, unseen, known, truth = train_test_split(
        data.data, cultivars, test_size=40, random_state=0
    )
    return RandomForestClassifier(50, random_state=0).fit(seen, known), unseen, truth


if __name__ == "__main__":
    main(*train(), name="wine", price="0.0005 ether", thresholds={"f1_macro": 0.9})
