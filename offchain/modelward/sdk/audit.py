"""Who was ever given which key, from events: what an owner knows of where a secret may be."""

from __future__ import annotations

from dataclasses import dataclass

from modelward.chain.events import AccessGranted, KeysRewrapped, ServiceKeySet
from modelward.sdk.connection import Connection
from modelward.sdk.keyring import wrapped_for
from modelward.sdk.resource_keys import KEYED_RIGHTS
from modelward.terms import Access, Address, ModelId, Right


@dataclass(frozen=True, slots=True)
class KeyGiven:
    """A key that was wrapped for a grantee: it opens what was sealed up to `epoch`.

    `epoch` is the one that was current then, as far as the chain tells; `live` whether the grantee
    still holds a grant that comes with a key.
    """

    grantee: Address
    epoch: int
    block_number: int
    timestamp: int
    transaction_hash: bytes
    live: bool


def keys_given(connection: Connection, owner: Address, model: ModelId) -> tuple[KeyGiven, ...]:
    """Every key of a model that `owner` ever wrapped for somebody, in the chain's order."""
    padded = bytes(12) + bytes.fromhex(owner[2:])
    given = [
        event
        for event in connection.events(AccessGranted, KeysRewrapped, about=[padded])
        if isinstance(event, AccessGranted | KeysRewrapped) and event.resource == model
    ]
    began = connection.events(ServiceKeySet, about=[model])
    found = []
    for event in given:
        named = (event.grantee,) if isinstance(event, AccessGranted) else event.grantees
        epochs = [each.epoch for each in began if each.position < event.position]
        found += [
            KeyGiven(
                grantee=grantee,
                epoch=max(epochs, default=1),
                block_number=event.block_number,
                timestamp=connection.chain.block(event.block_number).timestamp,
                transaction_hash=event.transaction_hash,
                live=_is_live(connection, owner, grantee, model),
            )
            for grantee in named
            if wrapped_for(event, grantee)
        ]
    return tuple(found)


def _is_live(connection: Connection, owner: Address, grantee: Address, resource: bytes) -> bool:
    return any(
        connection.data_share.access_of(owner, grantee, resource, right) is Access.GRANTED
        for right in Right
        if right in KEYED_RIGHTS
    )
