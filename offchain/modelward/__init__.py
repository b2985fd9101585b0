"""On-chain access to machine-learning models, paid per prediction.

`connect`, `Owner` and `Requester` are loaded on first use, so that importing the package costs
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelward.sdk import Owner, Requester, connect

__version__ = "0.1.0"
__all__ = ["Owner", "Requester", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    if name not in ("Owner", "Requester", "connect"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from modelward import sdk

    return getattr(sdk, name)
