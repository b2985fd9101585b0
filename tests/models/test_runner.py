"""Runner: the same canonical bytes every time."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from modelward.errors import PredictionFailed
from modelward.models import estimators
from modelward.models.bundle import LoadedBundle
from modelward.models.manifest import Manifest
from modelward.models.output import decode_output, encode_output
from modelward.models.runner import Runner
from modelward.models.schema import infer_schema


def loaded(estimator, X, **changes) -> LoadedBundle:
    schema = infer_schema(estimator, X)
    manifest = Manifest(
        name="model",
        input=schema,
        output=estimators.infer_output(estimator, schema.to_frame(schema.rows(np.asarray(X)))),
        estimator=estimators.describe(estimator),
        libraries=estimators.library_versions(),
    )
    return LoadedBundle(bytes(32), replace(manifest, **changes), estimator)


def test_predictions_are_those_of_scikit_learn(breast_cancer, open_model):
    estimator, manifest = open_model(breast_cancer).estimator, breast_cancer.manifest
    rows = manifest.input.rows(load_breast_cancer().data[:60])
    frame = manifest.input.to_frame(rows)
    for data, label, expected in zip(
        Runner(open_model(breast_cancer)).predict(rows),
        estimator.predict(frame),
        estimator.predict_proba(frame),
        strict=True,
    ):
        prediction = decode_output(manifest.output, data)
        assert prediction.label == label
        assert [float(score) for score in prediction.scores.values()] == pytest.approx(
            expected.tolist(), abs=1e-9
        )


def test_a_row_gives_the_same_bytes_alone_in_a_batch_and_again(wine, diabetes, open_model):
    for model, X in ((wine, load_wine().data), (diabetes, load_diabetes().data)):
        runner = Runner(open_model(model))
        rows = model.manifest.input.rows(X[:12])
        together = runner.predict(rows)
        assert [runner.predict([row])[0] for row in rows] == together
        assert Runner(open_model(model)).predict(rows[::-1]) == together[::-1]
        assert runner.predict([]) == []


def test_another_process_gives_the_same_bytes(breast_cancer, patient, open_model, tmp_path):
    (tmp_path / "bundle").write_bytes(breast_cancer.bundle.data)
    program = (
        "import sys, pathlib\n"
        "from modelward.models.bundle import open_bundle\n"
        "from modelward.models.runner import Runner\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "bundle = open_bundle(data, bytes.fromhex(sys.argv[2]))\n"
        "row = bundle.manifest.input.decode_row(bytes.fromhex(sys.argv[3]))\n"
        "print(Runner(bundle).predict([row])[0].hex())\n"
    )
    row = breast_cancer.manifest.input.encode_row(patient)
    printed = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-c", program, tmp_path / "bundle"),
            *(breast_cancer.bundle.hash.hex(), row.hex()),
        ],
        capture_output=True,
        check=True,
        text=True,
    )
    assert printed.stderr == ""
    assert printed.stdout.strip() == Runner(open_model(breast_cancer)).predict([patient])[0].hex()


def test_nothing_is_run_in_another_thread(monkeypatch):
    X, y = load_wine(return_X_y=True)
    forest = RandomForestClassifier(20, n_jobs=2, random_state=0).fit(X, y)
    runner = Runner(loaded(forest, X))
    started = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread))
    assert len(runner.predict(runner.manifest.input.rows(X[:3]))) == 3
    assert started == []
    assert forest.n_jobs == 2


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(max_iter=20),
        make_pipeline(MinMaxScaler(), MLPClassifier((8,), max_iter=20, random_state=0)),
        HistGradientBoostingClassifier(max_iter=3),
        RandomForestClassifier(5, n_jobs=-1, random_state=0),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_no_warning_is_given(estimator, named):
    X, y = load_digits(n_class=3, return_X_y=True, as_frame=True)
    if not named:
        X, y = X.to_numpy(), y.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bundle = loaded(estimator, X)
        Runner(bundle).predict(bundle.manifest.input.rows(np.asarray(X)[:3]))


def test_a_score_that_is_not_finite_is_a_typed_failure():
    X, y = load_diabetes(return_X_y=True)
    estimator = Ridge().fit(X, y)
    bundle = loaded(estimator, X)
    for spoiled in (np.nan, np.inf):
        estimator.intercept_ = spoiled
        with pytest.raises(PredictionFailed, match="not a finite number"):
            Runner(bundle).predict(bundle.manifest.input.rows(X[:1]))


def test_an_estimator_that_raises_is_a_typed_failure():
    X, y = load_diabetes(return_X_y=True)
    estimator = make_pipeline(StandardScaler(), Ridge()).fit(X, y)
    bundle = loaded(estimator, X)
    del estimator[-1].coef_
    with pytest.raises(PredictionFailed, match=r"^The estimator failed on this row: "):
        Runner(bundle).predict(bundle.manifest.input.rows(X[:1]))


def test_a_label_outside_the_manifest_is_a_typed_failure():
    X, y = load_wine(return_X_y=True)
    bundle = loaded(RandomForestClassifier(3, random_state=0).fit(X, y), X)
    spec = replace(bundle.manifest.output, classes=(7, 8, 9))
    runner = Runner(replace(bundle, manifest=replace(bundle.manifest, output=spec)))
    with pytest.raises(PredictionFailed, match="unknown label"):
        runner.predict(bundle.manifest.input.rows(X[:1]))


def test_a_regressions_value_is_its_only_score():
    X, y = load_diabetes(return_X_y=True)
    bundle = loaded(DummyRegressor().fit(X, y), X)
    (data,) = Runner(bundle).predict(bundle.manifest.input.rows(X[:1]))
    assert data == encode_output(bundle.manifest.output, 0, [float(y.mean())])
