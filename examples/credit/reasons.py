"""Why a score is what it is: terms that add up to it.

A logistic regression over scaled figures says

    log-odds = b + sum_i w_i (x_i - mean_i) / scale_i

so that each figure's term is how far it moves the borrower's log-odds from those of somebody who
is average in everything. Nothing is estimated here: the model is public, its bundle has the hash
that the version pins, and the terms are refused unless they give the score on chain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from modelward.errors import CheckFailed
from modelward.models.bundle import open_bundle
from modelward.sdk import Catalogue, Connection

WHOLE = 10**9
TOLERANCE = 1e-6
"""How far the sum of the terms may be from the score, as a probability."""


@dataclass(frozen=True)
class Reason:
    """One figure's part in a score: `log_odds` above zero speaks for the borrower."""

    figure: str
    value: float
    average: float
    log_odds: float


def reasons(
    connection: Connection, reference: str, figures: Mapping[str, float], score: int
) -> tuple[Reason, ...]:
    """The terms of `score` (a probability of repayment times 10^9), what lowers it most first.

    Raises `CheckFailed` unless the figures, with the published model, give that score, and what
    getting the bundle raises.
    """
    catalogue = Catalogue(connection)
    version = catalogue.version(reference)
    bundle = open_bundle(catalogue.bundle(version), version.version.bundle_hash)
    scaler, logistic = bundle.estimator
    names = bundle.manifest.input.names
    weights, intercept = logistic.coef_[0], float(logistic.intercept_[0])
    found = tuple(
        Reason(name, float(figures[name]), float(mean), float(weight * (figures[name] - mean) / by))
        for name, weight, mean, by in zip(names, weights, scaler.mean_, scaler.scale_, strict=True)
    )
    summed = 1 / (1 + math.exp(-intercept - sum(each.log_odds for each in found)))
    if abs(summed - score / WHOLE) > TOLERANCE:
        raise CheckFailed(
            f"The figures add up to a score of {summed:.6f}, not of {score / WHOLE:.6f}."
        )
    return tuple(sorted(found, key=lambda each: each.log_odds))
