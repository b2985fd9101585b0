"""How fast exact programs answer, beside the estimators they were compiled from, in one run.

Both are given floats: a row as a list, a table as an array. What a program takes of canonical
numbers, which is what a worker is sent, is timed beside it. One thread each; each figure is the
best of several rounds, in which program and estimator take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from modelward.bench.exact import Subject

BATCH: Final = 10_000
ROUNDS: Final = 7
SINGLE_ROWS: Final = 100
_FEWER: Final = 10
"""One of so many single rows is given to the estimator: it is that much slower."""


def measure_speed(subjects: Sequence[Subject]) -> dict[str, dict[str, float]]:
    """By model: microseconds a row, alone and in a batch, and how many times faster it is."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return {subject.name: _speed(subject) for subject in subjects}


def _speed(subject: Subject) -> dict[str, float]:
    import numpy as np

    from modelward.models.exact.answers import ProgramRunner
    from modelward.models.exact.batch import BatchRunner
    from modelward.models.exact.single import single_runner

    program = ProgramRunner(subject.program, subject.schema)
    single, batch = single_runner(subject.program), BatchRunner(subject.program)
    few = subject.rows[:SINGLE_ROWS]
    rows = few.tolist()
    row_numbers = [program.encoding.quantise(row) for row in rows]
    table = subject.rows[np.random.default_rng(0).integers(len(subject.rows), size=BATCH)]
    table_numbers = program.encoding.quantise_table(table)
    predict = subject.estimator.predict_proba

    def by_estimator() -> None:
        for at in range(0, len(few), _FEWER):
            predict(few[at : at + 1])

    row, row_of_numbers, estimator_row = _best(
        lambda: [program.run_row(each) for each in rows],
        lambda: [single(each) for each in row_numbers],
        by_estimator,
    )
    estimator_row *= len(few) / len(range(0, len(few), _FEWER))
    together, of_numbers, estimator_together = _best(
        lambda: program.run_table(table),
        lambda: batch.run(table_numbers),
        lambda: predict(table),
    )
    return {
        "single_us": round(row / len(few) * 1e6, 3),
        "single_from_numbers_us": round(row_of_numbers / len(few) * 1e6, 3),
        "single_predict_proba_us": round(estimator_row / len(few) * 1e6, 3),
        "single_ratio": round(estimator_row / row, 2),
        "single_from_numbers_ratio": round(estimator_row / row_of_numbers, 2),
        "batch_us": round(together / BATCH * 1e6, 4),
        "batch_from_numbers_us": round(of_numbers / BATCH * 1e6, 4),
        "batch_predict_proba_us": round(estimator_together / BATCH * 1e6, 4),
        "batch_ratio": round(estimator_together / together, 2),
        "batch_from_numbers_ratio": round(estimator_together / of_numbers, 2),
    }


def _best(*works: Callable[[], Any]) -> list[float]:
    """Seconds each takes, in its best round."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            started = time.perf_counter()
            work()
            best[number] = min(best[number], time.perf_counter() - started)
    return best
