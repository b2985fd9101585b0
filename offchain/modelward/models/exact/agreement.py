"""How far a program agrees with its estimator: on given rows, and next to the decision boundary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelward.models.exact.answers import ProgramRunner
from modelward.models.output import OutputSpec
from modelward.models.schema import InputSchema, Row

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PAIRS = 100
BISECTIONS = 16
_FLOAT_NOISE = 1e-9
"""What an estimator's own arithmetic may be off by, relative to its largest score."""


@dataclass(frozen=True)
class Agreement:
    """Of `rows` rows, `agreeing` have the estimator's label, or for a regression its value.

    `furthest` is the largest difference between two scores, in units of the last decimal, rounded
    up; values agree within the error the compiler states.
    """

    rows: int
    agreeing: int
    furthest: int

    @property
    def share(self) -> float:
        """The share of rows that agree."""
        return self.agreeing / self.rows


def agreement(
    estimator: Any,
    runner: ProgramRunner,
    schema: InputSchema,
    output: OutputSpec,
    rows: Sequence[Row],
    *,
    score_error: int,
) -> Agreement:
    """Compare a program with the `estimator` it was compiled from, on canonical `rows`."""
    import numpy as np

    table = schema.to_frame(rows)
    labels, units = runner.run_table(table)
    predicted = estimator.predict(table)
    floats = _scores(estimator, output, table, predicted)
    expected = np.asarray(floats, np.float64).reshape(units.shape) * 10.0**output.decimals
    apart = np.abs(units - expected)
    noise = _FLOAT_NOISE * max(1.0, float(np.abs(expected).max(initial=0.0)))
    if output.task == "regression":
        agreeing = int((apart <= score_error + noise).all(axis=1).sum())
    else:
        indices = {label: index for index, label in enumerate(output.classes)}
        agreeing = sum(
            indices.get(label) == index
            for label, index in zip(predicted.tolist(), labels.tolist(), strict=True)
        )
    return Agreement(len(rows), agreeing, max(0, math.ceil(apart.max(initial=0.0) - noise)))


def boundary_rows(
    estimator: Any, schema: InputSchema, rows: Sequence[Row], *, seed: int = 0
) -> list[Row]:
    """Rows close to where the estimator's label changes, on both sides of it.

    Between pairs of `rows` with different labels the change is narrowed down by bisection. There
    are none where all rows have one label.
    """
    import numpy as np

    labels = np.asarray(estimator.predict(schema.to_frame(rows)))
    random = np.random.default_rng(seed)
    first, second = random.integers(len(rows), size=(2, 8 * PAIRS))
    different = np.flatnonzero(labels[first] != labels[second])[:PAIRS]
    if not len(different):
        return []
    values = np.asarray([[float(value) for value in row] for row in rows])
    start, end = values[first[different]], values[second[different]]
    label = labels[first[different]]
    for _ in range(BISECTIONS):
        middle = _canonical(schema, (start + end) / 2)
        same = np.asarray(estimator.predict(schema.to_frame(schema.rows(middle.tolist())))) == label
        start = np.where(same[:, None], middle, start)
        end = np.where(same[:, None], end, middle)
    return schema.rows(np.concatenate([start, end]).tolist())


def _scores(estimator: Any, output: OutputSpec, table: Any, predicted: Any) -> Any:
    import numpy as np

    match output.scores:
        case "value":
            return predicted
        case "probability":
            return estimator.predict_proba(table)
        case "decision":
            return estimator.decision_function(table)
        case "none":
            return np.empty((len(predicted), 0))


def _canonical(schema: InputSchema, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    import numpy as np

    whole = np.asarray([column.kind != "number" for column in schema.columns])
    return np.where(whole, np.rint(values), values)
