"""The exact program of a packaged model: compiled where it can be, measured, and what answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelward.errors import (
    InvalidBundle,
    InvalidInput,
    InvalidTerms,
    NoExactProgram,
    ThresholdNotMet,
)
from modelward.models.bundle import open_bundle, write_bundle
from modelward.models.exact.program import Encoding, load_program
from modelward.models.manifest import Manifest, ProgramRecord
from modelward.models.output import decode_output
from modelward.models.runner import Runner, runner_for
from modelward.pipeline.package import package

X, Y = load_wine(return_X_y=True, as_frame=True)
ESTIMATORS = {
    "linear": make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": RandomForestClassifier(10, random_state=0),
}


@pytest.fixture(scope="module", params=ESTIMATORS)
def packaged(request):
    estimator = ESTIMATORS[request.param].fit(X[::2], Y[::2])
    return package(estimator, X[1::2], Y[1::2], name="wine")


@pytest.fixture
def estimator():
    return ESTIMATORS["linear"].fit(X[::2], Y[::2])


def record_of(packaged) -> ProgramRecord:
    assert packaged.manifest.program is not None
    return packaged.manifest.program


def answered(runner, rows) -> list[Any]:
    return list(runner.predict_each(rows))


def reopened(packaged):
    bundle = packaged.bundle
    return open_bundle(bundle.data, bundle.hash, bundle.manifest_hash)


def test_a_program_is_compiled_measured_and_put_beside_the_estimator(packaged):
    opened = reopened(packaged)
    record = record_of(packaged)
    assert opened.program == load_program(packaged.program)
    assert opened.program.hash == record.hash
    assert record.size == len(packaged.program)
    assert record.held_out.rows == record.held_out.agreeing == len(X[1::2])
    assert record.boundary is not None
    assert record.boundary.rows > 100
    assert record.boundary.share >= 0.995
    assert record.held_out.furthest <= record.score_error
    assert Manifest.from_bytes(packaged.manifest.to_bytes()).program == record


def test_the_program_answers_and_not_the_estimator(packaged):
    opened = reopened(packaged)
    row = opened.manifest.input.row(X.iloc[[1]])
    canonical_input = opened.manifest.canonical_input(row)
    assert canonical_input[0] in {Encoding.UNITS, Encoding.KEYS32}
    runner = runner_for(opened)
    rows = [runner.decode(canonical_input)] * 20
    outputs = [*answered(runner, rows), *answered(runner, rows[:1])]
    assert len(set(outputs)) == 1  # many at once or one alone
    by_program = decode_output(opened.manifest.output, outputs[0])
    by_estimator = decode_output(opened.manifest.output, Runner(opened).predict([row])[0])
    assert by_program.label == by_estimator.label
    apart = np.abs(np.subtract(by_program.units, by_estimator.units)).max()
    assert apart <= record_of(packaged).score_error
    with pytest.raises(InvalidInput, match="features take"):
        runner.decode(opened.manifest.input.encode_row(row))


def test_the_metrics_are_those_of_what_answers(packaged):
    opened = reopened(packaged)
    runner = runner_for(opened)
    frame = X[1::2]
    rows = opened.manifest.input.rows(frame.itertuples(index=False, name=None))
    decoded = [runner.decode(opened.manifest.canonical_input(row)) for row in rows]
    labels = [
        decode_output(opened.manifest.output, output).label for output in answered(runner, decoded)
    ]
    accuracy = next(m.ppm for m in packaged.metrics if m.name == "accuracy")
    assert accuracy == int(np.mean(np.asarray(labels) == Y[1::2].to_numpy()) * 1e6)


def test_a_regression_is_measured_by_its_values():
    rows, values = load_diabetes(return_X_y=True)
    packaged = package(Ridge().fit(rows, values), rows, values, name="diabetes", exact=True)
    record = record_of(packaged)
    assert record.boundary is None
    assert record.held_out.share == 1
    assert record.held_out.furthest <= record.score_error


def test_what_has_no_program_is_packaged_without_one_unless_it_must_have_one():
    naive = GaussianNB().fit(X, Y)
    packaged = package(naive, X, Y, name="wine")
    assert packaged.program is None
    assert packaged.manifest.program is None
    assert packaged.without_program == "GaussianNB has no exact form."
    assert isinstance(runner_for(reopened(packaged)), Runner)
    with pytest.raises(NoExactProgram, match="GaussianNB has no exact form"):
        package(naive, X, Y, name="wine", exact=True)


def test_nobody_has_to_have_one(estimator):
    packaged = package(estimator, X, Y, name="wine", exact=False)
    assert packaged.manifest.program is None
    assert open_bundle(packaged.bundle.data, packaged.bundle.hash).program is None


@pytest.fixture
def imprecise(monkeypatch):
    """Compile with weights so short that the program is not what was fitted."""
    from modelward.models.exact.compile_layers import compile_layers

    def coarse(layers, *arguments, **options):
        rough = [replace(layer, weights=np.round(layer.weights / 0.7) * 0.7) for layer in layers]
        return compile_layers(rough, *arguments, **options)

    monkeypatch.setattr("modelward.models.exact.compile.compile_layers", coarse)


@pytest.mark.parametrize("demanded", [{"exact": True}, {"agreement": 0.9}])
@pytest.mark.usefixtures("imprecise")
def test_a_program_that_does_not_agree_is_refused_where_one_was_asked_for(estimator, demanded):
    with pytest.raises(ThresholdNotMet, match=r"agrees with the estimator on \d+ of \d+ .*rows"):
        package(estimator, X, Y, name="wine", **demanded)


@pytest.mark.usefixtures("imprecise")
def test_a_program_that_does_not_agree_is_left_out_otherwise(estimator):
    packaged = package(estimator, X, Y, name="wine")
    assert packaged.program is None
    assert "agrees with the estimator on" in packaged.without_program


@pytest.mark.usefixtures("imprecise")
def test_the_owner_may_ask_for_less(estimator):
    record = record_of(package(estimator, X, Y, name="wine", agreement="0.1"))
    assert record.boundary is not None
    assert record.held_out.share < 1 or record.boundary.share < 1


@pytest.mark.parametrize("share", [-0.1, 1.01, "most", True, "nan"])
def test_an_agreement_is_a_share(estimator, share):
    with pytest.raises(InvalidTerms, match="is not a share of rows"):
        package(estimator, X, Y, name="wine", agreement=share)


# --- bundles -------------------------------------------------------------------------------------


def rewritten(packaged, estimator, program=None, **changes):
    record = replace(record_of(packaged), **changes)
    manifest = replace(packaged.manifest, program=record)
    return write_bundle(estimator, manifest, packaged.program if program is None else program)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"hash": bytes(32)}, "not the one of its manifest"),
        ({"size": 7}, "not the one of its manifest"),
        ({"encoding": Encoding.KEYS64}, "takes another encoding"),
    ],
)
def test_a_bundle_whose_manifest_says_otherwise_is_refused(estimator, changes, fault):
    bundle = rewritten(package(estimator, X, Y, name="wine"), estimator, **changes)
    with pytest.raises(InvalidBundle, match=fault):
        open_bundle(bundle.data, bundle.hash)


def test_a_bundle_without_the_program_its_manifest_names_is_refused(estimator):
    manifest = package(estimator, X, Y, name="wine").manifest
    bundle = write_bundle(estimator, manifest)
    with pytest.raises(InvalidBundle, match="not the one of its manifest"):
        open_bundle(bundle.data, bundle.hash)


def test_a_program_for_another_model_is_refused(estimator):
    rows, values = load_diabetes(return_X_y=True)
    other = package(Ridge().fit(rows, values), rows, values, name="diabetes")
    record = record_of(other)
    bundle = rewritten(
        package(estimator, X, Y, name="wine"),
        estimator,
        other.program,
        hash=record.hash,
        size=record.size,
    )
    with pytest.raises(InvalidBundle, match="takes or gives other than"):
        open_bundle(bundle.data, bundle.hash)
