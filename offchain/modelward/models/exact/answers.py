"""Answers from a program: canonical outputs, and labels and scores for tables of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from modelward.errors import InvalidBundle, NoExactProgram
from modelward.models.exact.inputs import InputEncoding, decode_numbers
from modelward.models.exact.program import Decision, LayerProgram, Program, Scores
from modelward.models.output import OutputSpec, encode_units
from modelward.models.schema import InputSchema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from modelward.models.exact.single import Answer

_FEW_ROWS = 16
"""Up to so many rows are faster one by one."""

_SCORES = {
    "value": (Scores.SCALED,),
    "decision": (Scores.SCALED,),
    "none": (Scores.NONE,),
    "probability": (Scores.EXPONENTIAL, Scores.SHARES, Scores.ONE_AGAINST_REST),
}


def check_announced(program: Program, schema: InputSchema, output: OutputSpec) -> None:
    """Raise `InvalidBundle` unless a program takes and gives what its manifest announces."""
    regression = output.task == "regression"
    classes = program.outputs if program.decision is Decision.LARGEST else 2
    if (
        program.features != len(schema.columns)
        or regression is not (program.decision is Decision.VALUE)
        or (not regression and classes != len(output.classes))
        or program.scores not in _SCORES[output.scores]
        or program.decimals != output.decimals
    ):
        raise InvalidBundle("The bundle's program takes or gives other than its manifest says.")
    try:
        InputEncoding(schema, program.encoding)
    except NoExactProgram as error:
        raise InvalidBundle(f"The bundle's program cannot be run: {error.message}") from error


def run_program(program: Program, canonical_input: bytes) -> bytes:
    """The canonical output of a program, as the chain would give it.

    Raises `InvalidInput` for bytes that are no input of it.
    """
    from modelward.models.exact.single import single_runner

    numbers = decode_numbers(program.encoding, program.features, canonical_input)
    return encode_units(*single_runner(program)(numbers))


class ProgramRunner:
    """Answers with one program, whose bytes are the same on every machine."""

    def __init__(self, program: Program, schema: InputSchema) -> None:
        from modelward.models.exact.batch import INPUT_TYPES, BatchRunner
        from modelward.models.exact.single import column_runner, single_runner

        self.encoding = InputEncoding(schema, program.encoding)
        self._type = INPUT_TYPES[program.encoding]
        self._batch = BatchRunner(program)
        self._single = single_runner(program)
        self._read: Callable[[Sequence[float]], Any] = self.encoding.quantise
        self._answer: Callable[[Any], Answer] = self._single
        if isinstance(program, LayerProgram):
            self._read, self._answer = self.encoding.column, column_runner(program)

    def decode(self, canonical_input: bytes) -> tuple[int, ...]:
        """The numbers of a canonical input; `InvalidInput` if it is none of this model's."""
        return self.encoding.decode(canonical_input)

    def predict_each(self, inputs: Sequence[tuple[int, ...]]) -> Iterator[bytes]:
        """The canonical output for each row of numbers."""
        import numpy as np

        if len(inputs) <= _FEW_ROWS:
            for numbers in inputs:
                yield encode_units(*self._single(numbers))
            return
        labels, scores = self._batch.run(np.asarray(inputs, dtype=self._type))
        for label, units in zip(labels.tolist(), scores.tolist(), strict=True):
            yield encode_units(label, units)

    def run_row(self, row: Sequence[float]) -> Answer:
        """The label's index and the scores, in units, for a row of values.

        `InvalidInput` for a value outside its column's declared range.
        """
        return self._answer(self._read(row))

    def run_table(self, table: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The same for each row of a table of values."""
        import numpy as np

        values = np.asarray(table, dtype=np.float64)
        return self._batch.run_blocks(values, self.encoding.numbers)


class ProgramEstimator:
    """A program with the methods of a scikit-learn estimator, so as to be measured like one."""

    def __init__(self, runner: ProgramRunner, output: OutputSpec) -> None:
        self._runner = runner
        self._output = output
        self._one = 10.0**output.decimals

    def predict(self, table: Any) -> npt.NDArray[Any]:
        """The label, or the value of a regression, for each row."""
        import numpy as np

        labels, scores = self._runner.run_table(table)
        if self._output.task == "regression":
            value: npt.NDArray[np.float64] = scores[:, 0] / self._one
            return value
        classes = np.empty(len(self._output.classes), dtype=object)
        classes[:] = self._output.classes
        chosen: npt.NDArray[Any] = classes[labels]
        return chosen

    def predict_proba(self, table: Any) -> npt.NDArray[np.float64]:
        """The probability of each class for each row."""
        scores = self._scores(table)
        floats: npt.NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return floats

    def decision_function(self, table: Any) -> npt.NDArray[np.float64]:
        """The score of each class for each row, or the one score where there are two classes."""
        scores = self._scores(table)
        return scores[:, 0] if len(self._output.classes) == 2 else scores

    def _scores(self, table: Any) -> npt.NDArray[np.float64]:
        floats: npt.NDArray[np.float64] = self._runner.run_table(table)[1] / self._one
        return floats
