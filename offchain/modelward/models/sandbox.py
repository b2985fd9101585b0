"""Opens bundles and predicts in a child process with limits: only the child can come to harm.

A crash in native code, an endless prediction or a bundle that eats memory kills the child; the next
call starts another one. The child is given no secret of its parent's environment, writes no file,
and is talked to in plain bytes: nothing it says can run code here.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from select import select
from types import TracebackType
from typing import Literal, NamedTuple, Self

from eth_utils.crypto import keccak

from modelward.errors import (
    HashMismatch,
    InvalidBundle,
    InvalidInput,
    PredictionAborted,
    PredictionFailed,
    SandboxUnavailable,
)
from modelward.models.sandbox_isolation import Isolation
from modelward.models.sandbox_process import (
    DONE,
    FORGET,
    OPEN,
    PREDICT,
    pack_rows,
    receive,
    send,
)

_MODULE = "modelward.models.sandbox_process"
_START_SECONDS = 60.0
_LAST_WORDS_SECONDS = 1.0
_MOST_REPLIED = 1 << 20
_INHERITED = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "VIRTUAL_ENV")
_SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use.

    `seconds` for the prediction of one row, `opening_seconds` for opening one bundle (by the clock,
    and of the processor), `memory_bytes` of address space for everything it does, `open_bytes` of
    bundles open at the same time (one may be larger).
    """

    seconds: float = 20.0
    opening_seconds: float = 60.0
    memory_bytes: int = 4 << 30
    open_bytes: int = 256 << 20


Death = Literal["time", "memory", "crash"]
"""What a child died of: a limit of time or of memory, or a crash of its own."""

Outcome = bytes | InvalidInput | PredictionFailed
"""What came of a row: its canonical output, or why there is none."""


class _Opened(NamedTuple):
    manifest_hash: bytes
    size: int


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    connection: socket.socket
    isolation: Isolation | None = None

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> int:
        """Make sure it has ended, and return how."""
        self.connection.close()
        try:
            return self.process.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Sandbox:
    """A child process that predicts, started when it is needed and replaced when it dies.

    Not for use by several threads at once.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.deaths: Counter[Death] = Counter()
        """How many children broke, and of what."""
        self.seconds_waited = 0.0
        """How long children were waited for until they had started."""
        self._child: _Child | None = None
        self._open: OrderedDict[bytes, _Opened] = OrderedDict()

    def start(self) -> None:
        """Start the child without waiting for it, so that the first prediction need not.

        Raises:
            SandboxUnavailable: no process can be started.
        """
        self._running_child()

    def has_started(self, within: float) -> bool:
        """Whether the child, started if there is none, is ready or has failed within seconds.

        Raises:
            SandboxUnavailable: no process can be started.
        """
        child = self._running_child()
        return child.isolation is not None or bool(select([child.connection], [], [], within)[0])

    @property
    def process_id(self) -> int | None:
        """The child's process id; None while there is none."""
        return None if self._child is None else self._child.process.pid

    @property
    def isolation(self) -> Isolation:
        """What the child is cut off from; it is started and waited for if there is none.

        Raises:
            SandboxUnavailable: no child can be started.
        """
        isolation = self._ready_child().isolation
        assert isolation is not None  # noqa: S101 - a ready child has said it
        return isolation

    def holds(self, bundle_hash: bytes, manifest_hash: bytes) -> bool:
        """Whether the bundle is open, and has this manifest."""
        opened = self._open.get(bundle_hash)
        return self._alive() and opened is not None and opened.manifest_hash == manifest_hash

    def open(self, data: bytes, bundle_hash: bytes, manifest_hash: bytes) -> None:
        """Open a bundle, closing those unused for longest where room is short.

        Raises:
            HashMismatch: `data` does not have the hash `bundle_hash`; nothing was parsed.
            InvalidBundle: it is malformed, forbidden, or has another manifest.
            PredictionAborted: opening it crashed the child or ran into a limit.
            SandboxUnavailable: no child can be started.
        """
        actual = keccak(data)
        if actual != bundle_hash:
            raise HashMismatch("The bundle", expected=bundle_hash, actual=actual)
        child = self._ready_child()
        self._open.pop(bundle_hash, None)
        while self._open and self._open_bytes() + len(data) > self.limits.open_bytes:
            self._exchange(child, FORGET, self._open.popitem(last=False)[0])
        self._exchange(child, OPEN, bundle_hash + manifest_hash + data)
        self._open[bundle_hash] = _Opened(manifest_hash, len(data))

    def predict(self, bundle_hash: bytes, canonical_input: bytes) -> bytes:
        """The canonical output of an open bundle for a canonical input.

        Raises:
            InvalidInput: the input does not fit the model's schema.
            PredictionFailed: the model raised, or gave what no output can hold.
            PredictionAborted: the child crashed or ran into a limit; no bundle is open any more.
        """
        (outcome,) = self.predict_each(bundle_hash, [canonical_input])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def predict_each(self, bundle_hash: bytes, inputs: Sequence[bytes]) -> list[Outcome]:
        """What comes of each canonical input, in their order; raises nothing.

        A row that breaks the child ends the list, with a `PredictionAborted` in its place: those
        after it were not tried, and no bundle is open any more.
        """
        child = self._child
        if child is None or not self._alive() or bundle_hash not in self._open:
            return [PredictionAborted("The process that had opened the model has gone.")]
        self._open.move_to_end(bundle_hash)
        outcomes: list[Outcome] = []
        message = bundle_hash + pack_rows(inputs)
        for _ in inputs:
            try:
                outcomes.append(self._exchange(child, PREDICT, message))
            except PredictionAborted as aborted:
                return [*outcomes, aborted]
            except (InvalidInput, PredictionFailed) as error:
                outcomes.append(error)
            message = b""
        return outcomes

    def close(self) -> None:
        """End the child; the sandbox can be used again."""
        if self._child is not None:
            self._child.process.kill()
            self._end(self._child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _alive(self) -> bool:
        return self._child is not None and self._child.alive

    def _open_bytes(self) -> int:
        return sum(opened.size for opened in self._open.values())

    def _running_child(self) -> _Child:
        if self._child is None or not self._child.alive:
            self.close()
            self._child = _spawn(self.limits)
        return self._child

    def _ready_child(self) -> _Child:
        child = self._running_child()
        if child.isolation is not None:
            return child
        child.connection.settimeout(_START_SECONDS)
        begun = time.monotonic()
        try:
            _, greeting = receive(child.connection, _MOST_REPLIED)
            child.isolation = Isolation(**json.loads(greeting))
        except (OSError, EOFError, ValueError) as error:
            raise SandboxUnavailable(
                f"The process to predict in does not start: it {_fate(self._end(child))}.",
                hint="Its memory limit may be too low for this machine.",
            ) from error
        finally:
            self.seconds_waited += time.monotonic() - begun
        return child

    def _exchange(self, child: _Child, kind: bytes, body: bytes) -> bytes:
        """Send a message, if there is one, and return what the next reply says."""
        doing = "Opening the bundle" if kind == OPEN else "The prediction"
        seconds = self.limits.opening_seconds if kind == OPEN else self.limits.seconds
        deadline = time.monotonic() + seconds
        try:
            child.connection.settimeout(seconds)
            if body:
                send(child.connection, kind, body)
            child.connection.settimeout(max(deadline - time.monotonic(), 0.001))
            replied, reply = receive(child.connection, _MOST_REPLIED)
        except TimeoutError as error:
            self.deaths["time"] += 1
            self.close()
            raise PredictionAborted(
                f"{doing} took longer than {seconds:g} s and was stopped.", timed_out=True
            ) from error
        except (OSError, EOFError, ValueError) as error:
            self.deaths["crash"] += 1
            raise PredictionAborted(
                f"{doing} broke the process it ran in, which {_fate(self._end(child))}."
            ) from error
        if replied == DONE:
            return reply
        raise self._failure(reply, doing)

    def _failure(self, reply: bytes, doing: str) -> Exception:
        try:
            name, message = (str(part) for part in json.loads(reply))
        except (ValueError, TypeError):
            name, message = "", ""
        for known in (InvalidBundle, InvalidInput, PredictionFailed):
            if name == known.__name__:
                return known("".join(c if c.isprintable() else " " for c in message))
        self.close()
        if name == MemoryError.__name__:
            self.deaths["memory"] += 1
            return PredictionAborted(
                f"{doing} needed more than {self.limits.memory_bytes >> 20} MiB of memory."
            )
        self.deaths["crash"] += 1
        return PredictionAborted(f"{doing} was answered with something that is no answer.")

    def _end(self, child: _Child) -> int:
        self._child = None
        self._open.clear()
        return child.end()


def _spawn(limits: Limits) -> _Child:
    ours, theirs = socket.socketpair()
    most_seconds = max(limits.seconds, limits.opening_seconds)
    arguments = (theirs.fileno(), most_seconds, limits.memory_bytes)
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= dict.fromkeys(_SINGLE_THREADED, "1")
    environment |= {"PYTHONHASHSEED": "0"}
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE, *map(str, arguments)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        ours.close()
        raise SandboxUnavailable(
            f"No process can be started to predict in: {error.strerror}."
        ) from error
    finally:
        theirs.close()
    return _Child(process, ours)


def _fate(code: int) -> str:
    if code >= 0:
        return f"ended with the exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by the signal {-code}"
