"""What a requester must not lose: the secret, the input and the terms of every request it placed.

One file a request, on disk before the request is sent. Whoever has it can open and check the
answer, from any process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from modelward.sdk.records import read_record, write_record
from modelward.terms import Address, Offer, Request


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as its requester remembers it.

    `model` is the reference it was placed under, `offer` the one that stood just before.
    `transaction_hash` is that of the transaction that places it, `written_at` in Unix nanoseconds.
    """

    chain_id: int
    genesis_hash: bytes
    escrow: Address
    model: str
    offer: Offer
    request: Request
    secret: bytes = field(repr=False)
    canonical_input: bytes = field(repr=False)
    transaction_hash: bytes
    written_at: int


class RequestBook:
    """The records in `directory`, which is made when the first one is written.

    A record goes by its input hash: the one name of a request that is known before it is mined.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, record: RequestRecord) -> None:
        """Store a record durably. Raises `RecordUnavailable`; nothing may be sent then."""
        write_record(self._path(record.request.input_hash), record)

    def discard(self, record: RequestRecord) -> None:
        """Forget a request that was certainly not placed."""
        self._path(record.request.input_hash).unlink(missing_ok=True)

    def get(self, input_hash: bytes) -> RequestRecord | None:
        """The record of the request with this input; None if this user did not place it."""
        return read_record(RequestRecord, self._path(input_hash))

    def records(self, *, genesis_hash: bytes, escrow: Address) -> tuple[RequestRecord, ...]:
        """The records of one escrow on one chain, oldest first."""
        here = (
            record
            for record in self._all()
            if (record.genesis_hash, record.escrow) == (genesis_hash, escrow)
        )
        return tuple(
            sorted(here, key=lambda record: (record.written_at, record.request.input_hash))
        )

    def _path(self, input_hash: bytes) -> Path:
        return self.directory / f"{input_hash.hex()}.json"

    def _all(self) -> Iterator[RequestRecord]:
        for path in self.directory.glob("*.json"):
            if (record := read_record(RequestRecord, path)) is not None:
                yield record
