"""The manifest: canonical JSON, read strictly."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from modelward import json_nesting
from modelward.errors import HashMismatch, InvalidBundle
from modelward.models import canonical_json
from modelward.models.bundle import read_manifest
from modelward.models.manifest import MAX_MANIFEST_BYTES, Manifest
from modelward.terms import Metric

DELETE = object()


def test_a_manifest_survives_its_bytes(breast_cancer, wine, diabetes):
    for model in (breast_cancer, wine, diabetes):
        data = model.bundle.manifest_bytes
        assert Manifest.from_bytes(data) == model.manifest
        assert model.manifest.to_bytes() == data
        assert model.manifest.hash == model.bundle.manifest_hash == keccak(data)
        assert read_manifest(data, model.bundle.manifest_hash) == model.manifest


def test_a_manifest_with_another_hash_is_not_read(breast_cancer):
    with pytest.raises(HashMismatch):
        read_manifest(b"not even JSON", breast_cancer.bundle.manifest_hash)


def test_reading_one_needs_no_numerical_library(breast_cancer):
    program = (
        "import sys\n"
        "from modelward.models.bundle import read_manifest\n"
        "from modelward.models import output, rows, runner\n"
        "from modelward.pipeline import held_out, package\n"
        "read_manifest(sys.stdin.buffer.read(), bytes.fromhex(sys.argv[1]))\n"
        "print(sorted({'numpy', 'pandas', 'scipy', 'sklearn', 'skops'} & set(sys.modules)))\n"
    )
    bundle = breast_cancer.bundle
    printed = subprocess.run(
        [sys.executable, "-c", program, bundle.manifest_hash.hex()],
        input=bundle.manifest_bytes,
        capture_output=True,
        check=True,
    )
    assert printed.stdout == b"[]\n"


def test_its_bytes_are_sorted_json_without_white_space(breast_cancer):
    data = breast_cancer.bundle.manifest_bytes
    value = json.loads(data)
    assert list(value) == sorted(value)
    assert json.dumps(value, sort_keys=True, separators=(",", ":")).encode() == data


def test_a_manifest_shows_what_a_requester_needs(breast_cancer):
    manifest = breast_cancer.manifest
    assert manifest.name == "breast-cancer"
    assert manifest.input.names[0] == "mean radius"
    assert manifest.output.classes == (0, 1)
    assert manifest.output.scores == "probability"
    assert manifest.estimator == "sklearn.Pipeline(StandardScaler, LogisticRegression)"
    assert set(manifest.libraries) == {"python", "numpy", "scipy", "scikit-learn", "skops"}
    assert manifest.metrics == breast_cancer.metrics
    assert manifest.evaluation.rows == 284
    assert manifest.evaluation.data_hash == breast_cancer.evaluation_hash


CHANGES = [
    (("format",), 2),
    (("format",), True),
    (("name",), ""),
    (("name",), 5),
    (("estimator",), "x" * 5000),
    (("libraries", "numpy"), DELETE),
    (("libraries", "torch"), "1"),
    (("libraries", "numpy"), None),
    (("input",), []),
    (("input", "named"), 1),
    (("input", "columns"), []),
    (("input", "columns"), {}),
    (("input", "columns", 0, "kind"), "text"),
    (("input", "columns", 0, "minimum"), None),
    (("input", "columns", 0, "minimum"), 1e9),
    (("input", "columns", 0, "minimum"), "0"),
    (("input", "columns", 0, "minimum"), True),
    (("input", "columns", 0, "name"), "mean texture"),
    (("input", "columns", 0, "name"), ""),
    (("input", "columns", 0, "name"), ["x"]),
    (("input", "columns", 0, "categories"), [1.5]),
    (("input", "columns", 0, "categories"), "abc"),
    (("input", "columns", 0, "unit"), "mm"),
    (("input", "columns", 0), None),
    (("output", "classes"), [0, 0]),
    (("output", "decimals"), "9"),
    (("output", "task"), None),
    (("metrics", 0, "ppm"), 0.98),
    (("metrics", 0, "ppm"), 2**63),
    (("metrics", 0, "ppm"), True),
    (("metrics", 0, "name"), "accuracy of the model on it"),
    (("metrics", 0, "name"), "Accuracy!"),
    (("metrics", 1, "name"), "accuracy"),
    (("metrics", 0, "higherIsBetter"), 1),
    (("metrics",), {}),
    (("evaluation", "rows"), 0),
    (("evaluation", "dataHash"), "0x12"),
    (("evaluation", "dataHash"), "0x" + "AB" * 32),
    (("evaluation", "dataHash"), "0x" + "zz" * 32),
    (("evaluation",), "none"),
    (("lineage",), []),
    (("lineage",), {"rows": "0x"}),
    (("owner",), "me"),
    (("lineage",), DELETE),
]


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_a_manifest_with_a_wrong_field_is_refused(breast_cancer, path, value):
    manifest = json.loads(breast_cancer.bundle.manifest_bytes)
    parent = manifest
    for step in path[:-1]:
        parent = parent[step]
    if value is DELETE:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    with pytest.raises(InvalidBundle) as refusal:
        Manifest.from_bytes(canonical_json.dumps(manifest))
    assert refusal.value.message.endswith(".")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:0],
        lambda data: b"\xff" + data,
        lambda data: b"[" + data + b"]",
        lambda data: b"[" * 100_000 + data,
        lambda data: b'"' + rb"\"" * 500_000 + data,
        lambda data: b" " + data,
        lambda data: data + b"\n",
        lambda data: data.replace(b'":', b'": ', 1),
        lambda data: data[:-1] + b',"format":1}',
        lambda data: data.replace(b'"format":1', b'"format":1.0'),
        lambda data: data.replace(b'"format":1', b'"format":NaN'),
        lambda data: data.replace(b'"format":1', b'"format":1e999'),
        lambda data: data.replace(b'"format":1', b'"format":' + b"1" * 5000),
        lambda data: data.replace(b"breast-cancer", rb"breast\u002dcancer"),
        lambda data: data.replace(b"breast-cancer", rb"\ud800"),
        lambda data: data + b" " * MAX_MANIFEST_BYTES,
    ],
)
def test_any_other_spelling_is_refused(breast_cancer, spoil):
    with pytest.raises(InvalidBundle):
        Manifest.from_bytes(spoil(breast_cancer.bundle.manifest_bytes))


def test_a_manifest_that_could_not_be_read_back_is_not_written(breast_cancer):
    metric = Metric("accuracy", True, 1)
    changes: list[dict[str, Any]] = [
        {"name": ""},
        {"metrics": (metric, metric)},
        {"lineage": {"rows": b"short"}},
        {"libraries": {}},
    ]
    for change in changes:
        with pytest.raises(InvalidBundle):
            replace(breast_cancer.manifest, **change).to_bytes()


@given(data=st.data())
def test_a_mutated_manifest_is_refused_or_reads_as_itself(breast_cancer, data):
    original = breast_cancer.bundle.manifest_bytes
    mutated = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        with_what = st.sampled_from(b'{}[]",:0129-.eE\\ntf \x00\xff')
        mutated[at : at + data.draw(st.integers(0, 2))] = bytes([data.draw(with_what)])
    try:
        manifest = Manifest.from_bytes(bytes(mutated))
    except InvalidBundle:
        return
    assert manifest.to_bytes() == bytes(mutated)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_written_in_one_way_only(value):
    try:
        data = canonical_json.dumps(value)
    except InvalidBundle:  # NaN, infinity, a lone surrogate
        return
    try:
        again = canonical_json.loads(data, what="The value", limit=1 << 20)
    except InvalidBundle:  # an integer of thousands of digits
        return
    assert canonical_json.dumps(again) == data


@pytest.mark.parametrize(
    ("document", "depth"),
    [
        ("", 0),
        ("1", 0),
        ("[]", 1),
        ('{"a": [1, {"b": 2}]}', 3),
        ('["[[[", "\\"[[", "\\\\"]', 1),
        ("[[", 2),
        ("]]]][", 0),
        ('["[[[', 1),
        ('["\\', 1),
    ],
)
def test_nesting_is_seen_before_parsing(document, depth):
    assert json_nesting.depth(document) == depth
