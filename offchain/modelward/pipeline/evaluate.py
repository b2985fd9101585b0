"""Measure an estimator on held-out rows, and hold it to its thresholds.

Metrics are integers in parts per million. Rounding never flatters: a figure goes towards worse, a
threshold towards stricter.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any

from eth_utils.crypto import keccak

from modelward.errors import InvalidInput, InvalidTerms, PredictionFailed, ThresholdNotMet
from modelward.models.output import OutputSpec, Task
from modelward.models.schema import InputSchema, Row
from modelward.terms import PPM, Metric

HIGHER_IS_BETTER: Mapping[Task, Mapping[str, bool]] = {
    "classification": {
        "accuracy": True,
        "balanced_accuracy": True,
        "f1_macro": True,
        "roc_auc": True,
        "log_loss": False,
    },
    "regression": {"r2": True, "mae": False, "rmse": False},
}
"""The metrics of each task, and whether a higher figure is the better one."""

_NO_SALT = bytes(32)
_LARGEST_FIGURE = (2**63 - 1) // PPM


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    `baseline` has the same metrics for a constant guess made knowing the held-out labels: their
    frequencies or their mean. `data_hash` commits to rows and labels under `salt` (32 bytes),
    which the owner keeps to be able to show them later; `plain_hash` is the same without a salt,
    for the owner alone: who can guess the rows could tell that they were these.
    """

    rows: int
    metrics: tuple[Metric, ...]
    baseline: tuple[Metric, ...]
    data_hash: bytes
    salt: bytes
    plain_hash: bytes


def evaluate(
    estimator: Any, schema: InputSchema, output: OutputSpec, rows: Sequence[Row], labels: Any
) -> Evaluation:
    """Measure a fitted `estimator` on canonical `rows` and their true `labels`.

    Which metrics there are depends on what the estimator gives: `log_loss` needs probabilities,
    `roc_auc` scores and rows of every class (macro-averaged one against the rest when there are
    more than two). Raises `InvalidInput` for labels that do not go with the rows or the model,
    `PredictionFailed` for predictions that are not finite.
    """
    inputs = schema.to_frame(rows)
    truth = true_labels(output, labels, len(rows))
    if output.task == "regression":
        figures, baseline = _regression(estimator, inputs, truth)
    else:
        figures, baseline = _classification(estimator, output, inputs, truth)
    salt = secrets.token_bytes(32)
    return Evaluation(
        rows=len(rows),
        metrics=_metrics(output.task, figures),
        baseline=_metrics(output.task, baseline),
        data_hash=held_out_hash(schema, output, rows, truth, salt),
        salt=salt,
        plain_hash=held_out_hash(schema, output, rows, truth, _NO_SALT),
    )


def true_labels(output: OutputSpec, labels: Any, rows: int) -> Any:
    """`labels` as an array of class indices (int64) or of values (float64), one a row."""
    import numpy as np

    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InvalidInput("The held-out labels must be one column.")
    if len(array) != rows:
        raise InvalidInput(f"There are {rows} held-out rows, but {len(array)} labels.")
    plain = array.tolist()
    if output.task == "regression":
        try:
            values = np.asarray([float(value) for value in plain], dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput("The held-out labels of a regression must be numbers.") from error
        if not np.isfinite(values).all():
            raise InvalidInput("The held-out labels have NaN or infinite values.")
        return values
    indices = {label: index for index, label in enumerate(output.classes)}
    for row, label in enumerate(plain, start=1):
        if label not in indices:
            known = ", ".join(map(repr, output.classes[:8]))
            raise InvalidInput(
                f"Held-out row {row} is labelled {label!r}, which is no class of this model.",
                hint=f"Its classes are {known}{', ...' if len(output.classes) > 8 else ''}.",
            )
    return np.asarray([indices[label] for label in plain], dtype=np.int64)


def held_out_hash(
    schema: InputSchema, output: OutputSpec, rows: Sequence[Row], truth: Any, salt: bytes
) -> bytes:
    """keccak256 of the salt, the number of rows (8 bytes), and each row with its label.

    A row is its canonical input, a label eight bytes: the class index, or a binary64.
    """
    pack = struct.Struct(">d" if output.task == "regression" else ">Q").pack
    labelled = (
        schema.encode_row(row) + pack(label)
        for row, label in zip(rows, truth.tolist(), strict=True)
    )
    return keccak(salt + struct.pack(">Q", len(rows)) + b"".join(labelled))


# --- figures -------------------------------------------------------------------------------------


def _regression(estimator: Any, inputs: Any, truth: Any) -> tuple[dict[str, float], ...]:
    import numpy as np

    predicted = np.ravel(estimator.predict(inputs)).astype(np.float64)
    _check_finite(predicted)
    mean = np.full_like(truth, truth.mean())
    return _regression_figures(truth, predicted), _regression_figures(truth, mean)


def _regression_figures(truth: Any, predicted: Any) -> dict[str, float]:
    from sklearn import metrics

    figures = {
        "mae": float(metrics.mean_absolute_error(truth, predicted)),
        "rmse": float(metrics.root_mean_squared_error(truth, predicted)),
    }
    if len(truth) > 1:
        figures["r2"] = float(metrics.r2_score(truth, predicted))
    return figures


def _classification(
    estimator: Any, output: OutputSpec, inputs: Any, truth: Any
) -> tuple[dict[str, float], ...]:
    import numpy as np

    indices = {label: index for index, label in enumerate(output.classes)}
    predicted = np.asarray([indices[label] for label in estimator.predict(inputs).tolist()])
    scores: Any = None
    if output.scores == "probability":
        scores = np.asarray(estimator.predict_proba(inputs), dtype=np.float64)
    elif output.scores == "decision":
        scores = np.asarray(estimator.decision_function(inputs), dtype=np.float64)
    if scores is not None:
        _check_finite(scores)
    frequencies = np.bincount(truth, minlength=len(output.classes)) / len(truth)
    return (
        _classification_figures(output, truth, predicted, scores),
        _classification_figures(
            output,
            truth,
            np.full_like(truth, frequencies.argmax()),
            np.tile(frequencies, (len(truth), 1)) if output.scores == "probability" else None,
        ),
    )


def _classification_figures(
    output: OutputSpec, truth: Any, predicted: Any, scores: Any
) -> dict[str, float]:
    import numpy as np
    from sklearn import metrics

    present = np.unique(truth)
    figures = {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "balanced_accuracy": float(
            metrics.recall_score(truth, predicted, labels=present, average="macro")
        ),
        "f1_macro": float(metrics.f1_score(truth, predicted, average="macro", zero_division=0)),
    }
    if scores is None or len(output.classes) < 2:
        return figures
    everything = range(len(output.classes))
    if output.scores == "probability":
        figures["log_loss"] = float(metrics.log_loss(truth, scores, labels=everything))
    if len(present) == len(output.classes):
        against_rest = [
            metrics.roc_auc_score(truth == index, column)
            for index, column in _one_against_the_rest(output, scores)
        ]
        figures["roc_auc"] = float(np.mean(against_rest))
    return figures


def _one_against_the_rest(output: OutputSpec, scores: Any) -> list[tuple[int, Any]]:
    if len(output.classes) == 2:
        return [(1, scores if scores.ndim == 1 else scores[:, -1])]
    return [(index, scores[:, index]) for index in range(len(output.classes))]


def _check_finite(predicted: Any) -> None:
    import numpy as np

    finite = np.isfinite(predicted).reshape(len(predicted), -1).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite)) + 1
        raise PredictionFailed(f"The estimator's prediction for held-out row {row} is not finite.")


def _metrics(task: Task, figures: Mapping[str, float]) -> tuple[Metric, ...]:
    return tuple(
        Metric(name, better, _ppm(figures[name], ROUND_FLOOR if better else ROUND_CEILING))
        for name, better in HIGHER_IS_BETTER[task].items()
        if name in figures
    )


def _ppm(value: object, rounding: str) -> int:
    """Parts per million of a number, as exact as its shortest decimal spelling."""
    number = Decimal(str(value))
    if abs(number) > _LARGEST_FIGURE:
        raise InvalidTerms(f"{value} is too large for a metric.")
    return int((number * PPM).to_integral_value(rounding))


# --- thresholds ----------------------------------------------------------------------------------


def parse_thresholds(task: Task, thresholds: Mapping[str, object]) -> tuple[Metric, ...]:
    """Thresholds by metric name, such as {"accuracy": 0.95} or {"mae": "10"}.

    Raises `InvalidTerms` for a metric that `task` does not have, or a value that is no number.
    """
    known = HIGHER_IS_BETTER[task]
    parsed = []
    for name, value in thresholds.items():
        if name not in known:
            raise InvalidTerms(
                f"{name!r} is not a metric of a {task}.", hint=f"Known are {', '.join(known)}."
            )
        better = known[name]
        try:
            if isinstance(value, bool):
                raise InvalidOperation
            ppm = _ppm(value, ROUND_CEILING if better else ROUND_FLOOR)
        except (InvalidOperation, ValueError) as error:
            raise InvalidTerms(f"The threshold {value!r} for {name} is not a number.") from error
        parsed.append(Metric(name, better, ppm))
    return tuple(parsed)


def check_thresholds(metrics: Sequence[Metric], thresholds: Sequence[Metric]) -> None:
    """Raise `ThresholdNotMet`, naming every shortfall, unless `metrics` reach all `thresholds`."""
    measured = {metric.name: metric for metric in metrics}
    shortfalls = [
        _shortfall(measured.get(threshold.name), threshold)
        for threshold in thresholds
        if threshold.name not in measured or not measured[threshold.name].reaches(threshold)
    ]
    if shortfalls:
        raise ThresholdNotMet(
            f"The model is below its thresholds: {'; '.join(shortfalls)}.",
            hint="Nothing was published. Improve the model, or lower what you ask of it.",
        )


def _shortfall(measured: Metric | None, threshold: Metric) -> str:
    if measured is None:
        return f"{threshold.name} could not be measured"
    side = "below" if threshold.higher_is_better else "above"
    by = shown(replace(threshold, ppm=abs(threshold.ppm - measured.ppm)))
    return f"{threshold.name} is {shown(measured)}, {side} {shown(threshold)} by {by}"


def shown(metric: Metric) -> str:
    """A metric's value as people read it, such as 0.9825."""
    value = Decimal(metric.ppm) / PPM
    return f"{value.normalize():f}"
