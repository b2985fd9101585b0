"""What a model card shows beyond the metrics: groups, calibration, and the curves behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelward.models.output import OutputSpec
from modelward.models.schema import InputSchema, Row
from modelward.pipeline.evaluate import evaluate
from modelward.terms import Metric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BINS = 10
LEAST_GROUP = 5
"""Groups with fewer held-out rows are counted, but not measured."""


@dataclass(frozen=True)
class Group:
    """The held-out rows that have one value in one column."""

    column: str
    value: str
    rows: int
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Calibration:
    """How far probabilities are from frequencies, for the likeliest class of every row.

    `brier` is the mean squared error over all classes (Brier 1950, 0 to 2), `error` the expected
    calibration error over ten bins of equal width (Guo et al. 2017, 0 to 1). `bins` has the mean
    probability, the frequency of being right and the number of rows of each bin that has any.
    """

    brier: float
    error: float
    bins: tuple[tuple[float, float, int], ...]


def by_group(
    estimator: Any,
    schema: InputSchema,
    output: OutputSpec,
    rows: Sequence[Row],
    labels: Sequence[Any],
    columns: Mapping[str, Sequence[Any]],
) -> tuple[Group, ...]:
    """The metrics of `estimator` among the held-out `rows` that share a value in a column.

    `columns` has the values of every row by column; `labels` are the true ones.
    """
    groups = []
    for column, values in columns.items():
        for value in sorted(set(map(str, values))):
            chosen = [index for index, each in enumerate(values) if str(each) == value]
            measured: tuple[Metric, ...] = ()
            if len(chosen) >= LEAST_GROUP:
                some = [rows[index] for index in chosen]
                truth = [labels[index] for index in chosen]
                measured = evaluate(estimator, schema, output, some, truth).metrics
            groups.append(Group(column, value, len(chosen), measured))
    return tuple(groups)


def calibration(
    probabilities: npt.NDArray[np.float64], classes: Sequence[Any], labels: Sequence[Any]
) -> Calibration:
    """The calibration of `probabilities`, one row each and one column each of `classes`."""
    import numpy as np

    index = {label: position for position, label in enumerate(classes)}
    truth = np.asarray([index[label] for label in labels])
    likeliest, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = likeliest == truth
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = tuple(
        (float(confidence[chosen].mean()), float(right[chosen].mean()), int(chosen.sum()))
        for chosen in (bin_of == number for number in range(BINS))
        if chosen.any()
    )
    error = sum(abs(mean - share) * count for mean, share, count in bins) / len(truth)
    hot = np.eye(len(classes))[truth]
    brier = float(((probabilities - hot) ** 2).sum(axis=1).mean())
    return Calibration(brier, float(error), bins)
