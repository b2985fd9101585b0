"""From a version on chain back to the data it came from, every link checked.

Anyone can check a version against its manifest and see the links in it. Whoever ran the pipeline
keeps a record of where the steps are and what opens the links, and can check them down to the bytes
of the source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eth_utils.crypto import keccak

from modelward.chain.encoding import to_hex
from modelward.chain.events import ModelRegistered, VersionPublished
from modelward.errors import (
    BadInput,
    ContentMissing,
    ContentTooLarge,
    HashMismatch,
    LineageBroken,
    ModelwardError,
    StoreUnavailable,
)
from modelward.models.manifest import Manifest
from modelward.pipeline.definition import Pipeline
from modelward.pipeline.evaluate import shown
from modelward.pipeline.lineage import CARD, LINKS, Lineage
from modelward.pipeline.run import Finished
from modelward.pipeline.sources import FetchShared, collect
from modelward.pipeline.steps import content_of
from modelward.sdk.catalogue import Catalogue, ListedVersion
from modelward.sdk.connection import Connection
from modelward.sdk.records import read_record, write_record

MAX_CARD_BYTES = 16 * 2**20

_STEP_OF = {"cleaned": "clean", "split": "split", "training": "train"}


@dataclass(frozen=True, slots=True)
class KeptLink:
    """What opens one link: its content hash and its salt (32 bytes each)."""

    name: str
    content: bytes
    salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptStep:
    """Where a finished step is."""

    name: str
    directory: str


@dataclass(frozen=True, slots=True)
class LineageRecord:
    """What a run of a pipeline leaves for `trace`; `pipeline` is its definition in JSON."""

    base: str
    pipeline: str
    steps: tuple[KeptStep, ...]
    links: tuple[KeptLink, ...]


@dataclass(frozen=True, slots=True)
class TracedLink:
    """One step from the data to the chain.

    `holds` is None where this machine has nothing to check it with.
    """

    name: str
    value: str
    holds: bool | None
    note: str = ""


@dataclass(frozen=True)
class Trace:
    """A version and its lineage, from the source on."""

    version: ListedVersion
    links: tuple[TracedLink, ...]

    def require_whole(self) -> None:
        """Raise `LineageBroken`, naming them, if any link does not hold."""
        if broken := tuple(link.name for link in self.links if link.holds is False):
            raise LineageBroken(
                f"The lineage of {self.version.reference} is broken at {', '.join(broken)}.",
                broken,
            )


def keep_lineage(connection: Connection, pipeline: Pipeline, base: Path, run: Finished) -> None:
    """Keep what `trace` needs to check a published run, and store its model card for everybody.

    Raises `RecordUnavailable` or `StoreUnavailable`.
    """
    connection.store.put(run.card.read_bytes())
    record = LineageRecord(
        base=str(base.resolve()),
        pipeline=pipeline.model_dump_json(),
        steps=tuple(
            KeptStep(name, str(step.directory.resolve())) for name, step in run.steps.items()
        ),
        links=tuple(
            KeptLink(name, run.lineage.contents[name], run.lineage.salts[name]) for name in LINKS
        ),
    )
    write_record(_place(connection, run.packaged.bundle.hash), record)


def model_card(connection: Connection, reference: str) -> bytes:
    """The model card of a version, an HTML page, checked against the hash in its manifest.

    Raises `BadInput` when it has none, `ContentMissing`, `StoreUnavailable` or `HashMismatch`, and
    what `trace` raises.
    """
    catalogue = Catalogue(connection)
    version = catalogue.version(reference)
    digest = catalogue.manifest(version).lineage.get(CARD)
    if digest is None:
        raise BadInput(
            f"{version.reference} has no model card.", hint="Only a pipeline's versions have one."
        )
    return connection.store.get(digest, limit=MAX_CARD_BYTES)


def trace(connection: Connection, reference: str, *, fetch: FetchShared | None = None) -> Trace:
    """Follow a version back to its source, checking every link that this machine can check.

    Raises `UnknownModel`, `UnknownVersion`, `InvalidTerms`, or `StoreUnavailable` when the manifest
    cannot be had. Links that do not hold are in the result.
    """
    catalogue = Catalogue(connection)
    version = catalogue.version(reference)
    manifest = catalogue.manifest(version) if _manifest_is_whole(catalogue, version) else None
    record = read_record(LineageRecord, _place(connection, version.version.bundle_hash))
    below = (
        tuple(_public_links(manifest)) if record is None else tuple(_own(record, manifest, fetch))
    )
    return Trace(version, (*below, *_on_chain(connection, version, manifest, record)))


def _place(connection: Connection, bundle_hash: bytes) -> Path:
    return connection.config.home / "lineages" / f"{bundle_hash.hex()}.json"


def _manifest_is_whole(catalogue: Catalogue, version: ListedVersion) -> bool:
    try:
        catalogue.manifest(version)
    except HashMismatch:
        return False
    return True


def _public_links(manifest: Manifest | None) -> Iterator[TracedLink]:
    published: Mapping[str, bytes] = manifest.lineage if manifest else {}
    others = (name for name in published if name not in (*LINKS, CARD))
    for name in (*LINKS, *others):
        if name in published:
            yield TracedLink(name, to_hex(published[name]), None, "its owner can show it")


def _own(
    record: LineageRecord, manifest: Manifest | None, fetch: FetchShared | None
) -> Iterator[TracedLink]:
    """The links below the manifest, each from the bytes it stands for."""
    kept = {link.name: link for link in record.links}
    published: Mapping[str, bytes] = manifest.lineage if manifest else {}
    links = Lineage(
        {name: link.content for name, link in kept.items()},
        {name: link.salt for name, link in kept.items()},
    ).links()
    for name in LINKS:
        content, note = _content_now(record, name, fetch)
        if content is None:
            holds = None
        else:
            holds = content == kept[name].content and links[name] == published.get(name)
        yield TracedLink(name, to_hex(kept[name].content), holds, note)


def _content_now(
    record: LineageRecord, name: str, fetch: FetchShared | None
) -> tuple[bytes | None, str]:
    """The content hash that a link's bytes have now, and where they are."""
    folders = {step.name: Path(step.directory) for step in record.steps}
    if name == "source":
        source = Pipeline.model_validate_json(record.pipeline).source
        where = " ".join(str(value) for value in source.model_dump().values())
        try:
            return collect(source, Path(record.base), fetch=fetch).source_hash, where
        except ModelwardError as error:
            return None, f"{where}: {error.message}"
    try:
        if name == "card":
            file = folders["evaluate"] / "card.html"
            return keccak(file.read_bytes()), str(file)
        folder = folders[_STEP_OF[name]]
        return content_of(folder), f"{folder}{_words(name, folder)}"
    except (OSError, ValueError) as error:
        return None, f"gone: {error}"


def _words(name: str, folder: Path) -> str:
    if name != "training":
        return ""
    report = json.loads((folder / "report.json").read_bytes())
    libraries = report["libraries"]
    seed = "" if report["seed"] is None else f", seed {report['seed']}"
    return f" ({report['chosen']['estimator']}, scikit-learn {libraries['scikit-learn']}{seed})"


def _on_chain(
    connection: Connection,
    version: ListedVersion,
    manifest: Manifest | None,
    record: LineageRecord | None,
) -> Iterator[TracedLink]:
    pinned = version.version
    metrics = ", ".join(f"{metric.name} {shown(metric)}" for metric in pinned.metrics)
    same = None
    if manifest is not None:
        same = set(manifest.metrics) == set(pinned.metrics)
    yield TracedLink("metrics", metrics, same)
    stored, where = _stored(connection, pinned.content_hash), connection.store.url
    if record is not None:
        folders = {step.name: Path(step.directory) for step in record.steps}
        file = folders["package"] / "bundle.zip"
        if file.exists():
            here = keccak(file.read_bytes()) == pinned.bundle_hash
            stored, where = here and stored is not False, f"{file}, {where}"
    yield TracedLink("bundle", to_hex(pinned.bundle_hash), stored, where)
    if manifest is not None and CARD in manifest.lineage:
        card = manifest.lineage[CARD]
        yield TracedLink(CARD, to_hex(card), _stored(connection, card), connection.store.url)
    yield TracedLink(
        "manifest", to_hex(pinned.manifest_hash), manifest is not None, connection.store.url
    )
    # The catalogue has recomputed the version's id from its fields.
    yield TracedLink("version", to_hex(version.id), True, version.reference)
    for event in connection.events(ModelRegistered, VersionPublished, about=[version.model_id]):
        if isinstance(event, VersionPublished) and event.version_id != version.id:
            continue
        what = "registered" if isinstance(event, ModelRegistered) else "published"
        yield TracedLink(
            what, to_hex(event.transaction_hash), True, f"in block {event.block_number}"
        )


def _stored(connection: Connection, digest: bytes) -> bool | None:
    """Whether what the store holds under a hash is whole; None where it cannot be had."""
    try:
        connection.store.get(digest)
    except HashMismatch:
        return False
    except (ContentMissing, ContentTooLarge, StoreUnavailable):
        return None
    return True
