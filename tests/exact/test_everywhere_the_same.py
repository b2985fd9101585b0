"""One program, one input, the same bytes: with any threads, kernel of BLAS, or rows beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from modelward.bench.exact import subjects
from modelward.models.exact.batch import INPUT_TYPES, RoundedStep, bounded
from modelward.models.exact.inputs import InputEncoding
from modelward.models.exact.program import LayerProgram
from tests.exact.random_programs import random_inputs, random_program

ROWS = 300
ANSWERING = """
import hashlib, sys
import numpy as np
from threadpoolctl import threadpool_info
from modelward.models.exact.batch import BatchRunner
from modelward.models.exact.program import load_program
from modelward.models.exact.single import single_runner

program = load_program(bytes.fromhex(sys.argv[2]))
table = np.load(sys.argv[1])
labels, scores = BatchRunner(program).run(table)
batch = [(int(label), row.tolist()) for label, row in zip(labels, scores)]
alone = []
for row in table:
    label, units = BatchRunner(program).run(row[None])
    alone.append((int(label[0]), units[0].tolist()))
single = single_runner(program)
singly = [single(row) for row in table.tolist()]
for answers in (batch, alone, singly):
    print(hashlib.sha256(repr(answers).encode()).hexdigest())
print(next((each.get("architecture") for each in threadpool_info()), None), file=sys.stderr)
"""
OPENBLAS = any(each["internal_api"] == "openblas" for each in threadpool_info())


def answers(program, table, **environment):
    """A digest of what another process answers in a batch, row by row, singly; and its kernel."""
    done = subprocess.run(
        [sys.executable, "-c", ANSWERING, str(table), program.to_bytes().hex()],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split(), done.stderr.strip().splitlines()[-1]


def random_subject(layered):
    """A random program, and inputs to it."""
    random = Random(8)
    program = random_program(random)
    while isinstance(program, LayerProgram) is not layered or len(program.to_bytes()) < 600:
        program = random_program(random)
    return program, np.asarray(random_inputs(random, program, ROWS), INPUT_TYPES[program.encoding])


def trained_network():
    """A network's program, whose sums are rounded first, and rows held out."""
    subject = next(subject for subject in subjects() if subject.name == "mlp")
    encoding = InputEncoding(subject.schema, subject.program.encoding)
    assert isinstance(subject.program, LayerProgram)
    assert RoundedStep.of(*next(bounded(subject.program))) is not None
    return subject.program, encoding.quantise_table(subject.rows)


@pytest.mark.parametrize("kind", ["layers", "trees", "network"])
def test_threads_batches_and_blas_kernels_change_no_byte(kind, tmp_path):
    program, table = trained_network() if kind == "network" else random_subject(kind == "layers")
    np.save(tmp_path / "rows.npy", table)
    outcomes = [
        answers(program, tmp_path / "rows.npy", **environment)
        for environment in (
            {"OPENBLAS_NUM_THREADS": "1"},
            {"OPENBLAS_NUM_THREADS": "2"},
            {"OPENBLAS_CORETYPE": "Prescott"},
        )
    ]
    assert len({digest for digests, _ in outcomes for digest in digests}) == 1
    if OPENBLAS:
        assert len({kernel for _, kernel in outcomes}) == 2
