"""The exact program of a model to be published, held to the estimator it was compiled from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from modelward.errors import InvalidTerms, ThresholdNotMet
from modelward.models.exact.agreement import Agreement, agreement, boundary_rows
from modelward.models.exact.answers import ProgramEstimator, ProgramRunner
from modelward.models.exact.compile import compile_program
from modelward.models.manifest import ProgramRecord
from modelward.models.output import OutputSpec
from modelward.models.schema import InputSchema, Row

LEAST_AGREEMENT = Decimal("0.995")


@dataclass(frozen=True)
class ExactPart:
    """A program's bytes, what the manifest says of it, and something to measure it with."""

    data: bytes = field(repr=False)
    record: ProgramRecord
    estimator: ProgramEstimator = field(repr=False)


def parse_agreement(value: object) -> Decimal:
    """The least share of rows that must agree; `InvalidTerms` if it is no number from 0 to 1."""
    try:
        share = Decimal(str(value))
        if not isinstance(value, bool) and 0 <= share <= 1:
            return share
    except InvalidOperation:
        pass
    raise InvalidTerms(f"{value!r} is not a share of rows from 0 to 1.")


def exact_part(
    estimator: Any,
    schema: InputSchema,
    output: OutputSpec,
    rows: Sequence[Row],
    least: Decimal,
) -> ExactPart:
    """Compile a fitted `estimator`, and measure the program on held-out `rows`.

    It is measured on those rows and, for a classification, on others made next to the decision
    boundary. Raises `NoExactProgram` when there is none, `ThresholdNotMet` when fewer than the
    share `least` of either agree.
    """
    compiled = compile_program(estimator, schema, output)
    runner = ProgramRunner(compiled.program, schema)

    def measured(on: Sequence[Row]) -> Agreement:
        return agreement(estimator, runner, schema, output, on, score_error=compiled.score_error)

    near = boundary_rows(estimator, schema, rows) if output.task == "classification" else []
    record = ProgramRecord(
        hash=compiled.program.hash,
        size=len(compiled.data),
        encoding=compiled.program.encoding,
        score_error=compiled.score_error,
        held_out=measured(rows),
        boundary=measured(near) if near else None,
    )
    _check(record.held_out, "held-out rows", least)
    if record.boundary is not None:
        _check(record.boundary, "rows next to the decision boundary", least)
    return ExactPart(compiled.data, record, ProgramEstimator(runner, output))


def _check(measured: Agreement, what: str, least: Decimal) -> None:
    if measured.agreeing < least * measured.rows:
        raise ThresholdNotMet(
            f"The exact program agrees with the estimator on {measured.agreeing} of"
            f" {measured.rows} {what}, less than the share of {least:f} asked for.",
            hint="Nothing was published. Ranges closer to the data make a program more precise.",
        )
