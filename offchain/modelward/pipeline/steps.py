"""Finished steps on disk, each under the hash of everything that went into it.

A step is a directory that appears whole or not at all. What went in is its name, its settings, the
library versions and the contents of the steps before it; run again with the same, it is found and
not repeated. A damaged one is made anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from modelward.errors import RecordUnavailable

_RECORD = "step.json"
_LOCK = ".lock"
_FORMAT = 2


@dataclass(frozen=True)
class Step:
    """A finished step: where its files are, and the hash that stands for their contents."""

    name: str
    directory: Path
    content: bytes

    def read(self, file: str) -> bytes:
        """The bytes of one of its files."""
        return (self.directory / file).read_bytes()

    def json(self, file: str) -> Any:
        """What one of its JSON files holds."""
        return json.loads(self.read(file))


class Steps:
    """The finished steps below `directory`."""

    def __init__(self, directory: Path, libraries: dict[str, str]) -> None:
        self.directory = directory
        self._libraries = libraries

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs away from these steps, and clear what killed ones left behind.

        Raises `RecordUnavailable` when another run is at work here, or the disk refuses.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with (self.directory / _LOCK).open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise RecordUnavailable(
                        f"Another run is at work in {self.directory}.",
                        hint="Wait for it, or name another directory.",
                    ) from error
                for draft in self.directory.glob(".*-*"):
                    shutil.rmtree(draft)
                yield
        except OSError as error:
            raise RecordUnavailable(
                f"{self.directory} cannot be used: {error.strerror or error}."
            ) from error

    def run(
        self,
        name: str,
        settings: object,
        before: Sequence[Step],
        make: Callable[[Path], None],
        *,
        progress: Callable[[str], None],
    ) -> Step:
        """The step `name`, found or made by `make`, which writes files into the directory given.

        Raises `RecordUnavailable` when the disk refuses, and whatever `make` raises; nothing of the
        step is kept then.
        """
        key = keccak(
            json_bytes(
                {
                    "format": _FORMAT,
                    "step": name,
                    "settings": settings,
                    "libraries": self._libraries,
                    "before": [step.content.hex() for step in before],
                }
            )
        ).hex()
        directory = self.directory / f"{name}-{key[:16]}"
        if found := _finished(name, directory, key):
            progress(f"{name}: done before")
            return found
        if directory.exists():
            progress(f"{name}: damaged, made anew")
            shutil.rmtree(directory)
        draft = directory.with_name(f".{directory.name}")
        try:
            draft.mkdir(parents=True)
            progress(f"{name}: started")
            make(draft)
            record = {"key": key, "files": _hashes(draft)}
            (draft / _RECORD).write_bytes(json_bytes(record))
            _sync(draft)
            draft.replace(directory)
        except OSError as error:
            raise RecordUnavailable(
                f"{directory} cannot be written: {error.strerror or error}."
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        progress(f"{name}: finished")
        return Step(name, directory, _content(record["files"]))


def json_bytes(value: object) -> bytes:
    """`value` as JSON with sorted keys and no white space; what JSON does not know, as text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def content_of(directory: Path) -> bytes:
    """The hash of the contents of a step's files, as they are now. Raises `OSError`."""
    return _content(_hashes(directory))


def _finished(name: str, directory: Path, key: str) -> Step | None:
    try:
        record = json.loads((directory / _RECORD).read_bytes())
        if record["key"] != key or record["files"] != _hashes(directory):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Step(name, directory, _content(record["files"]))


def _hashes(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.iterdir() if path.name != _RECORD)
    return {path.name: keccak(path.read_bytes()).hex() for path in files}


def _content(files: object) -> bytes:
    return keccak(json_bytes(files))


def _sync(directory: Path) -> None:
    for path in (*directory.iterdir(), directory):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
