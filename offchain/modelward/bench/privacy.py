"""What differential privacy costs: accuracy against epsilon, on the breast cancer data.

The data are public, so that measuring this spends nobody's privacy. The ranges are what a
pathologist would call possible, not what these rows happen to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from modelward.pipeline.private import train_privately

RANGES = {
    "worst radius": (6.0, 30.0),
    "worst texture": (10.0, 45.0),
    "worst perimeter": (40.0, 200.0),
    "worst area": (150.0, 2200.0),
    "worst smoothness": (0.07, 0.2),
    "worst compactness": (0.0, 0.8),
    "worst concavity": (0.0, 0.9),
    "worst concave points": (0.0, 0.3),
    "worst symmetry": (0.15, 0.5),
    "worst fractal dimension": (0.05, 0.15),
}
EPSILONS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
RUNS = 20
STRENGTH = 0.01
NORM = 1.5


@dataclass(frozen=True)
class PrivacyCost:
    """Held-out accuracy of `runs` private trainings a value of epsilon, and of one without."""

    runs: int
    without: float
    epsilons: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]


def measure(
    *,
    epsilons: Sequence[float] = EPSILONS,
    runs: int = RUNS,
    progress: Callable[[str], None] = lambda _: None,
) -> PrivacyCost:
    """Train `runs` times, two at least, with each of `epsilons`; other rows are held out each time.

    The non-private accuracy is the mean of logistic regressions on all 30 features, with the same
    rows held out.
    """
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer(as_frame=True)
    private = data.data[list(RANGES)]

    def parts(seed: int) -> Any:
        return train_test_split(
            private.index, data.target, test_size=0.25, random_state=seed, stratify=data.target
        )

    without = []
    scores: dict[float, list[float]] = {epsilon: [] for epsilon in epsilons}
    for seed in range(runs):
        progress(f"run {seed + 1} of {runs}")
        seen, unseen, labels, truth = parts(seed)
        plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        plain.fit(data.data.loc[seen], labels)
        without.append(float(plain.score(data.data.loc[unseen], truth)))
        for epsilon in epsilons:
            fitted = train_privately(
                private.loc[seen],
                labels.tolist(),
                classes=(0, 1),
                ranges=RANGES,
                epsilon=epsilon,
                strength=STRENGTH,
                norm=NORM,
            )
            scores[epsilon].append(float(fitted.score(private.loc[unseen], truth)))
    return PrivacyCost(
        runs=runs,
        without=fmean(without),
        epsilons=tuple(epsilons),
        means=tuple(fmean(scores[epsilon]) for epsilon in epsilons),
        deviations=tuple(stdev(scores[epsilon]) for epsilon in epsilons),
    )


def plot(cost: PrivacyCost, file: Path) -> None:
    """Write the figure as PNG. Raises `OSError`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4), dpi=120, layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axhline(cost.without, color="0.5", linestyle=":", label="without privacy")
    axes.errorbar(cost.epsilons, cost.means, yerr=cost.deviations, marker="o", capsize=3)
    axes.set(xscale="log", xlabel="epsilon", ylabel="held-out accuracy")
    axes.legend()
    figure.savefig(file, format="png")
