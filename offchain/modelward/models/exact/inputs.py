"""From a row as people write it to the numbers an exact program takes, and their bytes.

=========  ======================================================================================
units      0 is the minimum of the column's declared range, 2^32 - 1 its maximum, halves to even
keys32     the binary32 nearest to the value, numbered in order: 0 is zero, 1 the next above
keys64     the same of the binary64
=========  ======================================================================================

These are the last floating-point operations on an input, and the requester's: a subtraction and a
multiplication in binary64, which IEEE 754 defines to the last bit. The canonical input is the
encoding's tag and each number, big-endian, in 4 bytes (units, keys32) or 8 (keys64). Whatever its
numbers, a program has an answer; only a key outside the declared range is not accepted.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from modelward.errors import InvalidInput, NoExactProgram
from modelward.models.exact.program import LARGEST_UNIT, Encoding
from modelward.models.schema import Column, InputSchema, Row

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LARGEST_FLOAT32 = float.fromhex("0x1.fffffep127")

_TILE = 64
"""So many rows at once NumPy subtracts and multiplies with the least overhead."""
_NARROWEST = 1e-290

NUMBER_LETTERS = {Encoding.UNITS: "I", Encoding.KEYS32: "i", Encoding.KEYS64: "q"}
"""How `struct` packs the numbers of an input."""
_FORMS = {
    Encoding.KEYS32: ("f", "i", 2**31 - 1),
    Encoding.KEYS64: ("d", "q", 2**63 - 1),
}


class InputEncoding:
    """The inputs of one model's program; raises `NoExactProgram` for columns it cannot take."""

    def __init__(self, schema: InputSchema, encoding: Encoding) -> None:
        self.encoding = encoding
        self.columns = schema.columns
        self.ranges = [column_range(column) for column in schema.columns]
        for column, (low, high) in zip(schema.columns, self.ranges, strict=True):
            if encoding is Encoding.KEYS32 and max(-low, high) > LARGEST_FLOAT32:
                raise NoExactProgram(f"The range of {column.name!r} goes beyond binary32.")
        self._packing = struct.Struct(f">B{len(schema.columns)}{NUMBER_LETTERS[encoding]}")
        self._lows = [low for low, _ in self.ranges]
        self._highs = [high for _, high in self.ranges]
        if encoding is Encoding.UNITS:
            self._scales = [unit_scale(low, high) for low, high in self.ranges]
        else:
            self._keys = keys_function(encoding, len(schema.columns))
            self._bounds = list(zip(self._keys(self._lows), self._keys(self._highs), strict=True))

    def quantise(self, row: Row | Sequence[float]) -> tuple[int, ...]:
        """The numbers of a row; `InvalidInput` for a value outside its range."""
        values = cast("Sequence[float]", row)
        self._check_values(values)
        if self.encoding is not Encoding.UNITS:
            return self._keys(values)
        # At most LARGEST_UNIT: the roundings of a scale and of a product are far below half a unit.
        return tuple(
            [
                round((value - low) * scale)
                for value, low, scale in zip(values, self._lows, self._scales, strict=True)
            ]
        )

    @cached_property
    def column(self) -> Callable[[Sequence[float]], npt.NDArray[np.float64]]:
        """`quantise` to units in binary64, of the shape (features, 1), for many calls."""
        import numpy as np

        check, array, round_, binary64 = self._check_values, np.array, np.rint, np.float64
        lows, scales = (array(each).reshape(-1, 1) for each in (self._lows, self._scales))

        def column(row: Sequence[float]) -> npt.NDArray[np.float64]:
            check(row)
            units = array(row, binary64).reshape(-1, 1)
            units -= lows
            units *= scales
            return round_(units, units)

        return column

    def encode_row(self, row: Row) -> bytes:
        """The canonical input of a canonical row."""
        return self.encode(self.quantise(row))

    def encode(self, numbers: Sequence[int]) -> bytes:
        """The canonical input of these numbers."""
        return self._packing.pack(self.encoding, *numbers)

    def decode(self, data: bytes) -> tuple[int, ...]:
        """The numbers whose canonical input is `data`; `InvalidInput` if there are none."""
        numbers = decode_numbers(self.encoding, len(self.columns), data)
        if self.encoding is not Encoding.UNITS:
            self._check_range(numbers)
        return numbers

    def values(self, numbers: Sequence[int]) -> tuple[float, ...]:
        """About the values the numbers stand for (keys: exactly)."""
        if self.encoding is Encoding.UNITS:
            return tuple(
                low + number / scale if scale else low
                for number, (low, _), scale in zip(numbers, self.ranges, self._scales, strict=True)
            )
        return tuple(value_of_key(self.encoding, number) for number in numbers)

    def quantise_table(self, table: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """`quantise` for many rows of values, as `BatchRunner.run` takes them."""
        import numpy as np

        numbers = self.numbers(table)
        return numbers.astype(np.uint32) if self.encoding is Encoding.UNITS else numbers

    def numbers(self, table: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """The same with units in binary64, as `BatchRunner.run_blocks` reads them.

        A value that far outside its range that it makes no unit counts as the end of the range.
        """
        import numpy as np

        self._check_length(table.shape[1])
        if self.encoding is Encoding.UNITS:
            numbers: npt.NDArray[Any] = np.array(table, order="C")
            lows, scales = self._tiles
            rest = len(numbers) % _TILE
            tiles = numbers[: len(numbers) - rest].reshape(-1, *lows.shape)
            last = numbers[len(numbers) - rest :]
            for part, rows in ((tiles, _TILE), (last, rest)):
                part -= lows[:rows]
                part *= scales[:rows]
            np.rint(numbers, numbers)
            accepted = not len(table) or (numbers.min() >= 0 and numbers.max() <= LARGEST_UNIT)
        else:
            numbers = keys_of(self.encoding, table)
            lowest, highest = np.asarray(self._bounds).T
            accepted = bool(((lowest <= numbers) & (numbers <= highest)).all())
        if not accepted:
            for row in table.tolist():
                self._check_values(row)
        return numbers

    @cached_property
    def _tiles(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Lows and scales, a row each, for `_TILE` rows."""
        import numpy as np

        return np.tile(self._lows, (_TILE, 1)), np.tile(self._scales, (_TILE, 1))

    def _check_values(self, row: Sequence[float]) -> None:
        self._check_length(len(row))
        for value, low, high in zip(row, self._lows, self._highs, strict=True):
            if not low <= value <= high:
                self._refuse(row)

    def _check_length(self, length: int) -> None:
        if length != len(self.columns):
            raise InvalidInput(
                f"The input has {length} values, the model takes {len(self.columns)}."
            )

    def _refuse(self, row: Sequence[float]) -> None:
        for column, value in zip(self.columns, row, strict=True):
            column.value(value)

    def _check_range(self, keys: Sequence[int]) -> None:
        for column, key, (low, high) in zip(self.columns, keys, self._bounds, strict=True):
            if not low <= key <= high:
                raise InvalidInput(
                    f"{column.name!r} has the key {key}, outside its declared range {low} to"
                    f" {high}."
                )


def decode_numbers(encoding: Encoding, features: int, data: bytes) -> tuple[int, ...]:
    """The numbers in a canonical input, in whatever range; `InvalidInput` if it is none."""
    packing = struct.Struct(f">B{features}{NUMBER_LETTERS[encoding]}")
    if len(data) != packing.size:
        raise InvalidInput(
            f"The input is {len(data)} bytes long; {features} features take {packing.size}."
        )
    tag, *numbers = packing.unpack(data)
    if tag != encoding:
        raise InvalidInput(
            f"The input has the encoding tag 0x{tag:02x}; this model takes 0x{encoding:02x}."
        )
    return tuple(numbers)


def column_range(column: Column) -> tuple[float, float]:
    """The declared range of a column.

    `NoExactProgram` for a category or a text, and for a range that cannot be divided into units.
    """
    if column.kind in ("category", "text"):
        raise NoExactProgram(
            f"{column.name!r} is a {column.kind}, which exact programs do not take."
        )
    low, high = (0.0, 1.0) if column.kind == "boolean" else (column.minimum, column.maximum)
    low, high = float(cast(float, low)), float(cast(float, high))
    if not math.isfinite(high - low) or 0 < high - low < _NARROWEST:
        raise NoExactProgram(f"The range of {column.name!r} cannot be divided: {low} to {high}.")
    return low, high


def unit_scale(low: float, high: float) -> float:
    """How many units a difference of one makes; zero where there is no difference to make."""
    return LARGEST_UNIT / (high - low) if high > low else 0.0


# --- keys ----------------------------------------------------------------------------------------


def keys_function(encoding: Encoding, count: int) -> Callable[[Sequence[float]], tuple[int, ...]]:
    """The function from `count` values to their keys."""
    floats, integers, size = _FORMS[encoding]
    pack = struct.Struct(f">{count}{floats}").pack
    unpack = struct.Struct(f">{count}{integers}").unpack

    def keys(values: Sequence[float]) -> tuple[int, ...]:
        return tuple([bits if bits >= 0 else -(bits & size) for bits in unpack(pack(*values))])

    return keys


def value_of_key(encoding: Encoding, key: int) -> float:
    """The floating-point number a key stands for."""
    floats, integers, _ = _FORMS[encoding]
    value: float = struct.unpack(f">{floats}", struct.pack(f">{integers}", abs(key)))[0]
    return value if key >= 0 else -value


def keys_of(encoding: Encoding, values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """The keys of many values."""
    import numpy as np

    floats, integers = _types(encoding)
    bits = np.ascontiguousarray(values, dtype=floats).view(integers)
    return np.where(bits >= 0, bits, -(bits & np.iinfo(integers).max))


def values_of_keys(encoding: Encoding, keys: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The floating-point numbers many keys stand for."""
    import numpy as np

    floats, integers = _types(encoding)
    sizes = np.abs(keys).astype(integers).view(floats).astype(np.float64)
    values: npt.NDArray[np.float64] = np.where(keys >= 0, sizes, -sizes)
    return values


def _types(encoding: Encoding) -> tuple[npt.DTypeLike, npt.DTypeLike]:
    import numpy as np

    return (np.float32, np.int32) if encoding is Encoding.KEYS32 else (np.float64, np.int64)
