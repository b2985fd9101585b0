"""Bundles: hash first, then size and form, then types, then agreement with the manifest."""

from __future__ import annotations

import io
import random
import zipfile
from dataclasses import replace
from types import MappingProxyType

import pytest
from eth_utils.crypto import keccak
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from modelward.errors import HashMismatch, InvalidBundle
from modelward.models import bundle as bundles
from modelward.models import estimators
from modelward.models.bundle import fingerprint, open_bundle, write_bundle
from modelward.models.output import OutputSpec
from modelward.models.schema import InputSchema


def repacked(members, **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def members_of(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


def refused(data: bytes, manifest_hash: bytes | None = None) -> str:
    """The sentence with which `data`, pinned by its own hash, is refused."""
    with pytest.raises(InvalidBundle) as refusal:
        open_bundle(data, keccak(data), manifest_hash)
    return refusal.value.message


def test_a_bundle_opens_to_what_was_written(breast_cancer, wine, diabetes):
    for model in (breast_cancer, wine, diabetes):
        bundle = model.bundle
        opened = open_bundle(bundle.data, bundle.hash, bundle.manifest_hash)
        assert opened.manifest == model.manifest
        assert opened.hash == bundle.hash == keccak(bundle.data)
        assert estimators.describe(opened.estimator) == model.manifest.estimator


def test_packing_the_same_members_gives_the_same_bytes(breast_cancer):
    members = members_of(breast_cancer.bundle.data)
    assert [name for name, _ in members] == ["manifest.json", "estimator.skops"]
    assert bundles._packed(dict(members)) == breast_cancer.bundle.data


def test_the_hash_is_checked_before_anything_is_parsed(breast_cancer, monkeypatch):
    def parse(*arguments: object) -> None:
        raise AssertionError("parsed before the hash was checked")

    monkeypatch.setattr(zipfile, "ZipFile", parse)
    data = breast_cancer.bundle.data
    for wrong in (b"", b"PK", data[:-1], data + b"\0", bytes(len(data))):
        with pytest.raises(HashMismatch) as mismatch:
            open_bundle(wrong, breast_cancer.bundle.hash)
        assert mismatch.value.expected == breast_cancer.bundle.hash
        assert mismatch.value.actual == keccak(wrong)


def test_a_bundle_of_another_manifest_is_refused(breast_cancer):
    bundle = breast_cancer.bundle
    with pytest.raises(HashMismatch, match="manifest"):
        open_bundle(bundle.data, bundle.hash, bytes(32))


def test_a_fingerprint_is_that_of_the_estimator_and_not_of_the_bytes(breast_cancer):
    manifest = breast_cancer.manifest
    estimator = fitted()
    one, again = (write_bundle(estimator, manifest) for _ in range(2))
    refitted = write_bundle(fitted(), manifest)
    assert refitted.hash != one.hash
    assert fingerprint(one) == fingerprint(again) == fingerprint(refitted)
    estimator[-1].coef_[0, 0] += 1e-9
    assert fingerprint(write_bundle(estimator, manifest)) != fingerprint(one)
    assert fingerprint(write_bundle(fitted(MinMaxScaler()), manifest)) != fingerprint(one)


# --- the archive ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members[:1],
        lambda members: members[1:],
        lambda members: members[::-1],
        lambda members: [*members, ("readme.txt", b"")],
        lambda members: [members[0], ("program.bin", b""), members[1]],
        lambda members: [("../manifest.json", members[0][1]), members[1]],
        lambda members: [("/manifest.json", members[0][1]), members[1]],
        lambda members: [("manifest.json/", b""), members[1]],
        lambda members: [*members, ("estimator.skops", members[1][1])],
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_members_than_these_are_refused(breast_cancer, change):
    data = repacked(change(members_of(breast_cancer.bundle.data)))
    assert refused(data) == (
        "A bundle holds manifest.json and estimator.skops, and nothing else but program.bin."
    )


def test_a_program_that_its_manifest_does_not_name_is_refused(breast_cancer):
    members = [*members_of(breast_cancer.bundle.data), ("program.bin", b"\x01")]
    assert refused(repacked(members)) == "The bundle's program is not the one of its manifest."


def test_a_compressed_bundle_is_refused(breast_cancer):
    members = members_of(breast_cancer.bundle.data)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    assert refused(buffer.getvalue()) == ("The bundle's manifest.json is compressed or too large.")


def test_a_bundle_larger_than_allowed_is_refused(breast_cancer, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_BUNDLE_BYTES", 1000)
    assert "more than the 1000 allowed" in refused(breast_cancer.bundle.data)


def test_a_member_larger_than_allowed_is_refused(breast_cancer, monkeypatch):
    limits = MappingProxyType({"manifest.json": 100, "estimator.skops": 10**6})
    monkeypatch.setattr(bundles, "_MEMBER_LIMITS", limits)
    assert "manifest.json is compressed or too large" in refused(breast_cancer.bundle.data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"MZ" + data,
        lambda data: data + b"trailing",
        lambda data: data[:-2] + b"\x04\0note",
        lambda data: data.replace(b"\x00\x00\x21\x00", b"\x00\x00\x22\x00"),
    ],
)
def test_an_archive_not_in_canonical_form_is_refused(breast_cancer, spoil):
    data = spoil(breast_cancer.bundle.data)
    assert data != breast_cancer.bundle.data
    assert refused(data).startswith("The bundle is not")


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"{}", bytes(4096)])
def test_what_is_no_archive_is_refused(data):
    assert refused(data)


def test_thousands_of_damaged_bundles_are_refused_without_a_crash(breast_cancer):
    original = breast_cancer.bundle.data
    noise = random.Random(7)
    directory = original.index(b"PK\x01\x02", len(original) - 400)
    for _ in range(2000):
        damaged = bytearray(original)
        for _ in range(noise.randint(1, 3)):
            low = 0 if noise.random() < 0.5 else directory
            damaged[noise.randrange(low, len(damaged))] = noise.randrange(256)
        if noise.random() < 0.2:
            del damaged[noise.randrange(len(damaged)) :]
        if damaged == original:
            continue
        assert refused(bytes(damaged), breast_cancer.bundle.manifest_hash)


# --- the estimator against its manifest ----------------------------------------------------------


def test_another_minor_version_of_scikit_learn_is_refused(breast_cancer):
    manifest = breast_cancer.manifest
    libraries = dict(manifest.libraries) | {"scikit-learn": "1.2.3"}
    bundle = write_bundle(fitted(), replace(manifest, libraries=libraries))
    with pytest.raises(InvalidBundle, match=r"made with scikit-learn 1\.2\.3") as refusal:
        open_bundle(bundle.data, bundle.hash)
    assert "scikit-learn==1.2.3" in str(refusal.value.hint)


def fitted(scaler=None, **options):
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    if "labels" in options:
        y = y.map(options.pop("labels"))
    X = X[options.pop("columns", X.columns)]
    if options.pop("unnamed", False):
        X = X.to_numpy()
    return make_pipeline(scaler or StandardScaler(), LogisticRegression()).fit(X, y)


def test_an_estimator_its_manifest_does_not_describe_is_refused(breast_cancer):
    manifest = breast_cancer.manifest
    columns = list(manifest.input.names)
    wrong = {
        "holds sklearn.Pipeline(MinMaxScaler": fitted(MinMaxScaler()),
        "classes are not those": fitted(labels={0: "malignant", 1: "benign"}),
        "features are not those": fitted(columns=columns[:-1]),
        "features are not those of its": fitted(columns=columns[::-1]),
        "features are not those of": fitted(unnamed=True),
    }
    for sentence, estimator in wrong.items():
        bundle = write_bundle(estimator, manifest)
        assert sentence in refused(bundle.data, bundle.manifest_hash)


def test_a_manifest_that_contradicts_its_estimator_is_refused(breast_cancer):
    manifest = breast_cancer.manifest
    for changed in (
        replace(manifest, output=OutputSpec("regression", (), "value", 6)),
        replace(manifest, output=replace(manifest.output, classes=(1, 0))),
        replace(manifest, input=InputSchema(manifest.input.columns[:3])),
        replace(manifest, input=replace(manifest.input, named=False)),
        replace(manifest, estimator="sklearn.Pipeline"),
    ):
        assert refused(write_bundle(fitted(), changed).data)


def test_an_unfitted_estimator_in_a_bundle_is_refused(breast_cancer):
    unfitted = make_pipeline(StandardScaler(), LogisticRegression())
    bundle = write_bundle(unfitted, breast_cancer.manifest)
    assert "cannot be used: This Pipeline has not been fitted" in refused(bundle.data)
