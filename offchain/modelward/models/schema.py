"""What a model takes: named, typed, ranged columns, and the one byte string of each row.

A *row* is a tuple with one canonical value a column: `float` for a number, `int` for an integer,
`bool` for a boolean, the category itself (text or integer) for a category, `str` for a text.

The canonical input of a row is one tag byte, 0x01, and eight bytes a column: an IEEE-754 binary64,
big-endian. Minus zero is written as zero, an integer as the float equal to it (so |x| <= 2^53),
a boolean as 0 or 1, a category as its index in the declared list. Tags 0x02 to 0x04 are those of
quantised rows (`modelward.models.exact.inputs`). A row with texts has the tag 0x05: a text's eight
bytes hold its length, in bytes of UTF-8, and the texts follow after all columns, in order.
"""

from __future__ import annotations

import difflib
import math
import numbers
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from modelward.errors import BadInput, InvalidBundle, InvalidInput
from modelward.models import canonical_json
from modelward.models.texts import text_columns

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Kind = Literal["number", "integer", "boolean", "category", "text"]
Category = str | int
Value = float | int | bool | str
Row = tuple[Value, ...]
Bounds = tuple[float, float] | Sequence[Category] | int

FLOAT_ROW_TAG = 0x01
TEXT_ROW_TAG = 0x05
LARGEST_INTEGER = 2**53
MAX_COLUMNS = 4096
MAX_CATEGORIES = 4096
MAX_NAME = 256
MAX_TEXT = 2**16
"""The most bytes that a text may be declared to take, in UTF-8."""
DEFAULT_TEXT = 4096
"""What it may take where nothing else is stated."""

_LARGEST_FLOAT = 1.7976931348623157e308


@dataclass(frozen=True, slots=True)
class Column:
    """One feature.

    `minimum` and `maximum` are inclusive and given for numbers and integers, `maximum` alone for a
    text: the most bytes it may take in UTF-8. `categories` (all text or all integers, no
    repetition) are given for categories only. Raises `InvalidInput` when these do not go together.
    """

    name: str
    kind: Kind
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[Category, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or len(self.name) > MAX_NAME:
            raise InvalidInput(f"A feature's name must be text of 1 to {MAX_NAME} characters.")
        if not self.name.isprintable():
            raise InvalidInput(f"The feature name {self.name!r} has unprintable characters.")
        if self.kind not in get_args(Kind):
            raise InvalidInput(f"{self.name!r} has the unknown kind {self.kind!r}.")
        if self.kind == "text":
            self._check_text()
            return
        ranged = self.kind in ("number", "integer")
        if ranged != (self.minimum is not None) or ranged != (self.maximum is not None):
            raise InvalidInput(
                f"{self.name!r} must{'' if ranged else ' not'} declare a minimum and a maximum."
            )
        if ranged:
            self._check_bounds()
        if (self.kind == "category") != bool(self.categories):
            raise InvalidInput(f"Categories must be listed for a category only ({self.name!r}).")
        if self.categories:
            self._check_categories()

    def _check_text(self) -> None:
        longest: object = self.maximum
        if self.minimum is not None or type(longest) is not int or not 1 <= longest <= MAX_TEXT:
            raise InvalidInput(
                f"The text {self.name!r} must declare how many bytes it may take, from 1 to"
                f" {MAX_TEXT}, and no minimum."
            )
        if self.categories:
            raise InvalidInput(f"Categories must be listed for a category only ({self.name!r}).")

    def _check_bounds(self) -> None:
        wanted = int if self.kind == "integer" else float
        for bound in (self.minimum, self.maximum):
            if type(bound) is not wanted or not math.isfinite(bound):
                raise InvalidInput(
                    f"The bounds of {self.name!r} must be finite numbers of kind {self.kind}."
                )
            if wanted is int and abs(bound) > LARGEST_INTEGER:
                raise InvalidInput(f"The bounds of {self.name!r} must lie within 2^53.")
        if cast(float, self.minimum) > cast(float, self.maximum):
            raise InvalidInput(
                f"The minimum of {self.name!r}, {self.minimum}, is above its maximum,"
                f" {self.maximum}."
            )

    def _check_categories(self) -> None:
        if len(self.categories) > MAX_CATEGORIES:
            raise InvalidInput(
                f"{self.name!r} has {len(self.categories)} categories, more than the"
                f" {MAX_CATEGORIES} allowed."
            )
        kinds = {type(category) for category in self.categories}
        if kinds not in ({str}, {int}):
            raise InvalidInput(
                f"The categories of {self.name!r} must be all text or all whole numbers."
            )
        if len(set(self.categories)) != len(self.categories):
            raise InvalidInput(f"{self.name!r} lists a category twice.")

    def value(self, cell: object) -> Value:
        """The canonical value of one cell; `InvalidInput` names the feature and what is wrong."""
        if type(cell).__module__ == "numpy" and hasattr(cell, "item"):
            cell = cell.item()
        if cell is None:
            raise InvalidInput(f"{self.name!r} is missing.")
        if self.kind == "category":
            return self._category(cell)
        if self.kind == "text":
            return self._text(cell)
        if self.kind == "boolean":
            if isinstance(cell, bool) or (isinstance(cell, int | float) and cell in (0, 1)):
                return bool(cell)
            raise InvalidInput(f"{self.name!r} must be true or false, not {_shown(cell)}.")
        return self._in_range(self._number(cell))

    def _number(self, cell: object) -> float:
        wanted = "a whole number" if self.kind == "integer" else "a number"
        if isinstance(cell, bool) or not isinstance(cell, numbers.Real | Decimal):
            raise InvalidInput(f"{self.name!r} must be {wanted}, not {_shown(cell)}.")
        try:
            number = float(cell)
        except (OverflowError, ValueError):  # an integer beyond binary64, a signalling NaN
            number = math.nan if isinstance(cell, Decimal) else math.inf
        if not math.isfinite(number):
            shown = "NaN" if math.isnan(number) else "infinite"
            raise InvalidInput(f"{self.name!r} must be a finite number, but is {shown}.")
        if self.kind == "number":
            return number or 0.0
        whole = round(number)
        if whole != cell:
            raise InvalidInput(f"{self.name!r} must be a whole number, not {_shown(cell)}.")
        if abs(whole) > LARGEST_INTEGER:
            raise InvalidInput(f"{self.name!r} is {whole}, beyond 2^53.")
        return whole

    def _in_range(self, number: float) -> float:
        if not cast(float, self.minimum) <= number <= cast(float, self.maximum):
            raise InvalidInput(
                f"{self.name!r} is {number}, outside its declared range"
                f" {self.minimum} to {self.maximum}."
            )
        return number

    def _category(self, cell: object) -> Category:
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)
        if isinstance(cell, str | int) and not isinstance(cell, bool) and cell in self.categories:
            return self.categories[self.categories.index(cell)]
        known = ", ".join(_shown(category) for category in self.categories[:5])
        more = ", ..." if len(self.categories) > 5 else ""
        raise InvalidInput(f"{self.name!r} must be one of {known}{more}, not {_shown(cell)}.")

    def _text(self, cell: object) -> str:
        if not isinstance(cell, str):
            raise InvalidInput(f"{self.name!r} must be text, not {_shown(cell)}.")
        try:
            size = len(cell.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise InvalidInput(f"{self.name!r} has half a surrogate pair, which is no text.") from (
                error
            )
        if size > cast(int, self.maximum):
            raise InvalidInput(
                f"{self.name!r} takes {size} bytes, more than the {self.maximum} declared."
            )
        return str(cell)

    def parse(self, text: str) -> object:
        """The value a CSV cell stands for; text that stands for none is left for `value`."""
        if self.kind == "text":
            return text
        stripped = text.strip()
        if self.kind == "category":
            if isinstance(self.categories[0], str):
                return text if text in self.categories else stripped
            return _parsed(int, stripped)
        if not stripped:
            return None
        if self.kind == "boolean":
            return {"true": True, "false": False, "1": True, "0": False}.get(
                stripped.lower(), stripped
            )
        whole = _parsed(int, stripped)
        return whole if isinstance(whole, int) else _parsed(float, stripped)

    def _encoded(self, value: Value) -> float:
        if self.kind == "category":
            return float(self.categories.index(cast(Category, value)))
        if self.kind == "text":
            return float(len(cast(str, value).encode("utf-8")))
        return float(value)

    def _decoded(self, number: float) -> Value:
        if not math.isfinite(number) or (number == 0 and math.copysign(1, number) < 0):
            raise InvalidInput(f"{self.name!r} is not in canonical form.")
        if self.kind == "number":
            return self._in_range(number)
        if not number.is_integer():
            raise InvalidInput(f"{self.name!r} must be encoded as a whole number, not {number}.")
        whole = int(number)
        if self.kind == "integer":
            return self._in_range(whole)
        if self.kind == "boolean":
            if whole not in (0, 1):
                raise InvalidInput(f"{self.name!r} must be encoded as 0 or 1, not {whole}.")
            return bool(whole)
        if not 0 <= whole < len(self.categories):
            raise InvalidInput(
                f"{self.name!r} has {len(self.categories)} categories; there is no number {whole}."
            )
        return self.categories[whole]


@dataclass(frozen=True)
class InputSchema:
    """The columns of a model's input, in the order the estimator was fitted with.

    `named` says that the estimator was fitted on named columns and is to be given them back.
    """

    columns: tuple[Column, ...]
    named: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.columns) <= MAX_COLUMNS:
            raise InvalidInput(f"A model takes 1 to {MAX_COLUMNS} features.")
        if len(self._positions) != len(self.columns):
            raise InvalidInput("Two features have the same name.")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The feature names in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {column.name: position for position, column in enumerate(self.columns)}

    @cached_property
    def _texts(self) -> tuple[int, ...]:
        """The positions of the texts."""
        return tuple(i for i, column in enumerate(self.columns) if column.kind == "text")

    @cached_property
    def _packing(self) -> struct.Struct:
        return struct.Struct(f">B{len(self.columns)}d")

    # --- rows ------------------------------------------------------------------------------------

    def row(self, value: object) -> Row:
        """The canonical row of `value`.

        `value` is a mapping by feature name, a sequence or 1-D array in column order, or one row of
        a 2-D array, a DataFrame or a Series. Raises `InvalidInput` with one sentence that names the
        feature: names or number of values wrong, not a number, NaN or infinite, out of range,
        unknown category.
        """
        return tuple(
            column.value(cell)
            for column, cell in zip(self.columns, self._cells(value), strict=True)
        )

    def parse(self, texts: Mapping[str, str]) -> dict[str, object]:
        """What each text stands for in its column; what no column is called stays as it is."""
        columns = {column.name: column for column in self.columns}
        return {
            name: columns[name].parse(text) if name in columns else text
            for name, text in texts.items()
        }

    def rows(self, values: Iterable[object]) -> list[Row]:
        """The canonical rows of `values`; the error says which row it is about."""
        rows = []
        for number, value in enumerate(values, start=1):
            try:
                rows.append(self.row(value))
            except InvalidInput as error:
                raise InvalidInput(f"Row {number}: {error.message}", hint=error.hint) from error
        return rows

    def _cells(self, value: object) -> Sequence[object]:
        if isinstance(value, Mapping):
            return self._by_name(value)
        if hasattr(value, "iloc"):
            return self._from_pandas(value)
        if hasattr(value, "ndim") and hasattr(value, "tolist"):
            value = cast("np.ndarray[Any, Any]", value).tolist()
        if isinstance(value, list | tuple):
            if value and all(isinstance(item, list | tuple | Mapping) for item in value):
                if len(value) != 1:
                    raise InvalidInput(f"One row is wanted, {len(value)} were given.")
                return self._cells(value[0])
            return self._by_position(value)
        raise InvalidInput(
            f"A row must be an object of feature names or a list of values, not {_shown(value)}."
        )

    def _from_pandas(self, value: Any) -> Sequence[object]:
        if hasattr(value, "columns"):
            if len(value) != 1:
                raise InvalidInput(f"One row is wanted, {len(value)} were given.")
            labels = list(value.columns)
            cells = [value.iloc[0, position] for position in range(len(labels))]
        else:
            labels, cells = list(value.index), value.tolist()
        if labels == list(range(len(labels))):
            return self._by_position(cells)
        if len(set(labels)) != len(labels):
            raise InvalidInput("The input names a feature twice.")
        return self._by_name(dict(zip(labels, cells, strict=True)))

    def _by_position(self, cells: Sequence[object]) -> Sequence[object]:
        if len(cells) != len(self.columns):
            raise InvalidInput(
                f"The input has {len(cells)} values, the model takes {len(self.columns)}"
                f" ({_listed(self.names)}).",
            )
        return cells

    def _by_name(self, cells: Mapping[Any, object]) -> Sequence[object]:
        missing = [name for name in self.names if name not in cells]
        unexpected = [name for name in cells if name not in self._positions]
        if missing or unexpected:
            raise self._wrong_names(missing, [str(name) for name in unexpected])
        return [cells[name] for name in self.names]

    def _wrong_names(self, missing: list[str], unexpected: list[str]) -> InvalidInput:
        faults = []
        if missing:
            faults.append(f"lacks {_listed(missing)}")
        if unexpected:
            faults.append(f"has {_listed(unexpected)}, which the model does not know")
        hint = None
        for name in unexpected:
            if close := difflib.get_close_matches(name, missing or self.names, n=1):
                hint = f"Did you mean {close[0]!r} instead of {name!r}?"
                break
        return InvalidInput(f"The input {' and '.join(faults)}.", hint=hint)

    # --- bytes -----------------------------------------------------------------------------------

    def encode_row(self, row: Row) -> bytes:
        """The canonical input of a canonical `row`: 1 + 8n bytes, and those of its texts."""
        encoded = (column._encoded(value) for column, value in zip(self.columns, row, strict=True))
        if not self._texts:
            return self._packing.pack(FLOAT_ROW_TAG, *encoded)
        texts = (cast(str, row[position]).encode("utf-8") for position in self._texts)
        return self._packing.pack(TEXT_ROW_TAG, *encoded) + b"".join(texts)

    def decode_row(self, data: bytes) -> Row:
        """The row whose canonical input is `data`; `InvalidInput` if there is none."""
        size = self._packing.size
        if len(data) < size or (len(data) > size and not self._texts):
            raise InvalidInput(
                f"The input is {len(data)} bytes long; {len(self.columns)} features take"
                f" {size}{' at least' if self._texts else ''}."
            )
        tag, *encoded = self._packing.unpack(data[:size])
        if tag != (TEXT_ROW_TAG if self._texts else FLOAT_ROW_TAG):
            raise InvalidInput(f"The input has the unknown encoding tag 0x{tag:02x}.")
        texts = self._decoded_texts([encoded[position] for position in self._texts], data[size:])
        return tuple(
            next(texts) if column.kind == "text" else column._decoded(number)
            for column, number in zip(self.columns, encoded, strict=True)
        )

    def _decoded_texts(self, lengths: Sequence[float], data: bytes) -> Iterator[str]:
        columns = [self.columns[position] for position in self._texts]
        for column, length in zip(columns, lengths, strict=True):
            if not 0 <= length <= cast(int, column.maximum) or not length.is_integer():
                raise InvalidInput(
                    f"{column.name!r} takes {length} bytes, not 0 to the {column.maximum} declared."
                )
            if math.copysign(1, length) < 0:
                raise InvalidInput(f"{column.name!r} is not in canonical form.")
        if len(data) != sum(lengths):
            raise InvalidInput(
                f"The texts of the input take {len(data)} bytes, not {sum(lengths):.0f}."
            )
        for column, length in zip(columns, lengths, strict=True):
            text, data = data[: int(length)], data[int(length) :]
            try:
                yield text.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidInput(f"{column.name!r} is not text in UTF-8.") from error

    # --- what the estimator is given -------------------------------------------------------------

    def to_frame(self, rows: Sequence[Row]) -> pd.DataFrame | np.ndarray[Any, Any]:
        """Canonical `rows` as the estimator takes them, of shape (len(rows), columns).

        A DataFrame with the fitted names when it was fitted with names (int64, float64, bool,
        pandas categories, and str for texts), an array otherwise (float64, or objects when there
        are categories or texts).
        """
        import numpy as np

        if not self.named:
            plain = all(column.kind not in ("category", "text") for column in self.columns)
            dtype: type = np.float64 if plain else object
            array: np.ndarray[Any, Any] = np.empty((len(rows), len(self.columns)), dtype=dtype)
            for position, row in enumerate(rows):
                array[position] = row
            return array

        import pandas as pd

        dtypes = {"number": "float64", "integer": "int64", "boolean": "bool", "text": "str"}
        series: dict[str, pd.Series[Any]] = {}
        for position, column in enumerate(self.columns):
            cells = [row[position] for row in rows]
            series[column.name] = (
                pd.Series(pd.Categorical(cells, categories=list(column.categories)))
                if column.kind == "category"
                else pd.Series(cells, dtype=dtypes[column.kind])
            )
        return pd.DataFrame(series)

    # --- JSON ------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The schema as it stands in a manifest."""
        return {
            "named": self.named,
            "columns": [
                {
                    "name": column.name,
                    "kind": column.kind,
                    "minimum": column.minimum,
                    "maximum": column.maximum,
                    "categories": list(column.categories),
                }
                for column in self.columns
            ],
        }

    @classmethod
    def from_json(cls, value: object) -> InputSchema:
        """Read what `to_json` wrote; `InvalidBundle` for anything else."""
        schema = canonical_json.fields(value, ("named", "columns"), "The input schema")
        columns = []
        for item in canonical_json.array(schema["columns"], "The columns", limit=MAX_COLUMNS):
            column = canonical_json.fields(
                item, ("name", "kind", "minimum", "maximum", "categories"), "A column"
            )
            categories = canonical_json.array(
                column["categories"], "A column's categories", limit=MAX_CATEGORIES
            )
            if not all(isinstance(category, str | int) for category in categories):
                raise InvalidBundle("A category must be text or a whole number.")
            try:
                columns.append(Column(**{**column, "categories": tuple(categories)}))
            except BadInput as error:
                raise InvalidBundle(f"The input schema is malformed: {error.message}") from error
        try:
            return cls(tuple(columns), canonical_json.boolean(schema["named"], "'named'"))
        except InvalidInput as error:
            raise InvalidBundle(f"The input schema is malformed: {error.message}") from error


# --- inference -----------------------------------------------------------------------------------


def infer_schema(
    estimator: Any, inputs: Any, ranges: Mapping[str, Bounds] | None = None
) -> InputSchema:
    """The schema of a fitted `estimator`, from its feature names and a table of `inputs`.

    Names are `feature_names_in_`, else those of the DataFrame's columns, else x0, x1, ...; kinds
    come from the dtypes, and what a vectoriser takes is text. A range is the one observed, widened
    by its own span (or, when only one value shows, by that value's size) on either side; a text may
    take `DEFAULT_TEXT` bytes. `ranges` overrides it, by name, with a pair of bounds or, for a
    category, the list of its values, or, for a text, the most bytes it may take. Raises
    `InvalidInput`.
    """
    frame = input_frame(estimator, inputs)
    stated = dict(ranges or {})
    if unknown := [name for name in stated if name not in frame.columns]:
        close = difflib.get_close_matches(str(unknown[0]), list(frame.columns), n=1)
        raise InvalidInput(
            f"Ranges are stated for {_listed([str(name) for name in unknown])}, which the model"
            " does not know.",
            hint=f"Did you mean {close[0]!r}?" if close else None,
        )
    texts = text_columns(estimator)
    columns = tuple(
        _text_column(name, frame[name], stated.get(name))
        if name in texts or position in texts or type(stated.get(name)) is int
        else _column(name, frame[name], stated.get(name))
        for position, name in enumerate(frame.columns)
    )
    return InputSchema(columns, named=fitted_names(estimator) is not None)


def fitted_names(estimator: Any) -> tuple[str, ...] | None:
    """The feature names `estimator` was fitted with, None when it was fitted on an array.

    A pipeline that begins with "passthrough" does not tell them, but its first real step does.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        return tuple(str(name) for name in names)
    steps = [step for _, step in getattr(estimator, "steps", ())]
    real = [step for step in steps if step is not None and step != "passthrough"]
    return fitted_names(real[0]) if real else None


def input_frame(estimator: Any, inputs: Any) -> pd.DataFrame:
    """`inputs` as a DataFrame whose columns are the estimator's features, in their order.

    Raises `InvalidInput` when they are not a dense, non-empty 2-D table with these columns.
    """
    import numpy as np
    import pandas as pd

    fitted = fitted_names(estimator)
    if isinstance(inputs, pd.DataFrame):
        frame = inputs
    else:
        if hasattr(inputs, "toarray"):
            raise InvalidInput("Inputs must be a dense table, not a sparse matrix.")
        try:
            array = np.asarray(inputs)
        except ValueError as error:
            raise InvalidInput("The rows of the inputs differ in length.") from error
        if array.ndim != 2:
            raise InvalidInput(
                f"Inputs must be a table of rows, not an array of {array.ndim} axes."
            )
        frame = pd.DataFrame(array).infer_objects()
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        raise InvalidInput("The inputs are empty.")
    labels = list(frame.columns)
    count = len(fitted) if fitted is not None else getattr(estimator, "n_features_in_", len(labels))
    if fitted is not None and isinstance(inputs, pd.DataFrame):
        names = list(fitted)
        missing = [name for name in names if name not in labels]
        unexpected = [str(label) for label in labels if label not in names]
        if missing or unexpected:
            raise InvalidInput(
                "The inputs"
                + (f" lack {_listed(missing)}" if missing else "")
                + (" and" if missing and unexpected else "")
                + (f" have {_listed(unexpected)} beyond its features" if unexpected else "")
                + ", compared with what the estimator was fitted on."
            )
        frame = frame[names]
    elif len(labels) != count:
        raise InvalidInput(f"The inputs have {len(labels)} columns, the estimator takes {count}.")
    elif fitted is not None:
        frame = frame.set_axis(list(fitted), axis=1)
    elif not all(isinstance(label, str) for label in labels):
        frame = frame.set_axis([f"x{position}" for position in range(len(labels))], axis=1)
    if frame.columns.has_duplicates:
        raise InvalidInput("Two features of the inputs have the same name.")
    return frame


def _column(name: str, cells: pd.Series[Any], stated: Bounds | None) -> Column:
    import pandas as pd
    from pandas.api import types

    if cells.isna().any():
        raise InvalidInput(f"{name!r} has missing values (or NaN), which a row may not have.")
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return _category_column(name, list(cells.cat.categories), stated)
    if types.is_bool_dtype(cells.dtype) or all(isinstance(cell, bool) for cell in cells):
        if stated is not None:
            raise InvalidInput(f"{name!r} is true or false: it has no range to state.")
        return Column(name, "boolean")
    if types.is_integer_dtype(cells.dtype):
        return _integer_column(name, int(cells.min()), int(cells.max()), stated)
    if types.is_float_dtype(cells.dtype):
        return _number_column(name, float(cells.min()), float(cells.max()), stated)
    if all(isinstance(cell, str) for cell in cells):
        return _category_column(name, sorted(set(cells)), stated)
    raise InvalidInput(
        f"{name!r} holds values of the type {cells.dtype}; a feature is a number, a boolean or a"
        " category."
    )


def _text_column(name: str, cells: pd.Series[Any], stated: Bounds | None) -> Column:
    if not all(isinstance(cell, str) for cell in cells):
        raise InvalidInput(f"{name!r} is taken as text, and holds something else.")
    if stated is not None and type(stated) is not int:
        raise InvalidInput(f"What is stated of the text {name!r} is the most bytes it may take.")
    return Column(name, "text", maximum=DEFAULT_TEXT if stated is None else stated)


def _number_column(name: str, low: float, high: float, stated: Bounds | None) -> Column:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidInput(f"{name!r} has infinite values.")
    if stated is not None:
        low, high = _bounds(name, stated)
        return Column(name, "number", float(low), float(high))
    span = high - low or abs(high) or 1.0
    return Column(
        name, "number", max(low - span, -_LARGEST_FLOAT), min(high + span, _LARGEST_FLOAT)
    )


def _integer_column(name: str, low: int, high: int, stated: Bounds | None) -> Column:
    if stated is not None:
        lowest, highest = _bounds(name, stated)
        if lowest != int(lowest) or highest != int(highest):
            raise InvalidInput(f"{name!r} takes whole numbers, so its bounds must be whole too.")
        return Column(name, "integer", int(lowest), int(highest))
    if max(abs(low), abs(high)) > LARGEST_INTEGER:
        raise InvalidInput(f"{name!r} has whole numbers beyond 2^53, which a row cannot hold.")
    span = high - low or abs(high) or 1
    return Column(
        name, "integer", max(low - span, -LARGEST_INTEGER), min(high + span, LARGEST_INTEGER)
    )


def _category_column(name: str, observed: list[Any], stated: Bounds | None) -> Column:
    categories = observed if stated is None else cast(Sequence[Any], stated)
    plain = (item.item() if hasattr(item, "item") else item for item in categories)
    return Column(name, "category", categories=tuple(plain))


def _bounds(name: str, stated: Bounds) -> tuple[float, float]:
    if (
        isinstance(stated, str | int)
        or len(stated) != 2
        or not all(isinstance(bound, numbers.Real) for bound in stated)
        or not all(math.isfinite(cast(float, bound)) for bound in stated)
    ):
        raise InvalidInput(f"The range of {name!r} must be a pair of finite numbers.")
    low, high = stated
    return cast(float, low), cast(float, high)


# --- wording -------------------------------------------------------------------------------------


def _parsed(kind: type[int] | type[float], text: str) -> object:
    try:
        return text if "_" in text else kind(text)
    except ValueError:
        return text


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def _listed(names: Sequence[str], limit: int = 5) -> str:
    listed = ", ".join(map(repr, names[:limit]))
    return listed if len(names) <= limit else f"{listed} and {len(names) - limit} more"
