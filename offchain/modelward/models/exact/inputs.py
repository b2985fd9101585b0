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
from typing import TYPE_CHECKING, Any, cast

from modelward.errors import InvalidInput, NoExactProgram
from modelward.models.exact.program import LARGEST_UNIT, Encoding
from modelward.models.schema import Column, InputSchema, Row

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LARGEST_FLOAT32 = float.fromhex("0x1.fffffep127")

_NARROWEST = 1e-290

NUMBER_LETTERS = {Encoding.UNITS: "I", Encoding.KEYS32: "i", Encoding.KEYS64: "q"}
"""How `struct` packs the numbers of an input."""
_FORMS = {
    Encoding.KEYS32: (struct.Struct(">f"), struct.Struct(">i"), 2**31 - 1),
    Encoding.KEYS64: (struct.Struct(">d"), struct.Struct(">q"), 2**63 - 1),
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
        if encoding is Encoding.UNITS:
            self._scales = [unit_scale(low, high) for low, high in self.ranges]
        else:
            self._key = key_function(encoding)
            self._bounds = [(self._key(low), self._key(high)) for low, high in self.ranges]

    def quantise(self, row: Row) -> tuple[int, ...]:
        """The numbers of a canonical row."""
        values = map(float, cast("tuple[float, ...]", row))
        if self.encoding is not Encoding.UNITS:
            return tuple(map(self._key, values))
        return tuple(
            min(round((value - low) * scale), LARGEST_UNIT)
            for value, (low, _), scale in zip(values, self.ranges, self._scales, strict=True)
        )

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
        """`quantise` for many rows of values, as `BatchRunner` takes them."""
        import numpy as np

        if self.encoding is Encoding.UNITS:
            lows = np.asarray([low for low, _ in self.ranges])
            units = np.rint((table - lows) * np.asarray(self._scales))
            whole: npt.NDArray[Any] = np.minimum(units, LARGEST_UNIT).astype(np.uint32)
            return whole
        return keys_of(self.encoding, table)

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

    `NoExactProgram` for a category, and for a range that cannot be divided into units.
    """
    if column.kind == "category":
        raise NoExactProgram(f"{column.name!r} is a category, which exact programs do not take.")
    low, high = (0.0, 1.0) if column.kind == "boolean" else (column.minimum, column.maximum)
    low, high = float(cast(float, low)), float(cast(float, high))
    if not math.isfinite(high - low) or 0 < high - low < _NARROWEST:
        raise NoExactProgram(f"The range of {column.name!r} cannot be divided: {low} to {high}.")
    return low, high


def unit_scale(low: float, high: float) -> float:
    """How many units a difference of one makes; zero where there is no difference to make."""
    return LARGEST_UNIT / (high - low) if high > low else 0.0


# --- keys ----------------------------------------------------------------------------------------


def key_function(encoding: Encoding) -> Callable[[float], int]:
    """The function from a value to its key."""
    to_bytes, to_int, size = _FORMS[encoding]

    def key(value: float) -> int:
        (bits,) = to_int.unpack(to_bytes.pack(value))
        return int(bits if bits >= 0 else -(bits & size))

    return key


def value_of_key(encoding: Encoding, key: int) -> float:
    """The floating-point number a key stands for."""
    to_bytes, to_int, _ = _FORMS[encoding]
    value: float = to_bytes.unpack(to_int.pack(abs(key)))[0]
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
