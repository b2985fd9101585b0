"""What is published: models, their versions and manifests, found by the references people write."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from modelward.chain.encoding import to_hex
from modelward.chain.events import ModelRegistered, OwnershipTransferred, VersionPublished
from modelward.commitments import model_id, version_id
from modelward.content.store import DEFAULT_LIMIT
from modelward.errors import (
    CheckFailed,
    ContentMissing,
    ContractRefused,
    UnknownModel,
    UnknownVersion,
)
from modelward.models.bundle import read_manifest
from modelward.models.manifest import MAX_MANIFEST_BYTES, Manifest
from modelward.sdk.connection import Connection
from modelward.sdk.gateway_client import PublishedContent
from modelward.terms import (
    Address,
    Metric,
    ModelId,
    ModelReference,
    ModelState,
    Version,
    VersionId,
    VersionStatus,
)


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A version as it stands: `number` counts from 1, `published_at` is in Unix seconds.

    `registrant` is the account that registered the model, which its references name for ever.
    `self_attested` says that nobody but an owner of the model vouches for the metrics.
    """

    id: VersionId
    model_id: ModelId
    registrant: Address
    name: str
    number: int
    status: VersionStatus
    published_at: int
    block_number: int
    self_attested: bool
    version: Version

    @property
    def reference(self) -> str:
        """`owner/name@number`, with the registrant's address."""
        return f"{self.registrant}/{self.name}@{self.number}"

    @property
    def is_sealed(self) -> bool:
        """Whether its bundle is stored sealed."""
        return self.version.content_hash != self.version.bundle_hash


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as it stands, with all its versions in order."""

    id: ModelId
    registrant: Address
    name: str
    state: ModelState
    thresholds: tuple[Metric, ...]
    versions: tuple[ListedVersion, ...]

    @property
    def owner(self) -> Address:
        """The account it belongs to now: the registrant, unless it was transferred."""
        return self.state.owner

    @property
    def reference(self) -> str:
        """`owner/name`, with the registrant's address."""
        return f"{self.registrant}/{self.name}"

    @property
    def newest_servable(self) -> ListedVersion | None:
        """The version that a reference without one means."""
        if self.state.retired:
            return None
        servable = [each for each in self.versions if each.status is VersionStatus.SERVABLE]
        return servable[-1] if servable else None


class Catalogue:
    """Reads the registry of a connection, and its content store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def models(self, owner: str | None = None) -> tuple[ListedModel, ...]:
        """All models, or those of one owner, in the order in which they were registered."""
        address = self._connection.addresses.address(owner) if owner else None
        listed = (
            self._listed(event.model_id, event.owner, event.name)
            for event in self._connection.events(ModelRegistered)
        )
        return tuple(model for model in listed if address in (None, model.owner))

    def model(self, reference: str | ModelReference) -> ListedModel:
        """The model a reference names; its version is left aside.

        Raises `InvalidTerms`, `UnknownAccount` or `UnknownModel`.
        """
        named = _parsed(reference)
        owner = self._connection.addresses.address(named.owner)
        try:
            return self._listed(model_id(owner, named.name), owner, named.name)
        except ContractRefused as refused:
            if refused.error != "UnknownModel":
                raise
        registered = [
            event.name for event in self._connection.events(ModelRegistered) if event.owner == owner
        ]
        close = difflib.get_close_matches(named.name, registered, n=1)
        raise UnknownModel(
            f"{named.owner} has no model {named.name!r} on {self._connection.network.name!r}.",
            hint=f"Did you mean {named.owner}/{close[0]}?"
            if close
            else "`modelward model list` shows what there is.",
        )

    def version(self, reference: str | ModelReference) -> ListedVersion:
        """The version a reference names: by number, by the beginning of its id, or the newest.

        Raises `InvalidTerms`, `UnknownAccount`, `UnknownModel` or `UnknownVersion`.
        """
        named = _parsed(reference)
        model = self.model(named)
        shown = f"{named.owner}/{named.name}"
        if named.version is None:
            if model.newest_servable is None:
                why = "was retired" if model.state.retired else "has no version that can be served"
                raise UnknownVersion(f"{shown} {why}.")
            return model.newest_servable
        found = [each for each in model.versions if _is_named(each, named.version)]
        if len(found) == 1:
            return found[0]
        numbers = ", ".join(str(each.number) for each in model.versions[-8:])
        raise UnknownVersion(
            f"{shown} has {'several versions' if found else 'no version'} {named.version}.",
            hint=f"It has {numbers}." if numbers else "Nothing of it was published yet.",
        )

    def version_by_id(self, model: ModelId, version: VersionId) -> ListedVersion:
        """The version of this id. Raises `UnknownModel` or `UnknownVersion`."""
        for registered in self._connection.events(ModelRegistered, about=[model]):
            for each in self._versions(model, registered.owner, registered.name):
                if each.id == version:
                    return each
            raise UnknownVersion(f"{registered.name!r} has no version {to_hex(version)}.")
        raise UnknownModel(f"There is no model {to_hex(model)}.")

    def manifest(self, version: ListedVersion) -> Manifest:
        """The manifest of a version, checked against the hash in the registry.

        Raises `ContentMissing`, `StoreUnavailable`, `HashMismatch` or `InvalidBundle`.
        """
        pinned, store = version.version.manifest_hash, self._connection.store
        try:
            data = store.get(pinned, limit=MAX_MANIFEST_BYTES)
        except ContentMissing as missing:
            raise self._missing("manifest", version) from missing
        return read_manifest(data, pinned)

    def bundle(self, version: ListedVersion) -> bytes:
        """The stored bytes of a version's bundle, checked against the hash in the registry.

        Raises `KeyNotGranted`, `ContentMissing`, `StoreUnavailable` or `HashMismatch`.
        """
        pinned, registry = version.version, self._connection.registry
        owner = registry.model_of(version.model_id).owner
        content = PublishedContent(owner, version.model_id, pinned.content_hash, pinned.uri)
        try:
            return self._connection.source().get(content, limit=DEFAULT_LIMIT)
        except ContentMissing as missing:
            raise self._missing("bundle", version) from missing

    def _missing(self, what: str, version: ListedVersion) -> ContentMissing:
        return ContentMissing(
            f"The {what} of {version.name}@{version.number} is not in"
            f" {self._connection.store.url}.",
            hint=f"Its publisher keeps it in {version.version.uri}; "
            "`url` under [store] in deploy.toml says where to read.",
        )

    def _listed(self, model: ModelId, registrant: Address, name: str) -> ListedModel:
        registry = self._connection.registry
        state = registry.model_of(model)
        return ListedModel(
            id=model,
            registrant=registrant,
            name=name,
            state=state,
            thresholds=registry.thresholds_of(model),
            versions=self._versions(model, registrant, name),
        )

    def _versions(
        self, model: ModelId, registrant: Address, name: str
    ) -> tuple[ListedVersion, ...]:
        events = self._connection.events(VersionPublished, OwnershipTransferred, about=[model])
        owners = {registrant}
        owners |= {event.new_owner for event in events if isinstance(event, OwnershipTransferred)}
        return tuple(
            self._published(event, registrant, name, event.version.attestor in owners)
            for event in events
            if isinstance(event, VersionPublished)
        )

    def _published(
        self, event: VersionPublished, registrant: Address, name: str, self_attested: bool
    ) -> ListedVersion:
        if version_id(event.version) != event.version_id:
            raise CheckFailed(
                f"The RPC endpoint shows a version of {name} that its id "
                f"{to_hex(event.version_id)} does not stand for."
            )
        state = self._connection.registry.version_of(event.model_id, event.version_id)
        return ListedVersion(
            id=event.version_id,
            model_id=event.model_id,
            registrant=registrant,
            name=name,
            number=event.number,
            status=state.status,
            published_at=state.published_at,
            block_number=event.block_number,
            self_attested=self_attested,
            version=event.version,
        )


def _parsed(reference: str | ModelReference) -> ModelReference:
    return ModelReference.parse(reference) if isinstance(reference, str) else reference


def _is_named(version: ListedVersion, wanted: str) -> bool:
    if wanted.startswith("0x"):
        return to_hex(version.id).startswith(wanted.lower())
    return version.number == int(wanted)
