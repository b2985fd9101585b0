"""anvil, launched with the development accounts on a free loopback port."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from modelward.chain.development import (
    DEVELOPMENT_ACCOUNTS,
    DEVELOPMENT_CHAIN_ID,
    DEVELOPMENT_MNEMONIC,
)
from modelward.errors import AnvilMissing, RpcUnavailable

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 5.0

_LISTENING = re.compile(r"^Listening on \S+:(\d+)$")


@dataclass(frozen=True, slots=True)
class Anvil:
    """A running anvil."""

    url: str
    port: int
    process_id: int


def find_anvil(start: Path | None = None) -> Path:
    """Return the anvil npm installed in a folder at or above `start` (here), or that on PATH.

    Raises:
        AnvilMissing: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        installed = folder / "node_modules" / ".bin" / "anvil"
        if installed.exists():
            return installed
    on_path = shutil.which("anvil")
    if on_path is None:
        raise AnvilMissing("anvil was not found in node_modules or on the PATH.")
    return Path(on_path)


@contextmanager
def launch(
    *,
    chain_id: int = DEVELOPMENT_CHAIN_ID,
    accounts: int = len(DEVELOPMENT_ACCOUNTS),
    block_time: float = 0,
    arguments: Sequence[str] = (),
    executable: Path | None = None,
) -> Iterator[Anvil]:
    """Run anvil for the length of a `with` block.

    Args:
        chain_id: the chain's id.
        accounts: how many accounts of the development mnemonic hold 10,000 ETH.
        block_time: seconds between blocks; with 0 every transaction is mined at once.
        arguments: more arguments for anvil.
        executable: the anvil to run; by default the one `find_anvil` finds.

    Raises:
        AnvilMissing: there is no anvil.
        RpcUnavailable: it ended, or did not listen in time.
    """
    command = [
        str(executable or find_anvil()),
        *("--host", "127.0.0.1", "--port", "0"),
        *("--chain-id", str(chain_id), "--accounts", str(accounts)),
        *("--mnemonic", DEVELOPMENT_MNEMONIC),
        *(("--block-time", str(block_time)) if block_time else ()),
        *arguments,
    ]
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
    except OSError as error:
        raise AnvilMissing(f"{command[0]} cannot be run: {error.strerror or error}.") from error
    output = _Output(process)
    try:
        port = output.wait_for_port()
        yield Anvil(f"http://127.0.0.1:{port}", port, process.pid)
    finally:
        _stop(process)
        output.join()


class _Output(threading.Thread):
    """Reads all anvil prints, so that it never waits for a reader, and finds the port in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._last_line = ""
        self._port: int | None = None
        self._known = threading.Event()
        self.start()

    def run(self) -> None:
        stdout: IO[str] | None = self._process.stdout
        for line in stdout or ():
            if self._port is None:
                self._last_line = line.strip() or self._last_line
                match = _LISTENING.match(line.strip())
                if match:
                    self._port = int(match[1])
                    self._known.set()
        self._known.set()

    def wait_for_port(self) -> int:
        started = time.monotonic()
        self._known.wait(START_SECONDS)
        if self._port is None:
            waited = time.monotonic() - started
            raise RpcUnavailable(
                f"anvil did not start within {waited:.0f} s; it last said {self._last_line!r}."
            )
        return self._port


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
