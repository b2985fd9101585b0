"""Reference, batch and single row give the same integers, for any program and any input."""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import numpy as np
import pytest

from modelward.models.exact import reference
from modelward.models.exact.batch import INPUT_TYPES, BatchRunner
from modelward.models.exact.program import (
    Activation,
    Decision,
    Encoding,
    Layer,
    LayerProgram,
    Scores,
    TreeProgram,
    load_program,
)
from modelward.models.exact.single import single_runner
from tests.exact.random_programs import random_inputs, random_program

PROGRAMS = 20_000 if os.environ.get("FULL") else 2_000
ROWS = 5


@pytest.fixture(scope="module")
def compared() -> Counter[tuple[str, str, str]]:
    """How many programs of each kind were compared; the comparison itself fails in here."""
    random, kinds = Random(2024), Counter[tuple[str, str, str]]()
    for number in range(PROGRAMS):
        program = random_program(random)
        loaded = load_program(program.to_bytes())
        assert loaded == program
        rows = random_inputs(random, program, ROWS)
        expected = [reference.run(program, row) for row in rows]
        table = np.asarray(rows, dtype=INPUT_TYPES[program.encoding]).reshape(ROWS, -1)
        labels, scores = BatchRunner(loaded).run(table)
        together = [(int(label), row.tolist()) for label, row in zip(labels, scores, strict=True)]
        assert together == expected, number
        run = single_runner(loaded)
        assert [run(row) for row in rows] == expected, number
        kinds[type(program).__name__, program.decision.name, program.scores.name] += 1
    return kinds


def test_every_kind_of_program_was_compared(compared):
    assert sum(compared.values()) == PROGRAMS
    assert {kind for kind, _, _ in compared} == {LayerProgram.__name__, TreeProgram.__name__}
    assert {scores for _, _, scores in compared} == {scores.name for scores in Scores}
    assert min(compared.values()) >= PROGRAMS // 200


@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("shift", [21, 32, 44])
def test_a_sum_next_to_a_whole_number_is_rounded_the_right_way(shift, activation):
    """Such sums differ in the last bit only, which binary64 loses at the larger shifts."""
    random = Random(shift)
    weights = tuple((random.choice((1, -1)) << shift - 20) * 3**k for k in range(4))
    biases = tuple((k << shift) - (1 << shift - 1) + off for k in (0, 5) for off in (-1, 0, 1))
    hidden = Layer((weights,) * len(biases), biases, shift, activation)
    outputs = Layer(tuple((1 << i,) * 6 for i in range(6)), (0,) * 6, 0, Activation.IDENTITY)
    program = LayerProgram(
        Encoding.UNITS, Decision.LARGEST, Scores.SCALED, 0, 4, 6, (hidden, outputs)
    )
    rows = [[random.getrandbits(12) << 20 for _ in range(4)] for _ in range(200)]
    expected = [reference.run(program, row) for row in rows]
    labels, scores = BatchRunner(program).run(np.asarray(rows, np.uint32))
    assert list(zip(labels.tolist(), scores.tolist(), strict=True)) == expected
    run = single_runner(program)
    assert [run(row) for row in rows] == expected


@pytest.mark.parametrize("rows", [0, 1, 8_191, 8_192, 8_193])
def test_a_batch_may_have_any_number_of_rows(rows):
    random = Random(rows)
    program = random_program(random)
    few = random_inputs(random, program, 7)
    table = np.asarray([few[i % 7] for i in range(rows)], dtype=INPUT_TYPES[program.encoding])
    labels, scores = BatchRunner(program).run(table.reshape(rows, program.features))
    expected = [reference.run(program, row) for row in few]
    assert len(labels) == len(scores) == rows
    for i in range(rows):
        assert (labels[i], scores[i].tolist()) == expected[i % 7]


def test_inputs_of_another_shape_or_type_are_a_mistake():
    program = random_program(Random(1))
    table = np.zeros((2, program.features), dtype=INPUT_TYPES[program.encoding])
    with pytest.raises(TypeError, match="not an input"):
        BatchRunner(program).run(table.astype(np.float64))
    with pytest.raises(TypeError, match="not an input"):
        BatchRunner(program).run(table[:, :-1])
