"""What an owner must not lose: the salt of each evaluation, and which version came of it.

The salt opens the evaluation hash in the registry, should the owner ever want to show what the
metrics were measured on. The record also tells that the very same model was published before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from modelward.sdk.records import read_record, write_record
from modelward.terms import Version


@dataclass(frozen=True, slots=True)
class PublicationRecord:
    """One version, and the salt of its evaluation's hash (32 bytes)."""

    version: Version
    evaluation_salt: bytes = field(repr=False)


class PublicationBook:
    """The records in `directory`, one a fingerprint of what was published."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, fingerprint: bytes, record: PublicationRecord) -> None:
        """Store a record durably. Raises `RecordUnavailable`."""
        write_record(self._path(fingerprint), record)

    def get(self, fingerprint: bytes) -> PublicationRecord | None:
        """What was published, or about to be, under this fingerprint."""
        return read_record(PublicationRecord, self._path(fingerprint))

    def _path(self, fingerprint: bytes) -> Path:
        return self.directory / f"{fingerprint.hex()}.json"
