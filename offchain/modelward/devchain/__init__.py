"""An Ethereum chain to develop and test on: py-evm behind one strict JSON-RPC face.

The same face answers in process (`DevChain.provider`) and over loopback HTTP (`serve`); `launch`
runs anvil with the same accounts. py-evm is loaded only when a chain is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelward.devchain.anvil import Anvil, launch
    from modelward.devchain.chain import DevChain
    from modelward.devchain.server import Server, serve

__all__ = ["Anvil", "DevChain", "Server", "launch", "serve"]

_HOMES = {
    "Anvil": "modelward.devchain.anvil",
    "DevChain": "modelward.devchain.chain",
    "Server": "modelward.devchain.server",
    "launch": "modelward.devchain.anvil",
    "serve": "modelward.devchain.server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
