"""Clean until clean: hold a table to its rules, remedy what fails, and look again.

Every remedy is about a cell or a row by itself: nothing is learned from the data here, so that no
row held out later has had a say in what became of another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from modelward.errors import DataNotClean, InvalidInput
from modelward.pipeline.cells import Unreadable, reader
from modelward.pipeline.definition import ColumnRules, Pipeline

if TYPE_CHECKING:
    import pandas as pd

Check = Literal["readable", "in range", "present", "unique"]
DISTINCT = "distinct"
_SHOWN_ROWS = 10


@dataclass(frozen=True)
class Change:
    """What one round did about one failing check; `rows` are numbers from 1 as collected."""

    round: int
    column: str
    check: str
    remedy: str
    rows: tuple[int, ...]
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self._words(f" ({', '.join(self.examples)})" if self.examples else "")

    def without_cells(self) -> str:
        """The same for others to read: nothing in it was a cell."""
        return self._words("")

    def _words(self, about: str) -> str:
        where = f"{self.column} not {self.check}" if self.column else f"not {self.check}"
        count = f"{len(self.rows)} row{'s' if len(self.rows) != 1 else ''}"
        return f"round {self.round}: {where} in {count}{about}: {self.remedy}"


@dataclass(frozen=True)
class Cleaned:
    """A table that holds to its rules, and what was done to it, round by round.

    Its columns have their new names, the target comes last, and the index has the row numbers.
    """

    table: pd.DataFrame
    changes: tuple[Change, ...]
    rounds: int
    collected_rows: int


@dataclass(frozen=True)
class _Failure:
    column: str
    check: str
    rows: tuple[int, ...]
    cells: tuple[Any, ...]


def clean(table: pd.DataFrame, pipeline: Pipeline) -> Cleaned:
    """`table`, as collected, made to hold to the rules of `pipeline`.

    Raises `InvalidInput` when it lacks a column, `DataNotClean` when a check still fails after the
    last round, fails without a remedy, or too many rows would have to go.
    """
    rules = {**pipeline.columns, pipeline.target.column: pipeline.target.rules}
    if lacking := [name for name in rules if name not in table.columns]:
        raise InvalidInput(
            f"The data have no column {lacking[0]!r}.",
            hint=f"There are {', '.join(map(repr, table.columns[:8]))}.",
        )
    current = _read_cells(table[list(rules)], rules)
    changes: list[Change] = []
    rounds = 0
    while failures := tuple(_failures(current, rules, pipeline)):
        rounds += 1
        _stop_unless_remedied(failures, rules, pipeline, rounds)
        for failure in failures:
            column = rules.get(failure.column)
            remedy = _remedy(failure, column, pipeline)
            current, change = _remedied(current, failure, column, remedy, rounds)
            changes.append(change)
        _stop_if_too_few(current, table, pipeline)
    _stop_if_too_few(current, table, pipeline)
    _check_classes(current, pipeline)
    return Cleaned(_typed(current, rules), tuple(changes), rounds, len(table))


def _read_cells(table: pd.DataFrame, rules: dict[str, ColumnRules]) -> pd.DataFrame:
    import pandas as pd

    readers = {name: reader(rules[name]) for name in table.columns}
    columns = {
        name: pd.Series(
            [read(cell) for cell in table[name].tolist()], index=table.index, dtype=object
        )
        for name, read in readers.items()
    }
    return pd.DataFrame(columns)


# --- checks --------------------------------------------------------------------------------------


def _failures(
    table: pd.DataFrame, rules: dict[str, ColumnRules], pipeline: Pipeline
) -> Iterator[_Failure]:
    """Every check that fails, with the rows it fails in."""
    import pandera.errors

    if pipeline.clean.duplicates != "keep":
        copies = table.index[table.duplicated()]
        if len(copies):
            yield _Failure("", DISTINCT, tuple(copies.tolist()), ())
    try:
        _schema(rules).validate(table, lazy=True)
    except pandera.errors.SchemaErrors as error:
        found: dict[tuple[str, str], list[tuple[int, Any]]] = defaultdict(list)
        for case in error.failure_cases.to_dict("records"):
            found[case["column"], case["check"]].append((int(case["index"]), case["failure_case"]))
        for (column, check), cases in found.items():
            rows, cells = zip(*sorted(cases, key=lambda case: case[0]), strict=True)
            yield _Failure(column, check, rows, cells)


def _schema(rules: dict[str, ColumnRules]) -> Any:
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {name: pa.Column(object, _checks(column), nullable=True) for name, column in rules.items()}
    )


def _checks(rules: ColumnRules) -> list[Any]:
    import pandera.pandas as pa

    def present(cells: Any) -> Any:
        return cells.map(lambda cell: cell is not None)

    def readable(cells: Any) -> Any:
        return cells.map(lambda cell: not isinstance(cell, Unreadable))

    def within(cells: Any) -> Any:
        return cells.map(lambda cell: not _is_outside(cell, rules))

    def unique(cells: Any) -> Any:
        return ~cells.duplicated() | ~present(cells)

    checks = [pa.Check(readable, name="readable", ignore_na=False)]
    if rules.minimum is not None or rules.maximum is not None or rules.kind == "text":
        checks.append(pa.Check(within, name="in range", ignore_na=False))
    if rules.missing != "impute":
        checks.append(pa.Check(present, name="present", ignore_na=False))
    if rules.unique:
        checks.append(pa.Check(unique, name="unique", ignore_na=False))
    return checks


def _is_outside(cell: Any, rules: ColumnRules) -> bool:
    if rules.kind == "text" and isinstance(cell, str) and not isinstance(cell, Unreadable):
        return len(cell.encode()) > rules.longest
    if not isinstance(cell, float):
        return False
    return (rules.minimum is not None and cell < rules.minimum) or (
        rules.maximum is not None and cell > rules.maximum
    )


# --- remedies ------------------------------------------------------------------------------------


def _remedy(failure: _Failure, rules: ColumnRules | None, pipeline: Pipeline) -> str:
    if rules is None:
        return pipeline.clean.duplicates
    remedies = {
        "readable": rules.invalid,
        "in range": rules.outside,
        "present": rules.missing,
        "unique": "refuse",
    }
    return remedies[failure.check]


def _stop_unless_remedied(
    failures: tuple[_Failure, ...], rules: dict[str, ColumnRules], pipeline: Pipeline, rounds: int
) -> None:
    hopeless = [
        failure
        for failure in failures
        if _remedy(failure, rules.get(failure.column), pipeline) == "refuse"
    ]
    if not hopeless and rounds <= pipeline.clean.rounds:
        return
    left = hopeless or list(failures)
    why = "" if hopeless else f" after {pipeline.clean.rounds} rounds"
    words = "; ".join(
        f"{failure.column or 'the table'} is not {failure.check} in {_row_list(failure)}"
        for failure in left
    )
    raise DataNotClean(
        f"The data are not clean{why}: {words}.",
        {f"{failure.column}: {failure.check}": failure.rows for failure in left},
    )


def _row_list(failure: _Failure) -> str:
    hidden = len(failure.rows) - _SHOWN_ROWS
    shown = ", ".join(map(str, failure.rows[:_SHOWN_ROWS]))
    cells = ", ".join(_examples(failure))
    return (
        f"row{'s' if len(failure.rows) > 1 else ''} {shown}"
        f"{f' and {hidden} more' if hidden > 0 else ''}{f' ({cells})' if cells else ''}"
    )


def _examples(failure: _Failure) -> tuple[str, ...]:
    if failure.check == "present":
        return ()
    return tuple(dict.fromkeys(repr(cell) for cell in failure.cells))[:3]


def _remedied(
    table: pd.DataFrame, failure: _Failure, rules: ColumnRules | None, remedy: str, rounds: int
) -> tuple[pd.DataFrame, Change]:
    """The table after `remedy`, and what that changed."""
    cells = (
        {row: table.at[row, failure.column] for row in failure.rows if row in table.index}
        if failure.column
        else dict.fromkeys(failure.rows)
    )
    words = {"drop": "dropped", "missing": "now missing", "clip": "clipped to the range"}
    match remedy:
        case "drop":
            table = table.drop(index=list(cells))
        case "missing":
            table = _with_cells(table, failure.column, dict.fromkeys(cells))
        case "fill" if rules is not None:
            table = _with_cells(table, failure.column, dict.fromkeys(cells, rules.value))
            words["fill"] = f"filled with {rules.value!r}"
        case "clip" if rules is not None:
            clipped = {row: _clipped(cell, rules) for row, cell in cells.items()}
            table = _with_cells(table, failure.column, clipped)
    return table, Change(
        rounds, failure.column, failure.check, words[remedy], failure.rows, _examples(failure)
    )


def _clipped(cell: Any, rules: ColumnRules) -> float | str:
    if isinstance(cell, str):
        return cell.encode()[: rules.longest].decode(errors="ignore")
    low = cell if rules.minimum is None else rules.minimum
    high = cell if rules.maximum is None else rules.maximum
    return float(min(max(cell, low), high))


def _with_cells(table: pd.DataFrame, column: str, cells: dict[int, Any]) -> pd.DataFrame:
    import pandas as pd

    values = [
        cells.get(row, cell) for row, cell in zip(table.index, table[column].tolist(), strict=True)
    ]
    return table.assign(**{column: pd.Series(values, index=table.index, dtype=object)})


def _stop_if_too_few(current: pd.DataFrame, table: pd.DataFrame, pipeline: Pipeline) -> None:
    dropped = len(table) - len(current)
    if dropped > pipeline.clean.drop_at_most * len(table):
        raise DataNotClean(
            f"Cleaning would drop {dropped} of {len(table)} rows, more than the"
            f" {pipeline.clean.drop_at_most:.0%} allowed.",
            {"too many rows dropped": ()},
        )
    if len(current) < pipeline.clean.least_rows:
        raise DataNotClean(
            f"There are {len(current)} clean rows, fewer than {pipeline.clean.least_rows}.",
            {"too few rows": ()},
        )


def _check_classes(table: pd.DataFrame, pipeline: Pipeline) -> None:
    counts = table[pipeline.target.column].value_counts()
    least = pipeline.train.folds + 1
    scarce = [name for name in pipeline.target.classes if counts.get(name, 0) < least]
    if scarce:
        raise DataNotClean(
            f"Of the class {scarce[0]!r} there are {counts.get(scarce[0], 0)} rows; {least} are"
            " the least.",
            {f"class {name!r} absent or scarce": () for name in scarce},
        )


def _typed(table: pd.DataFrame, rules: dict[str, ColumnRules]) -> pd.DataFrame:
    """The columns in types that estimators take, the unused ones included."""
    import pandas as pd

    kinds: dict[str, Any] = {"number": "float64", "boolean": "bool"}
    columns: dict[str, pd.Series[Any]] = {}
    for name, column in rules.items():
        cells, complete = table[name], not table[name].isna().any()
        if column.kind in ("integer", "date"):
            typed = cells.astype("float64")
            columns[column.rename or name] = typed.astype("int64") if complete else typed
        elif complete or column.kind == "number":
            columns[column.rename or name] = cells.astype(kinds.get(column.kind, "str"))
        else:
            columns[column.rename or name] = cells
    return pd.DataFrame(columns)
