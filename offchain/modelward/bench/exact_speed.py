"""How fast exact programs answer, beside the estimators they were compiled from, in one run.

A program is given what a worker is given: a row's canonical numbers. Turning a table of floats into
them, which requesters do, is timed beside it. One thread each; each figure is the best of several
rounds, in which program and estimator take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from modelward.bench.exact import Subject

BATCH: Final = 10_000
ROUNDS: Final = 7
SINGLE_ROWS: Final = 100


def measure_speed(subjects: Sequence[Subject]) -> dict[str, dict[str, float]]:
    """By model: microseconds a row, alone and in a batch, and how many times faster it is."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return {subject.name: _speed(subject) for subject in subjects}


def _speed(subject: Subject) -> dict[str, float]:
    import numpy as np

    from modelward.models.exact.batch import BatchRunner
    from modelward.models.exact.inputs import InputEncoding
    from modelward.models.exact.single import single_runner

    encoding = InputEncoding(subject.schema, subject.program.encoding)
    rows = [encoding.quantise(row) for row in subject.schema.rows(subject.rows.tolist())]
    few = subject.rows[:SINGLE_ROWS]
    single, batch = single_runner(subject.program), BatchRunner(subject.program)
    table = subject.rows[np.random.default_rng(0).integers(len(subject.rows), size=BATCH)]
    numbers = encoding.quantise_table(table)
    predict = subject.estimator.predict_proba

    def by_program() -> None:
        for row in rows[: len(few)]:
            single(row)

    def by_estimator() -> None:
        for at in range(0, len(few), 10):  # a tenth of the rows: it is that much slower
            predict(few[at : at + 1])

    alone, estimator_alone = _best(by_program, by_estimator)
    together, estimator_together, quantising = _best(
        lambda: batch.run(numbers), lambda: predict(table), lambda: encoding.quantise_table(table)
    )
    alone, estimator_alone = alone / len(few), estimator_alone / len(range(0, len(few), 10))
    return {
        "single_us": round(alone * 1e6, 3),
        "single_predict_proba_us": round(estimator_alone * 1e6, 3),
        "single_ratio": round(estimator_alone / alone, 2),
        "batch_us": round(together / BATCH * 1e6, 4),
        "batch_predict_proba_us": round(estimator_together / BATCH * 1e6, 4),
        "batch_ratio": round(estimator_together / together, 2),
        "batch_quantising_us": round(quantising / BATCH * 1e6, 4),
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
