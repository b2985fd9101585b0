"""JSON with one spelling per value, so that its keccak256 identifies the value.

Keys are sorted, there is no white space, text is UTF-8, numbers are finite and written as Python
writes them (the shortest digits that round-trip for a float). Reading refuses every other spelling.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any, NoReturn

from modelward.errors import InvalidBundle
from modelward.json_nesting import depth

MAX_DEPTH = 32


def dumps(value: object) -> bytes:
    """The canonical bytes of `value`; `InvalidBundle` when JSON cannot express it."""
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidBundle(f"A manifest cannot hold this value as JSON: {error}.") from error


def loads(data: bytes, *, what: str, limit: int) -> Any:
    """The value of canonical `data`, at most `limit` bytes long.

    `what` names the document in the `InvalidBundle` raised for anything else.
    """
    if len(data) > limit:
        raise InvalidBundle(f"{what} is {len(data)} bytes long, more than the {limit} allowed.")
    try:
        document = data.decode("utf-8")
        if depth(document) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        value = json.loads(
            document,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except ValueError as error:
        raise InvalidBundle(f"{what} is not valid JSON: {error}.") from error
    if dumps(value) != data:
        raise InvalidBundle(f"{what} is not in canonical form (sorted keys, no white space).")
    return value


def fields(value: object, names: Collection[str], what: str) -> dict[str, Any]:
    """`value` as an object that has exactly the fields `names`."""
    if not isinstance(value, dict):
        raise InvalidBundle(f"{what} must be a JSON object.")
    if missing := sorted(set(names) - set(value)):
        raise InvalidBundle(f"{what} lacks {', '.join(map(repr, missing))}.")
    if unknown := sorted(set(value) - set(names)):
        raise InvalidBundle(f"{what} has unknown fields: {', '.join(map(repr, unknown[:5]))}.")
    return value


def text(value: object, what: str, *, limit: int = 256, empty: bool = False) -> str:
    """`value` as text of at most `limit` characters."""
    if not isinstance(value, str) or len(value) > limit or not (value or empty):
        raise InvalidBundle(f"{what} must be text of 1 to {limit} characters.")
    return value


def integer(value: object, what: str, *, minimum: int, maximum: int) -> int:
    """`value` as an integer (no boolean) within its bounds."""
    if type(value) is not int or not minimum <= value <= maximum:
        raise InvalidBundle(f"{what} must be an integer from {minimum} to {maximum}.")
    return value


def boolean(value: object, what: str) -> bool:
    """`value` as true or false."""
    if not isinstance(value, bool):
        raise InvalidBundle(f"{what} must be true or false.")
    return value


def array(value: object, what: str, *, limit: int) -> list[Any]:
    """`value` as an array of at most `limit` items."""
    if not isinstance(value, list) or len(value) > limit:
        raise InvalidBundle(f"{what} must be an array of at most {limit} items.")
    return value


def digest(value: object, what: str) -> bytes:
    """`value` as 32 bytes written as 0x and 64 lower-case hexadecimal digits."""
    if isinstance(value, str) and len(value) == 66 and value.startswith("0x"):
        try:
            raw = bytes.fromhex(value[2:])
        except ValueError:
            raw = b""
        if "0x" + raw.hex() == value:
            return raw
    raise InvalidBundle(f"{what} must be 0x and 64 lower-case hexadecimal digits.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key appears twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is too large")
    return value
