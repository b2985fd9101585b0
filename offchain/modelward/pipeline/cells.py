"""What one raw cell means under the rules of its column."""

from __future__ import annotations

import datetime
import math
import numbers
import re
from collections.abc import Callable, Mapping
from typing import Any

from modelward.pipeline.definition import ColumnRules

MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "nil", "-", "?", "."})
"""What stands for a missing cell, in any case."""

_TRUE = frozenset({"true", "yes", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "n", "f", "0"})
_FIRST_DAY = datetime.date(1970, 1, 1)


class Unreadable(str):
    """The text of a cell that means nothing under its column's rules."""

    __slots__ = ()


def reader(rules: ColumnRules) -> Callable[[Any], Any]:
    """A function from a raw cell to its value, to None for a missing one, or to `Unreadable`.

    A number is a `float`, also where it should be whole; a date the days since 1970-01-01; a
    category one of those listed, found whatever its case and the white space around it. A text is
    left as it is; it is missing only where there is nothing but white space.
    """
    readers: Mapping[str, Callable[[ColumnRules], Callable[[Any], Any]]] = {
        "number": _number_reader,
        "integer": _number_reader,
        "boolean": lambda _: _boolean,
        "category": _category_reader,
        "date": _date_reader,
        "text": lambda _: _text,
    }
    read = readers[rules.kind](rules)
    missing = MISSING if rules.kind != "text" else frozenset({""})

    def value(cell: Any) -> Any:
        if hasattr(cell, "item"):
            cell = cell.item()
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            return None
        if isinstance(cell, str) and cell.strip().casefold() in missing:
            return None
        found = read(cell)
        return _unreadable(cell) if found is None else found

    return value


def _unreadable(cell: Any) -> Unreadable:
    return Unreadable(str(cell)[:80].encode(errors="backslashreplace").decode())


def _text(cell: Any) -> str | None:
    text = str(cell)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return None
    return text


def _number_reader(rules: ColumnRules) -> Callable[[Any], float | None]:
    point = re.escape(rules.decimal)
    group = f"(?:{re.escape(rules.thousands)}\\d{{3}})+" if rules.thousands else "(?!)"
    pattern = re.compile(
        rf"[+-]?(?:\d{{1,3}}{group}|\d+)?(?:(?<=\d){point}\d*|{point}\d+)?(?:[eE][+-]?\d+)?"
    )
    separators = {ord(rules.decimal): ".", ord(rules.thousands or "\0"): None}

    def number(cell: Any) -> float | None:
        if isinstance(cell, bool):
            return None
        if isinstance(cell, numbers.Real):
            value = float(cell)
        else:
            text = str(cell).strip().removesuffix(rules.unit).strip()
            if not pattern.fullmatch(text) or not any(map(str.isdigit, text)):
                return None
            value = float(text.translate(separators))
        if not math.isfinite(value) or (rules.kind == "integer" and not value.is_integer()):
            return None
        return value

    return number


def _boolean(cell: Any) -> bool | None:
    if isinstance(cell, bool | numbers.Real):
        return bool(cell) if cell in (0, 1) else None
    text = str(cell).strip().casefold()
    return True if text in _TRUE else False if text in _FALSE else None


def _category_reader(rules: ColumnRules) -> Callable[[Any], str | None]:
    spellings = {category.casefold(): category for category in rules.categories}
    spellings |= {alias.strip().casefold(): known for alias, known in rules.aliases.items()}

    def category(cell: Any) -> str | None:
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)
        return spellings.get(str(cell).strip().casefold())

    return category


def _date_reader(rules: ColumnRules) -> Callable[[Any], float | None]:
    def date(cell: Any) -> float | None:
        if isinstance(cell, datetime.datetime):
            return float((cell.date() - _FIRST_DAY).days)
        days = set()
        for spelling in rules.formats:
            try:
                parsed = datetime.datetime.strptime(str(cell).strip(), spelling)
            except ValueError:
                continue
            days.add((parsed.date() - _FIRST_DAY).days)
        return float(days.pop()) if len(days) == 1 else None

    return date
