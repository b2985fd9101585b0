"""What a contract is compiled from: its sources, those they import, and the settings.

Everything goes into solc's standard-JSON input as literal text under names such as
``contracts/DataShare.sol`` and ``@openzeppelin/contracts/...``, so no path of the machine enters
the result.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from modelward.errors import CompilationFailed

CONTRACTS = "contracts"
DEPLOYABLE_FOLDERS = (CONTRACTS, f"{CONTRACTS}/verifiers")
LIBRARIES = "node_modules"
LIBRARY_NAMES = ("@", "solady/")

# No metadata hash and no CBOR trailer: native and WebAssembly builds of solc then give the same
# bytes, wherever the sources lie.
SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": True,
    "evmVersion": "cancun",
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
    "outputSelection": {
        "*": {
            "*": [
                "abi",
                "evm.bytecode.object",
                "evm.bytecode.linkReferences",
                "evm.deployedBytecode.object",
                "evm.deployedBytecode.immutableReferences",
            ]
        }
    },
}

_COMMENT_OR_STRING = re.compile(
    r"""//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.DOTALL
)
_IMPORT = re.compile(r"""(?:^|[;}])\s*import\b[^;"']*["']([^"']+)["']""")


def checkout() -> Path | None:
    """The source tree this package is imported from, or None if it was installed without one."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / CONTRACTS).is_dir() else None


def deployable_sources(root: Path) -> list[str]:
    """Source names of the contracts that get committed artifacts, sorted."""
    return sorted(
        path.relative_to(root).as_posix()
        for folder in DEPLOYABLE_FOLDERS
        for path in (root / folder).glob("*.sol")
    )


def compiler_input(root: Path, *entry_points: str) -> dict[str, Any]:
    """The standard-JSON input for these sources (names relative to `root`) and all they import.

    Raises `CompilationFailed` if a source cannot be read.
    """
    texts: dict[str, str] = {}
    waiting = [(name, "") for name in entry_points]
    while waiting:
        name, importer = waiting.pop()
        if name not in texts:
            texts[name] = read_source(root, name, importer)
            waiting += [(imported, name) for imported in _imports(name, texts[name])]
    return {
        "language": "Solidity",
        "sources": {name: {"content": texts[name]} for name in sorted(texts)},
        "settings": SETTINGS,
    }


def is_library(name: str) -> bool:
    """Whether a source comes with an npm package."""
    return name.startswith(LIBRARY_NAMES)


def read_source(root: Path, name: str, importer: str = "") -> str:
    """The text of a source by its name: libraries are found in node_modules.

    Raises `CompilationFailed` if there is no such file.
    """
    from_npm = is_library(name)
    path = root / LIBRARIES / name if from_npm else root / name
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = f", which {importer} imports" if importer else ""
        raise CompilationFailed(
            f"The Solidity source {name}{reason} cannot be read.",
            hint="`npm ci` installs the Solidity libraries." if from_npm else None,
        ) from error


def _imports(name: str, text: str) -> list[str]:
    code = _COMMENT_OR_STRING.sub(lambda match: match[1] or " ", text)
    return [
        posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if target.startswith(".")
        else target
        for target in _IMPORT.findall(code)
    ]
