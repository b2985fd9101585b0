"""What a contract has said about an account or a resource, up to the newest block."""

from __future__ import annotations

from typing import TypeVar

from modelward.chain.contracts import DataShare, ModelRegistry
from modelward.chain.events import Event
from modelward.chain.logs import EventReader
from modelward.deployment import Deployment
from modelward.terms import Address

_E = TypeVar("_E", bound=Event)


def events_about(
    deployment: Deployment,
    contract: DataShare | ModelRegistry,
    about: Address | bytes,
    *kinds: type[_E],
) -> tuple[_E, ...]:
    """Events of these kinds whose first indexed value is an address or 32 bytes, oldest first.

    Unlike `Connection.events` it does not wait for confirmations: a key that was just given opens
    things at once. Raises `RpcUnavailable` or `RpcError`.
    """
    topic = about if isinstance(about, bytes) else bytes(12) + bytes.fromhex(about[2:])
    reader = EventReader(deployment.chain, {contract.address: contract.name}, kinds, (topic,))
    found = reader.read_all(deployment.first_block, deployment.chain.head().number)
    return tuple(event for event in found if isinstance(event, kinds))
