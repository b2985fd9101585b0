"""What is published: models, their versions and manifests, found by the references people write."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from modelward.chain.encoding import to_hex
from modelward.chain.events import ModelRegistered, VersionPublished
from modelward.commitments import model_id, version_id
from modelward.content.store import ContentStore
from modelward.errors import (
    CheckFailed,
    ContentMissing,
    ContractRefused,
    UnknownModel,
    UnknownVersion,
)
from modelward.models.bundle import LoadedBundle, open_bundle, read_manifest
from modelward.models.manifest import MAX_MANIFEST_BYTES, Manifest
from modelward.sdk.connection import Connection
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
    """A version as it stands: `number` counts from 1, `published_at` is in Unix seconds."""

    id: VersionId
    model_id: ModelId
    owner: Address
    name: str
    number: int
    status: VersionStatus
    published_at: int
    block_number: int
    version: Version

    @property
    def reference(self) -> str:
        """`owner/name@number`, with the owner's address."""
        return f"{self.owner}/{self.name}@{self.number}"

    @property
    def self_attested(self) -> bool:
        """Whether nobody but the owner vouches for the metrics."""
        return self.version.attestor == self.owner


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as it stands, with all its versions in order."""

    id: ModelId
    name: str
    state: ModelState
    thresholds: tuple[Metric, ...]
    versions: tuple[ListedVersion, ...]

    @property
    def owner(self) -> Address:
        """The account that registered it."""
        return self.state.owner

    @property
    def reference(self) -> str:
        """`owner/name`, with the owner's address."""
        return f"{self.owner}/{self.name}"

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
        return tuple(
            self._listed(event.model_id, event.name)
            for event in self._connection.events(ModelRegistered)
            if address in (None, event.owner)
        )

    def model(self, reference: str | ModelReference) -> ListedModel:
        """The model a reference names; its version is left aside.

        Raises `InvalidTerms`, `UnknownAccount` or `UnknownModel`.
        """
        named = _parsed(reference)
        owner = self._connection.addresses.address(named.owner)
        try:
            return self._listed(model_id(owner, named.name), named.name)
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
        pinned = version.version.manifest_hash
        data = self._content(pinned, version, "manifest", limit=MAX_MANIFEST_BYTES)
        return read_manifest(data, pinned)

    def bundle(self, version: ListedVersion) -> LoadedBundle:
        """The bundle of a version, checked against the hashes in the registry before it is read.

        Raises `ContentMissing`, `StoreUnavailable`, `HashMismatch` or `InvalidBundle`.
        """
        pinned = version.version
        data = self._content(pinned.content_hash, version, "bundle")
        return open_bundle(data, pinned.bundle_hash, pinned.manifest_hash)

    def _content(self, digest: bytes, version: ListedVersion, what: str, **limit: int) -> bytes:
        store: ContentStore = self._connection.store
        try:
            return store.get(digest, **limit)
        except ContentMissing as missing:
            raise ContentMissing(
                f"The {what} of {version.name}@{version.number} is not in {store.url}.",
                hint=f"Its publisher keeps it in {version.version.uri}; "
                "`url` under [store] in deploy.toml says where to read.",
            ) from missing

    def _listed(self, model: ModelId, name: str) -> ListedModel:
        registry = self._connection.registry
        state = registry.model_of(model)
        return ListedModel(
            id=model,
            name=name,
            state=state,
            thresholds=registry.thresholds_of(model),
            versions=self._versions(model, state.owner, name),
        )

    def _versions(self, model: ModelId, owner: Address, name: str) -> tuple[ListedVersion, ...]:
        published = self._connection.events(VersionPublished, about=[model])
        return tuple(self._published(event, owner, name) for event in published)

    def _published(self, event: VersionPublished, owner: Address, name: str) -> ListedVersion:
        if version_id(event.version) != event.version_id:
            raise CheckFailed(
                f"The RPC endpoint shows a version of {name} that its id "
                f"{to_hex(event.version_id)} does not stand for."
            )
        state = self._connection.registry.version_of(event.model_id, event.version_id)
        return ListedVersion(
            id=event.version_id,
            model_id=event.model_id,
            owner=owner,
            name=name,
            number=event.number,
            status=state.status,
            published_at=state.published_at,
            block_number=event.block_number,
            version=event.version,
        )


def _parsed(reference: str | ModelReference) -> ModelReference:
    return ModelReference.parse(reference) if isinstance(reference, str) else reference


def _is_named(version: ListedVersion, wanted: str) -> bool:
    if wanted.startswith("0x"):
        return to_hex(version.id).startswith(wanted.lower())
    return version.number == int(wanted)
