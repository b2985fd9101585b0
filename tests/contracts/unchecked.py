"""Terms that the Python side would not let anyone write, for contracts to refuse by themselves."""

from __future__ import annotations

from copy import copy
from typing import Any, TypeVar

Terms = TypeVar("Terms")


def unchecked(terms: Terms, **changes: Any) -> Terms:
    """A copy of `terms` with some fields changed and nothing checked."""
    copied = copy(terms)
    for name, value in changes.items():
        assert hasattr(copied, name), name
        object.__setattr__(copied, name, value)
    return copied
