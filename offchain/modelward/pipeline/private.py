"""Differentially private training of a binary logistic regression.

Objective perturbation: K. Chaudhuri, C. Monteleoni, A. Sarwate, "Differentially Private Empirical
Risk Minimization", JMLR 12 (2011), algorithm 2 with the logistic loss (theorem 9, c = 1/4). What
comes out is epsilon-differentially private in the training rows: replacing any one of them changes
the probability of any outcome by a factor of at most exp(epsilon).

What it rests on: ranges and the norm that rows are clipped to are stated, never learned; the noise
comes from the operating system and its state is kept nowhere; the minimiser is found to a tolerance
far below the noise (the proof is for the exact one); and nothing else that is published was
computed from the training rows.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelward.errors import InvalidTerms

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    Array = npt.NDArray[np.float64]

_SMOOTHNESS = 0.25
"""c: the largest second derivative of the logistic loss."""


def train_privately(
    inputs: pd.DataFrame,
    labels: Sequence[Any],
    *,
    classes: Sequence[Any],
    ranges: Mapping[str, tuple[float, float]],
    epsilon: float,
    strength: float,
    norm: float,
) -> LogisticRegression:
    """A logistic regression fitted to `inputs` (n rows, d columns) with `epsilon` of privacy.

    Every column is brought from its range to -1..1, values outside clipped, and every row then to
    an Euclidean length of at most `norm`. `strength` is the weight of the regularisation. The two
    `classes` are in the order in which the estimator has them.

    Raises `InvalidTerms` for more or fewer than two classes, columns without a range, and
    parameters that are not positive.
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit
    from sklearn.linear_model import LogisticRegression

    names = list(inputs.columns)
    _check(names, classes, ranges, epsilon=epsilon, strength=strength, norm=norm)
    low, high = (np.array([ranges[name][end] for name in names]) for end in (0, 1))
    middle, half = (low + high) / 2, (high - low) / 2
    scaled = np.clip((inputs.to_numpy(np.float64) - middle) / half, -1, 1)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    clipped = scaled / np.maximum(lengths / norm, 1)
    # With the constant beside them, rows are at most 1 long, as the theorem demands.
    rows = np.hstack([clipped / norm, np.ones((len(clipped), 1))]) / math.sqrt(2)
    signs = np.where(np.asarray(labels) == classes[1], 1.0, -1.0)
    count, width = rows.shape
    noise, weight = _perturbation(count, width, epsilon, strength)

    def objective(weights: Array) -> tuple[float, Array]:
        margins = signs * (rows @ weights)
        loss = np.logaddexp(0, -margins).mean() + weight / 2 * weights @ weights
        slope = rows.T @ (-signs * expit(-margins)) / count + weight * weights
        return loss + noise @ weights / count, slope + noise / count

    found = minimize(
        objective,
        np.zeros(width),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-10},
    ).x / math.sqrt(2)
    estimator = LogisticRegression()
    estimator.classes_ = np.asarray(classes)
    estimator.coef_ = (found[:-1] / norm / half)[np.newaxis]
    estimator.intercept_ = np.array([found[-1] - estimator.coef_[0] @ middle])
    estimator.n_features_in_ = len(names)
    estimator.feature_names_in_ = np.asarray(names, dtype=object)
    estimator.n_iter_ = np.array([1], dtype=np.int32)
    return estimator


def _check(
    names: Sequence[str],
    classes: Sequence[Any],
    ranges: Mapping[str, tuple[float, float]],
    **parameters: float,
) -> None:
    if len(classes) != 2:
        raise InvalidTerms("Private training is for two classes.")
    for name in names:
        low, high = ranges.get(name, (0.0, 0.0))
        if not low < high:
            raise InvalidTerms(
                f"Private training needs the range of {name!r}, which must not be learned.",
                hint="State its minimum and maximum.",
            )
    for name, value in parameters.items():
        if not (math.isfinite(value) and value > 0):
            raise InvalidTerms(f"{name} must be a positive number.")


def _perturbation(count: int, width: int, epsilon: float, strength: float) -> tuple[Array, float]:
    """The noise vector, and the weight of the regularisation, raised where the noise demands it."""
    import numpy as np

    ratio = _SMOOTHNESS / (count * strength)
    left = epsilon - 2 * math.log1p(ratio)
    weight = strength
    if left <= 0:
        weight = max(strength, _SMOOTHNESS / (count * math.expm1(epsilon / 4)))
        left = epsilon / 2
    source = np.random.default_rng(secrets.randbits(256))
    direction = source.normal(size=width)
    length = source.gamma(width, 2 / left)
    return direction / np.linalg.norm(direction) * length, weight
