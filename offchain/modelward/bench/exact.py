"""What exact models cost: the gas of disputing an answer and of storing a program, and time.

The models are trained on breast cancer (30 features), so that what is measured is what scikit-learn
makes, not what suits the contract.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelward.bench.market import Market
from modelward.models.exact.compile import Compiled
from modelward.models.exact.inputs import InputEncoding
from modelward.models.exact.program import Decision, LayerProgram, Program
from modelward.models.schema import InputSchema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FOREST_TREES: Final = 100
FOREST_DEPTH: Final = 8
HIDDEN_NEURONS: Final = 16


@dataclass(frozen=True)
class Subject:
    """A fitted estimator with its program, and the rows that were held out."""

    name: str
    estimator: Any
    schema: InputSchema
    compiled: Compiled
    rows: npt.NDArray[np.float64]

    @property
    def program(self) -> Program:
        """The compiled program."""
        return self.compiled.program

    @property
    def input(self) -> bytes:
        """The canonical input of the first row that was held out."""
        return InputEncoding(self.schema, self.program.encoding).encode_row(
            self.schema.row(self.rows[0])
        )


def measure() -> dict[str, Any]:
    """All figures."""
    from modelward.bench.exact_speed import measure_speed

    measured = tuple(subjects())
    return {"gas": measure_gas(measured), "speed": measure_speed(measured)}


def subjects() -> Iterator[Subject]:
    """A linear model, a neural network and a forest; every fourth row is held out."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from modelward.models.estimators import infer_output
    from modelward.models.exact.compile import compile_program
    from modelward.models.schema import infer_schema

    table, labels = load_breast_cancer(return_X_y=True)
    held_out = np.arange(len(table)) % 4 == 3
    network = MLPClassifier((HIDDEN_NEURONS,), max_iter=600, random_state=0)
    forest = RandomForestClassifier(FOREST_TREES, max_depth=FOREST_DEPTH, random_state=0)
    for name, estimator in (
        ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
        ("mlp", make_pipeline(StandardScaler(), network)),
        ("forest", forest),
    ):
        estimator.fit(table[~held_out], labels[~held_out])
        schema = infer_schema(estimator, table)
        compiled = compile_program(estimator, schema, infer_output(estimator, table))
        yield Subject(name, estimator, schema, compiled, table[held_out])


def measure_gas(measured: Sequence[Subject]) -> dict[str, dict[str, int]]:
    """By model: the program's bytes, and the gas of storing it and of a dispute."""
    with tempfile.TemporaryDirectory(prefix="modelward-bench-") as folder:
        market = Market(Path(folder))
        return {
            subject.name: _gas(
                market, subject.name, _with_two_outputs(subject.program), subject.input
            )
            for subject in measured
        }


def _gas(market: Market, name: str, program: Program, canonical_input: bytes) -> dict[str, int]:
    model = market.list_exactly(name, program, canonical_input)
    data = program.to_bytes()
    stored = market.gas(market.owner, market.programs.store(data))
    market.gas(market.owner, market.referee.admit(model.version))
    return {"program_bytes": len(data), "store": stored, **market.dispute(model)._asdict()}


def _with_two_outputs(program: Program) -> Program:
    """A network with a neuron for each of two classes, where scikit-learn has one for both."""
    if not isinstance(program, LayerProgram) or len(program.layers) == 1:
        return program
    *hidden, last = program.layers
    both = replace(
        last,
        weights=(tuple(-weight for weight in last.weights[0]), last.weights[0]),
        biases=(-last.biases[0], last.biases[0]),
    )
    return replace(program, decision=Decision.LARGEST, outputs=2, layers=(*hidden, both))
