"""What a requester must not lose: the secret, the input and the terms of every request it placed.

One JSON file a request, written as a whole and flushed to disk before the request is sent, readable
by its user only. Whoever has the file can open and check the answer, from any process.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, TypeVar

from modelward.errors import RequestBookUnavailable
from modelward.terms import Address, Offer, Request, RequestId

_T = TypeVar("_T")

_FORMAT = 1
_BYTES = frozenset({"bytes", "ModelId", "VersionId", "RequestId"})


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as its requester remembers it.

    `model` is the reference it was placed under, owner as an address and version as a number.
    `from_block` is a block no later than that of the request. `transaction_hash` is that of the
    transaction that places it.
    """

    id: RequestId
    chain_id: int
    genesis_hash: bytes
    escrow: Address
    model: str
    offer: Offer
    request: Request
    secret: bytes = field(repr=False)
    canonical_input: bytes = field(repr=False)
    from_block: int
    transaction_hash: bytes
    written_at: int

    def to_json(self) -> str:
        """The record as it is stored."""
        return json.dumps({"format": _FORMAT, **_plain(asdict(self))}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError` for anything else.
        """
        document = json.loads(text)
        if document.pop("format") != _FORMAT:
            raise ValueError("it has another format")
        offer, request = (
            _typed(Offer, document.pop("offer")),
            _typed(Request, document.pop("request")),
        )
        return _typed(cls, document, offer=offer, request=request)


class RequestBook:
    """The records in `directory`, which is made when the first one is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, record: RequestRecord) -> None:
        """Store a record durably. Raises `RequestBookUnavailable`; nothing may be sent then."""
        path = self._path(record.id)
        draft = path.with_name(f".{path.stem}.{secrets.token_hex(8)}")
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(record.to_json())
                out.flush()
                os.fsync(out.fileno())
            draft.replace(path)
            _sync_directory(self.directory)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise RequestBookUnavailable(
                f"The request cannot be recorded in {self.directory}: {error.strerror or error}.",
                hint="Nothing was sent. MODELWARD_HOME says where records are kept.",
            ) from error

    def get(self, request: RequestId) -> RequestRecord | None:
        """The record of a request; None if this user did not place it."""
        path = self._path(request)
        return _read(path) if path.exists() else None

    def find(self, prefix: str) -> tuple[RequestId, ...]:
        """The ids on record that begin with `prefix`, hexadecimal with 0x."""
        return tuple(
            RequestId(bytes.fromhex(path.stem[2:]))
            for path in sorted(self._files())
            if path.stem.startswith(prefix.lower())
        )

    def records(self, *, genesis_hash: bytes, escrow: Address) -> tuple[RequestRecord, ...]:
        """The records of one escrow on one chain, oldest first."""
        here = (
            record
            for record in map(_read, self._files())
            if (record.genesis_hash, record.escrow) == (genesis_hash, escrow)
        )
        return tuple(sorted(here, key=lambda record: (record.written_at, record.id)))

    def _path(self, request: RequestId) -> Path:
        return self.directory / f"0x{request.hex()}.json"

    def _files(self) -> Iterator[Path]:
        return self.directory.glob("0x*.json")


def _read(path: Path) -> RequestRecord:
    try:
        return RequestRecord.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or str(error)
    except (ValueError, TypeError, KeyError, AttributeError):
        why = "it is not the record of a request"
    raise RequestBookUnavailable(f"The record {path} cannot be read: {why}.")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return f"0x{value.hex()}" if isinstance(value, bytes) else value


def _typed(cls: type[_T], document: dict[str, Any], **parts: Any) -> _T:
    """An instance of the dataclass `cls`; its byte fields are hexadecimal in `document`."""
    values: dict[str, Any] = dict(parts)
    for each in fields(cls):  # type: ignore[arg-type]
        if each.name in parts:
            continue
        value = document[each.name]
        if isinstance(value, str) == (each.type == "int"):
            raise TypeError(f"{each.name} is of another type")
        values[each.name] = bytes.fromhex(value[2:]) if each.type in _BYTES else value
    return cls(**values)
