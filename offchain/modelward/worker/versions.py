"""Model versions as their events pin them, and what this worker was granted to serve."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.exceptions import EncodingError

from modelward.chain.connection import Chain
from modelward.chain.events import AccessGranted, ModelRegistered, VersionPublished
from modelward.chain.logs import EventReader
from modelward.commitments import version_id
from modelward.deployment import Deployment
from modelward.errors import RpcError
from modelward.terms import Access, Address, ModelId, Right, Version, VersionId


@dataclass(frozen=True, slots=True)
class ServableModel:
    """A model its owner lets a worker serve; the name is whatever the owner wrote."""

    owner: Address
    model_id: ModelId
    name: str


class VersionReader:
    """Finds versions by their events; what was found is remembered, for it cannot change."""

    def __init__(self, chain: Chain, deployment: Deployment) -> None:
        self._chain = chain
        self._deployment = deployment
        self._known: dict[VersionId, Version] = {}

    def version(self, model: ModelId, wanted: VersionId) -> Version:
        """The version that `wanted` is the hash of.

        Raises `RpcError` when the endpoint does not give it (yet).
        """
        if wanted not in self._known:
            registry = self._deployment.registry
            reader = EventReader(
                self._chain, {registry.address: registry.name}, (VersionPublished,), (model,)
            )
            head = self._chain.head().number
            for event in reader.read_all(self._deployment.first_block, head):
                if isinstance(event, VersionPublished) and _is_its_hash(event):
                    self._known[event.version_id] = event.version
        if wanted not in self._known:
            raise RpcError(f"The chain gives no version with the id 0x{wanted.hex()[:8]}….")
        return self._known[wanted]


def _is_its_hash(event: VersionPublished) -> bool:
    try:
        return version_id(event.version) == event.version_id
    except (EncodingError, ValueError):  # names and texts on chain need not be text
        return False


def servable_models(
    chain: Chain, deployment: Deployment, account: Address
) -> tuple[ServableModel, ...]:
    """The models whose owners let `account` serve them now, by owner and name."""
    share, registry = deployment.data_share, deployment.registry
    reader = EventReader(
        chain,
        {share.address: share.name, registry.address: registry.name},
        (AccessGranted, ModelRegistered),
    )
    events = reader.read_all(deployment.first_block, chain.head().number)
    granted = {
        (event.owner, event.resource)
        for event in events
        if isinstance(event, AccessGranted)
        and event.grantee == account
        and Right.SERVE in event.rights
    }
    return tuple(
        ServableModel(event.owner, event.model_id, event.name)
        for event in sorted(
            (event for event in events if isinstance(event, ModelRegistered)),
            key=lambda event: (event.owner, event.name),
        )
        if (event.owner, event.model_id) in granted
        and share.access_of(event.owner, account, event.model_id, Right.SERVE) is Access.GRANTED
    )
