"""Terminals: processes of their own, run as a reader of the README runs them."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SECONDS = 120
"""Longest anything here may take, on a machine that has other things to do."""


@dataclass(frozen=True)
class Workspace:
    """A folder with a deploy.toml whose local network is at a port of its own."""

    folder: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What an activated virtual environment gives, a home of its own, and the port."""
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
            "HOME": str(self.folder),
            "MODELWARD_HOME": str(self.folder / "home"),
            "MODELWARD_PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
        }

    def run(self, line: str, expect: int = 0) -> str:
        """Run one line as a shell would, to its end, and return what it printed."""
        done = subprocess.run(
            shlex.split(line),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == expect, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def terminal(self, line: str, ready: str) -> Iterator[Terminal]:
        """Run one line for the length of a `with` block, once it has printed `ready`."""
        process = subprocess.Popen(
            shlex.split(line),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        terminal = Terminal(process)
        try:
            terminal.wait_for(ready)
            yield terminal
        finally:
            terminal.stop()


class Terminal:
    """A running process and what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> str:
        """The first line that has `text` in it."""
        give_up = time.monotonic() + SECONDS
        while time.monotonic() < give_up:
            for line in tuple(self.lines):
                if text in line:
                    return line
            if self.process.poll() is not None and not self._reader.is_alive():
                break
            time.sleep(0.05)
        pytest.fail(f"{self.process.args!r} never printed {text!r}:\n" + "".join(self.lines))

    def stop(self) -> int:
        """Interrupt the process as Ctrl-C does; kill it if that does not end it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._reader.join(5)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)


@pytest.fixture
def workspace(repository: Path, tmp_path: Path) -> Callable[[int], Workspace]:
    """Make a workspace whose local network is at a port."""

    def made(port: int) -> Workspace:
        text = (repository / "deploy.toml").read_text(encoding="utf-8")
        assert text.count(":8545") == 1
        (tmp_path / "deploy.toml").write_text(text.replace(":8545", f":{port}"), encoding="utf-8")
        shutil.copytree(repository / "examples", tmp_path / "examples")
        return Workspace(tmp_path, port)

    return made


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
