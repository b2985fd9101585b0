"""A bundle: one file with a model's manifest and its estimator, identified by its keccak256.

It is an uncompressed zip of `manifest.json`, `estimator.skops` and, where the manifest names one,
`program.bin`, the exact program that answers, in this order, with fixed timestamps: the same
members always give the same bytes, and no other archive is accepted. Nothing is parsed before the
hash was checked.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from modelward.errors import BadInput, HashMismatch, InvalidBundle, InvalidProgram
from modelward.models import estimators
from modelward.models.exact.answers import check_announced
from modelward.models.exact.program import MAX_PROGRAM_BYTES, Program, load_program
from modelward.models.manifest import MAX_MANIFEST_BYTES, Manifest
from modelward.models.schema import fitted_names

MANIFEST_MEMBER = "manifest.json"
ESTIMATOR_MEMBER = "estimator.skops"
PROGRAM_MEMBER = "program.bin"
MAX_BUNDLE_BYTES = estimators.MAX_ESTIMATOR_BYTES + MAX_MANIFEST_BYTES + MAX_PROGRAM_BYTES + 4096

_MEMBER_LIMITS = {
    MANIFEST_MEMBER: MAX_MANIFEST_BYTES,
    ESTIMATOR_MEMBER: estimators.MAX_ESTIMATOR_BYTES,
    PROGRAM_MEMBER: MAX_PROGRAM_BYTES,
}
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """A written bundle and the two hashes the registry records."""

    data: bytes
    hash: bytes
    manifest_bytes: bytes
    manifest_hash: bytes


@dataclass(frozen=True)
class LoadedBundle:
    """An opened bundle."""

    hash: bytes
    manifest: Manifest
    estimator: Any
    program: Program | None = None


def write_bundle(estimator: Any, manifest: Manifest, program: bytes | None = None) -> Bundle:
    """Bundle a fitted `estimator`, and the bytes of the program its manifest names.

    Raises `UnsupportedEstimator` for types that may not go into a bundle and `InvalidBundle` for a
    manifest that could not be read back.
    """
    manifest_bytes = manifest.to_bytes()
    members = {
        MANIFEST_MEMBER: manifest_bytes,
        ESTIMATOR_MEMBER: estimators.dump_estimator(estimator),
    }
    if program is not None:
        members[PROGRAM_MEMBER] = program
    data = _packed(members)
    return Bundle(data, keccak(data), manifest_bytes, keccak(manifest_bytes))


def open_bundle(
    data: bytes, expected_hash: bytes, expected_manifest_hash: bytes | None = None
) -> LoadedBundle:
    """The manifest and estimator in `data`, which must have the hash `expected_hash`.

    Raises `HashMismatch` before anything is parsed, `InvalidBundle` for everything malformed,
    forbidden, inconsistent, or made with another minor version of scikit-learn.
    """
    actual = keccak(data)
    if actual != expected_hash:
        raise HashMismatch("The bundle", expected=expected_hash, actual=actual)
    members = _members(data)
    manifest_bytes = members[MANIFEST_MEMBER]
    if expected_manifest_hash is not None and keccak(manifest_bytes) != expected_manifest_hash:
        raise HashMismatch(
            "The bundle's manifest",
            expected=expected_manifest_hash,
            actual=keccak(manifest_bytes),
        )
    manifest = Manifest.from_bytes(manifest_bytes)
    _check_versions(manifest)
    estimator = estimators.load_estimator(members[ESTIMATOR_MEMBER], what="The bundle's estimator")
    _check_consistency(manifest, estimator)
    program = _program(manifest, members.get(PROGRAM_MEMBER))
    return LoadedBundle(actual, manifest, estimator, program)


def read_manifest(data: bytes, expected_hash: bytes) -> Manifest:
    """The manifest in `data`; `HashMismatch` unless it has the hash `expected_hash`."""
    actual = keccak(data)
    if actual != expected_hash:
        raise HashMismatch("The manifest", expected=expected_hash, actual=actual)
    return Manifest.from_bytes(data)


def fingerprint(bundle: Bundle) -> bytes:
    """32 bytes that are the same for every bundle of one fitted estimator.

    skops names an estimator's parts by where they lie in memory, so that bundles made at different
    times differ in bytes where their estimators do not differ at all. Equal fingerprints mean equal
    parameters and arrays; sparse matrices may make them differ without need.
    """
    with zipfile.ZipFile(io.BytesIO(_members(bundle.data)[ESTIMATOR_MEMBER])) as archive:
        names = set(archive.namelist())

        def plain(node: Any) -> Any:
            if isinstance(node, list):
                return [plain(item) for item in node]
            if isinstance(node, dict):
                return {key: plain(item) for key, item in node.items() if key != "__id__"}
            return _digest(archive.read(node)).hex() if node in names else node

        content = plain(json.loads(archive.read("schema.json")))
    return keccak(json.dumps(content).encode())


def _digest(member: bytes) -> bytes:
    """A hash of an array's values; structured ones have unused bytes between them."""
    import numpy as np

    if member.startswith(b"\x93NUMPY"):
        array = np.load(io.BytesIO(member), allow_pickle=False)
        if array.dtype.names:
            member = repr(array.dtype).encode() + b"".join(
                array[name].tobytes() for name in array.dtype.names
            )
    return keccak(member)


def _packed(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            archive.writestr(entry, content)
    return buffer.getvalue()


def _members(data: bytes) -> dict[str, bytes]:
    if len(data) > MAX_BUNDLE_BYTES:
        raise InvalidBundle(
            f"The bundle is {len(data)} bytes long, more than the {MAX_BUNDLE_BYTES} allowed."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if names not in (list(_MEMBER_LIMITS), [MANIFEST_MEMBER, ESTIMATOR_MEMBER]):
                raise InvalidBundle(
                    f"A bundle holds {MANIFEST_MEMBER} and {ESTIMATOR_MEMBER}, and nothing else"
                    f" but {PROGRAM_MEMBER}."
                )
            for entry in entries:
                if (
                    entry.compress_type != zipfile.ZIP_STORED
                    or entry.file_size != entry.compress_size
                    or entry.file_size > min(len(data), _MEMBER_LIMITS[entry.filename])
                ):
                    raise InvalidBundle(
                        f"The bundle's {entry.filename} is compressed or too large."
                    )
            members = {entry.filename: archive.read(entry) for entry in entries}
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise InvalidBundle(f"The bundle is not a readable archive: {error}.") from error
    if _packed(members) != data:
        raise InvalidBundle("The bundle is not in canonical form.")
    return members


def _check_versions(manifest: Manifest) -> None:
    running = estimators.library_versions()["scikit-learn"]
    pinned = manifest.libraries["scikit-learn"]
    if running.split(".")[:2] != pinned.split(".")[:2]:
        raise InvalidBundle(
            f"The bundle was made with scikit-learn {pinned}, this is {running}.",
            hint=f'Install the pinned version: pip install "scikit-learn=={pinned}".',
        )


def _program(manifest: Manifest, data: bytes | None) -> Program | None:
    """The bundle's program, checked against its hash before it is parsed."""
    record = manifest.program
    if (record is None) != (data is None):
        raise InvalidBundle("The bundle's program is not the one of its manifest.")
    if record is None or data is None:
        return None
    if keccak(data) != record.hash or len(data) != record.size:
        raise InvalidBundle("The bundle's program is not the one of its manifest.")
    try:
        program = load_program(data)
    except InvalidProgram as error:
        raise InvalidBundle(f"The bundle's program is malformed: {error.message}") from error
    if program.encoding is not record.encoding:
        raise InvalidBundle("The bundle's program takes another encoding than its manifest says.")
    check_announced(program, manifest.input, manifest.output)
    return program


def _check_consistency(manifest: Manifest, estimator: Any) -> None:
    """The estimator has to be the one its manifest describes."""
    try:
        task = estimators.task_of(estimator)
        described = estimators.describe(estimator)
        classes = tuple(
            label.item() if hasattr(label, "item") else label
            for label in getattr(estimator, "classes_", ())
        )
        features = getattr(estimator, "n_features_in_", len(manifest.input.columns))
        names = fitted_names(estimator)
    except BadInput as error:
        raise InvalidBundle(f"The bundle's estimator cannot be used: {error.message}") from error
    except Exception as error:
        raise InvalidBundle(f"The bundle's estimator cannot be used: {error!r:.200}.") from error
    if described != manifest.estimator:
        raise InvalidBundle(
            f"The bundle holds {described}, its manifest describes {manifest.estimator}."
        )
    if task != manifest.output.task or (
        task == "classification" and classes != manifest.output.classes
    ):
        raise InvalidBundle("The estimator's classes are not those of its manifest.")
    declared = manifest.input.names if manifest.input.named else None
    if features != len(manifest.input.columns) or names != declared:
        raise InvalidBundle("The estimator's features are not those of its manifest.")
