"""Dataclasses kept in files of their user's own, each written as a whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from modelward.errors import RecordUnavailable

_T = TypeVar("_T")

_FORMAT = 1


def write_record(path: Path, record: object) -> None:
    """Store a dataclass of integers, text, bytes and the like at `path`, durably.

    The file is readable by its user only, and on disk when this returns.
    Raises `RecordUnavailable`; what was at `path` before is still there then.
    """
    text = json.dumps({"format": _FORMAT, **_to_json(record)}, indent=2) + "\n"
    draft = path.with_name(f".{path.stem}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
        _sync(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RecordUnavailable(
            f"{path} cannot be written: {error.strerror or error}.",
            hint="Nothing was sent. MODELWARD_HOME says where records are kept.",
        ) from error


def read_record(cls: type[_T], path: Path) -> _T | None:
    """The instance of `cls` that was stored at `path`; None if nothing was.

    Raises `RecordUnavailable` when the file cannot be read or holds something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT:
            raise ValueError("another format")
        record: _T = _from_json(cls, document)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordUnavailable(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordUnavailable(f"{path} is not a {cls.__name__} of this version.") from error
    return record


def _to_json(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _to_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return f"0x{value.hex()}" if isinstance(value, bytes) else value


def _from_json(hint: Any, value: Any) -> Any:
    hint = getattr(hint, "__supertype__", hint)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(
            **{each.name: _from_json(hints[each.name], value[each.name]) for each in fields(hint)}
        )  # type: ignore[operator]
    if get_origin(hint) is tuple:
        return tuple(_from_json(get_args(hint)[0], item) for item in value)
    if type(value) is not (str if hint is bytes else hint):
        raise TypeError(f"{value!r} is not of the type {hint}")
    return bytes.fromhex(value.removeprefix("0x")) if hint is bytes else value


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
