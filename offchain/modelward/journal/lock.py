"""Keeps a second process from using a journal that is in use."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from modelward.errors import JournalInUse, JournalUnavailable


class JournalLock:
    """An exclusive lock on a file beside the journal, which says whose it is.

    The operating system gives it up when the process ends, however it ends. Child processes do not
    inherit it.

    Raises:
        JournalInUse: another process, or another journal of this one, holds it.
        JournalUnavailable: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalUnavailable(
                f"The journal's lock {path} cannot be made: {error.strerror}."
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise JournalInUse(path.with_suffix(""), holder or "unknown") from error
        except OSError as error:
            os.close(self._descriptor)
            raise JournalUnavailable(
                f"The journal's lock {path} cannot be taken: {error.strerror}."
            ) from error
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode("ascii"), 0)

    def release(self) -> None:
        """Give it up; again is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
