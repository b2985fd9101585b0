"""What a transaction said: its events, in order, compared field by field."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from modelward.chain.contracts import Contract
from modelward.chain.events import Event, decode_event
from modelward.chain.transactions import Receipt

Said = tuple[type[Event], dict[str, Any]]

_WHERE = {field.name for field in fields(Event)}


def event(kind: type[Event], **values: Any) -> Said:
    """An event to expect, with the values of all its fields."""
    missing = {field.name for field in fields(kind)} - _WHERE - values.keys()
    assert not missing, f"{kind.__name__} has {', '.join(sorted(missing))} as well"
    return kind, values


def said(receipt: Receipt, *contracts: Contract, beside: str = "") -> list[Said]:
    """Every event of a transaction, which none but these contracts may have emitted, and at most
    another one `beside` them.
    """
    names = {contract.address: contract.name for contract in contracts}
    found = []
    for log in receipt.logs:
        if log.address == beside:
            continue
        emitted = decode_event(names[log.address], log)
        assert emitted is not None
        values = {
            field.name: getattr(emitted, field.name)
            for field in fields(emitted)
            if field.name not in _WHERE
        }
        found.append((type(emitted), values))
    return found
