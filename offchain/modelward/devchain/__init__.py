"""An Ethereum chain to develop and test on: py-evm behind one strict JSON-RPC face.

The same face answers in process (`DevChain.provider`) and over loopback HTTP. py-evm is loaded only
when a chain is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelward.devchain.chain import DevChain

__all__ = ["DevChain"]

_HOMES = {"DevChain": "modelward.devchain.chain"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
