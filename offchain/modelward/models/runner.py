"""Run an estimator so that it gives the same canonical output every time on one machine.

One row at a time, float64, in one thread: batches, threads and BLAS kernels all change the last
bits of a floating-point result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any, Protocol

from modelward.errors import PredictionFailed
from modelward.models.bundle import LoadedBundle
from modelward.models.exact.answers import ProgramRunner
from modelward.models.manifest import Manifest
from modelward.models.output import OutputSpec, encode_output
from modelward.models.schema import Row


class Answering(Protocol):
    """What gives canonical outputs for canonical inputs."""

    def decode(self, canonical_input: bytes) -> Any:
        """The row of a canonical input; `InvalidInput` if it is none of this model's."""

    def predict_each(self, rows: Sequence[Any]) -> Iterator[bytes | PredictionFailed]:
        """The canonical output for each row, or why there is none."""


def runner_for(bundle: LoadedBundle) -> Answering:
    """What answers for a bundle: its exact program, or else its estimator."""
    if bundle.program is None:
        return Runner(bundle)
    return ProgramRunner(bundle.program, bundle.manifest.input)


class Runner:
    """Predicts with one estimator, as its manifest says.

    The estimator is not changed: nested `n_jobs` have no effect while it runs here.
    """

    def __init__(self, bundle: LoadedBundle) -> None:
        from threadpoolctl import ThreadpoolController

        self.manifest: Manifest = bundle.manifest
        self._estimator = bundle.estimator
        self._threadpools = ThreadpoolController()
        self._indices = {label: i for i, label in enumerate(self.manifest.output.classes)}

    def decode(self, canonical_input: bytes) -> Row:
        """The row of a canonical input; `InvalidInput` if it is none of this model's."""
        return self.manifest.input.decode_row(canonical_input)

    def predict(self, rows: Sequence[Row]) -> list[bytes]:
        """The canonical output of each canonical row.

        Raises `PredictionFailed` when the estimator raises, or gives a label or score that no
        canonical output can hold.
        """
        outputs = []
        for outcome in self.predict_each(rows):
            if isinstance(outcome, PredictionFailed):
                raise outcome
            outputs.append(outcome)
        return outputs

    def predict_each(self, rows: Sequence[Row]) -> Iterator[bytes | PredictionFailed]:
        """As `predict`, row after row, with the error in the place of a row that failed."""
        if not rows:
            return
        try:
            inputs = self.manifest.input.to_frame(rows)
        except Exception as error:  # noqa: BLE001 - whatever pandas makes of a stranger's schema
            failure = PredictionFailed(f"The rows make no table: {error!r:.200}.")
            yield from repeat(failure, len(rows))
            return
        with self._single_threaded():
            for i in range(len(rows)):
                try:
                    yield self._output(inputs[i : i + 1])
                except PredictionFailed as error:
                    yield error

    def _output(self, inputs: Any) -> bytes:
        spec = self.manifest.output
        try:
            label, scores = raw_prediction(self._estimator, spec, inputs)
        except Exception as error:
            raise PredictionFailed(f"The estimator failed on this row: {error!r:.200}.") from error
        if spec.task == "regression":
            return encode_output(spec, 0, scores)
        if label not in self._indices:
            raise PredictionFailed(f"The estimator gave the unknown label {label!r:.40}.")
        return encode_output(spec, self._indices[label], scores)

    @contextmanager
    def _single_threaded(self) -> Iterator[None]:
        import joblib
        import numpy as np

        with (
            self._threadpools.limit(limits=1),
            joblib.parallel_config(backend="sequential"),
            np.errstate(all="ignore"),
        ):
            yield


def raw_prediction(estimator: Any, spec: OutputSpec, inputs: Any) -> tuple[Any, list[float]]:
    """The label (a regression's value) and the scores the estimator gives for one row."""
    import numpy as np

    label = np.ravel(estimator.predict(inputs))[0]
    label = label.item() if hasattr(label, "item") else label
    match spec.scores:
        case "value":
            return label, [float(label)]
        case "probability":
            scores = estimator.predict_proba(inputs)
        case "decision":
            scores = estimator.decision_function(inputs)
        case "none":
            return label, []
    return label, [float(score) for score in np.ravel(scores)]
