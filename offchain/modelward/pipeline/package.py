"""Package a fitted estimator: describe, evaluate, gate, bundle, and check the bundle.

Nothing is written anywhere: what comes back is ready to be stored and registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelward.errors import NoExactProgram, PredictionMismatch, ThresholdNotMet
from modelward.models import estimators
from modelward.models.bundle import Bundle, LoadedBundle, open_bundle, write_bundle
from modelward.models.manifest import Evaluation as EvaluationRecord
from modelward.models.manifest import Manifest
from modelward.models.output import OutputSpec
from modelward.models.runner import Runner
from modelward.models.schema import Bounds, InputSchema, Row, infer_schema, input_frame
from modelward.pipeline.evaluate import Evaluation, check_thresholds, evaluate, parse_thresholds
from modelward.pipeline.exact import LEAST_AGREEMENT, ExactPart, exact_part, parse_agreement
from modelward.terms import Metric, check_model_name

CHECKED_ROWS = 50


@dataclass(frozen=True)
class PackagedModel:
    """A model ready to be published.

    `evaluation.salt` has to be kept by the owner who wants to be able to show the held-out data
    later; it is in none of the other parts. `program` has the bytes of the exact program that
    answers; without one, `without_program` says why.
    """

    name: str
    manifest: Manifest
    bundle: Bundle = field(repr=False)
    evaluation: Evaluation
    thresholds: tuple[Metric, ...]
    program: bytes | None = field(default=None, repr=False)
    without_program: str = ""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics measured, as the registry records them."""
        return self.evaluation.metrics

    @property
    def evaluation_hash(self) -> bytes:
        """The salted hash of the held-out data."""
        return self.evaluation.data_hash


@dataclass(frozen=True)
class MeasuredModel:
    """A model but for its bundle: described, compiled where it can be, and measured.

    `answering` predicts what the published model will, with the methods of a scikit-learn
    estimator: it is the exact program, or else the estimator. `manifest` has no lineage yet, and
    `rows` are the held-out rows.
    """

    estimator: Any = field(repr=False)
    answering: Any = field(repr=False)
    manifest: Manifest
    evaluation: Evaluation
    rows: list[Row] = field(repr=False)
    program: bytes | None = field(repr=False)
    without_program: str


def package(
    estimator: Any,
    inputs: Any,
    labels: Any,
    *,
    name: str,
    ranges: Mapping[str, Bounds] | None = None,
    thresholds: Mapping[str, object] | None = None,
    lineage: Mapping[str, bytes] | None = None,
    exact: bool | None = None,
    agreement: object = None,
) -> PackagedModel:
    """Package a fitted classifier or regressor (of a hyper-parameter search, its best estimator).

    `inputs` (a table of rows) and `labels` (one a row) are held out: the metrics, and the ranges
    not stated in `ranges`, come from them. `lineage` maps names to salted hashes for the manifest.
    The bundle holds the whole fitted state: that of neighbours and kernel machines has training
    rows in it.

    The estimator is compiled to an exact program, which then answers in its place and is what the
    metrics are measured on: always if `exact`, never if that is False, and by default where it has
    one that agrees with it. `agreement` is the least share of rows, held out or next to the
    decision boundary, that must have the estimator's label (or value); 0.995 unless given.

    Raises:
        UnsupportedEstimator, UnfittedEstimator: the estimator cannot be published.
        InvalidInput: the held-out data do not fit it, or `ranges`.
        InvalidTerms: the name or a threshold cannot be used.
        ThresholdNotMet: a metric is below its threshold, or the program below the `agreement` asked
            for, where one was asked for or `exact`.
        NoExactProgram: the estimator has no exact program, and was to have one.
        PredictionMismatch: the bundle predicts something else than the estimator in memory.
    """
    check_model_name(name)
    gate = parse_thresholds(estimators.task_of(estimator), thresholds or {})
    model = measure(
        estimator, inputs, labels, name=name, ranges=ranges, exact=exact, agreement=agreement
    )
    check_thresholds(model.evaluation.metrics, gate)
    manifest = replace(model.manifest, lineage=dict(lineage or {}))
    return PackagedModel(
        name,
        manifest,
        checked_bundle(model.estimator, manifest, model.program, model.rows),
        model.evaluation,
        gate,
        model.program,
        model.without_program,
    )


def measure(
    estimator: Any,
    inputs: Any,
    labels: Any,
    *,
    name: str,
    ranges: Mapping[str, Bounds] | None = None,
    exact: bool | None = None,
    agreement: object = None,
) -> MeasuredModel:
    """Describe and measure a model; arguments and errors are those of `package`."""
    estimator = estimators.served(estimator)
    schema = infer_schema(estimator, inputs, ranges)
    frame = input_frame(estimator, inputs)
    rows = schema.rows(frame.itertuples(index=False, name=None))
    output = estimators.infer_output(estimator, schema.to_frame(rows))
    part, reason = _compiled(estimator, schema, output, rows, exact, agreement)
    answering = estimator if part is None else part.estimator
    evaluation = evaluate(answering, schema, output, rows, labels)
    manifest = Manifest(
        name=name,
        input=schema,
        output=output,
        estimator=estimators.describe(estimator),
        libraries=estimators.library_versions(),
        metrics=evaluation.metrics,
        evaluation=EvaluationRecord(evaluation.rows, evaluation.data_hash),
        program=None if part is None else part.record,
    )
    program = None if part is None else part.data
    return MeasuredModel(estimator, answering, manifest, evaluation, rows, program, reason)


def checked_bundle(
    estimator: Any, manifest: Manifest, program: bytes | None, rows: list[Row]
) -> Bundle:
    """The bundle, whose bytes were opened again and predict what `estimator` does.

    Raises `UnsupportedEstimator` and `PredictionMismatch` as `package` does.
    """
    bundle = write_bundle(estimator, manifest, program)
    sample = rows[:: max(1, len(rows) // CHECKED_ROWS)][:CHECKED_ROWS]
    reopened = open_bundle(bundle.data, bundle.hash, bundle.manifest_hash)
    original = LoadedBundle(bundle.hash, manifest, estimator)
    if Runner(reopened).predict(sample) != Runner(original).predict(sample):
        raise PredictionMismatch(
            "The bundled estimator predicts something else than the one in memory.",
            hint="Its predictions may be random, or depend on more than its fitted state.",
        )
    return bundle


def _compiled(
    estimator: Any,
    schema: InputSchema,
    output: OutputSpec,
    rows: list[Row],
    exact: bool | None,
    agreement: object,
) -> tuple[ExactPart | None, str]:
    """The exact part of the model, or why it has none."""
    if exact is False:
        return None, "none was asked for"
    least = LEAST_AGREEMENT if agreement is None else parse_agreement(agreement)
    try:
        return exact_part(estimator, schema, output, rows, least), ""
    except NoExactProgram as error:
        if exact:
            raise
        return None, error.message
    except ThresholdNotMet as error:
        if exact or agreement is not None:
            raise
        return None, error.message
