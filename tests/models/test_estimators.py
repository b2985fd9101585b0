"""Which estimators are supported, and how their files are read without running code."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import re
import zipfile

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from modelward.errors import InvalidBundle, UnfittedEstimator, UnsupportedEstimator
from modelward.models import estimators

X, Y = load_iris(return_X_y=True)


class Payload:
    """Unpickling it, or trusting its type, would create a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class HomeMade(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), int)


# --- kinds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        (KMeans(), "KMeans is neither a classifier nor a regressor."),
        (StandardScaler(), "StandardScaler is neither a classifier nor a regressor."),
        (IsolationForest(), "IsolationForest is neither a classifier nor a regressor."),
        (NearestNeighbors(), "NearestNeighbors is neither a classifier nor a regressor."),
        (LogisticRegression, "LogisticRegression is not a fitted scikit-learn estimator."),
        ({"coef": 1}, "dict is not a fitted scikit-learn estimator."),
        (None, "NoneType is not a fitted scikit-learn estimator."),
    ],
)
def test_what_neither_classifies_nor_regresses_is_unsupported(estimator, sentence):
    with pytest.raises(UnsupportedEstimator) as refusal:
        estimators.task_of(estimator)
    assert refusal.value.message == sentence


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LinearRegression()),
        RandomForestClassifier(),
        GridSearchCV(LogisticRegression(), {}),
    ],
)
def test_an_unfitted_estimator_is_refused(estimator):
    with pytest.raises(UnfittedEstimator, match="has not been fitted") as refusal:
        estimators.task_of(estimator)
    assert refusal.value.hint


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        RandomForestClassifier(3),
        KNeighborsClassifier(),
        OneVsRestClassifier(LogisticRegression()),
        DecisionTreeClassifier(),
    ],
)
def test_several_outputs_a_row_are_unsupported(estimator):
    estimator.fit(X, np.column_stack([Y == 0, Y == 1]).astype(int))
    with pytest.raises(UnsupportedEstimator, match=f"^{type(estimator).__name__} predicts"):
        estimators.infer_output(estimator, X)


def test_labels_a_manifest_cannot_hold_are_unsupported():
    dates = np.array(["2024-01-01", "2024-01-02"], "datetime64[D]")[(Y > 0).astype(int)]
    with pytest.raises(UnsupportedEstimator, match="has a class of the type date"):
        estimators.infer_output(DecisionTreeClassifier().fit(X, dates), X)


def test_inputs_the_estimator_cannot_take_are_told():
    with pytest.raises(UnsupportedEstimator, match="cannot predict from these inputs"):
        estimators.infer_output(LogisticRegression(max_iter=500).fit(X, Y), X[:, :2])


@pytest.mark.parametrize(
    ("estimator", "labels", "scores", "count"),
    [
        (LogisticRegression(max_iter=500), Y, "probability", 3),
        (LinearSVC(), Y, "decision", 3),
        (LinearSVC(), Y > 0, "decision", 1),
        (SVC(decision_function_shape="ovr"), np.arange(len(X)) % 4, "decision", 4),
        (SVC(decision_function_shape="ovo"), np.arange(len(X)) % 4, "none", 0),
        (HomeMade(), Y, "none", 0),
    ],
)
def test_scores_are_the_best_the_estimator_gives(estimator, labels, scores, count):
    spec = estimators.infer_output(estimator.fit(X, labels), X)
    assert spec.scores == scores
    assert spec.score_count == count
    assert spec.decimals == 9


def test_labels_are_plain_values_in_the_estimators_order():
    names = np.array(["c", "a", "b"])[Y]
    assert estimators.infer_output(DecisionTreeClassifier().fit(X, names), X).classes == (
        "a",
        "b",
        "c",
    )
    spec = estimators.infer_output(DecisionTreeClassifier().fit(X, Y > 0), X)
    assert spec.classes == (False, True)
    assert [type(label) for label in spec.classes] == [bool, bool]


def test_scores_too_many_for_an_answer_are_left_out():
    for classes, scores in ((27, "probability"), (28, "none")):
        labels = np.arange(len(X)) % classes
        tree = DecisionTreeClassifier(max_depth=3).fit(X, labels)
        assert estimators.infer_output(tree, X).scores == scores


@pytest.mark.parametrize(
    ("scale", "decimals"), [(1e4, 6), (100.0, 6), (1.0, 8), (1e-3, 11), (1e-12, 18)]
)
def test_a_regression_keeps_nine_digits_of_a_typical_prediction(scale, decimals):
    target = (1 + Y) * scale
    spec = estimators.infer_output(LinearRegression().fit(X, target), X)
    assert (spec.task, spec.scores, spec.decimals) == ("regression", "value", decimals)


def test_of_a_search_its_best_estimator_is_served():
    inner = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1]}, cv=2)
    search = GridSearchCV(inner, {"cv": [2]}, cv=2).fit(X, Y)
    assert type(estimators.served(search)) is LogisticRegression
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)
    assert estimators.served(pipeline) is pipeline


# --- files ---------------------------------------------------------------------------------------


@pytest.fixture
def skops_file(tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump(LogisticRegression(max_iter=500).fit(X, Y), path)
    return path


def test_a_skops_file_is_read(skops_file):
    estimator = estimators.read_estimator(skops_file)
    assert np.array_equal(
        estimator.predict(X), LogisticRegression(max_iter=500).fit(X, Y).predict(X)
    )


def test_a_compressed_skops_file_is_read(tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump(DecisionTreeClassifier().fit(X, Y), path, compression=zipfile.ZIP_DEFLATED)
    assert estimators.task_of(estimators.read_estimator(path)) == "classification"


@pytest.mark.parametrize("dump", [pickle.dumps, lambda value: joblib_bytes(value)])
def test_a_pickle_is_refused_and_none_of_its_code_runs(tmp_path, dump):
    trap = tmp_path / "executed"
    path = tmp_path / "model.skops"
    path.write_bytes(dump(Payload(str(trap))))
    with pytest.raises(InvalidBundle, match="is not a skops file") as refusal:
        estimators.read_estimator(path)
    assert "pickle" in str(refusal.value.hint)
    assert not trap.exists()
    pickle.loads(path.read_bytes()) if dump is pickle.dumps else joblib.load(path)
    assert trap.exists()  # the trap would have worked


def joblib_bytes(value: object) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer)
    return buffer.getvalue()


def edited(data: bytes, edit) -> bytes:
    """A skops file with its schema changed."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(buffer, "w") as target,
    ):
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "schema.json":
                content = edit(content.decode()).encode()
            target.writestr(entry.filename, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("module", "name", "loader"),
    [
        ("os", "system", "ConstructorFromReduceNode"),
        ("builtins", "eval", "ConstructorFromReduceNode"),
        ("subprocess", "Popen", "ConstructorFromReduceNode"),
        ("sklearn.metrics._dist_metrics", "PyFuncDistance64", "ConstructorFromReduceNode"),
    ],
)
def test_a_file_that_names_a_dangerous_type_is_refused_unexecuted(
    skops_file, tmp_path, module, name, loader
):
    trap = tmp_path / "executed"
    argument = {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(f"touch {trap}"),
        "is_json": True,
    }
    node = {
        "__class__": name,
        "__module__": module,
        "__loader__": loader,
        "content": {
            "__class__": "tuple",
            "__module__": "builtins",
            "__loader__": "TupleNode",
            "content": [argument],
        },
    }

    def plant(schema: str) -> str:
        value = json.loads(schema)
        value["content"]["content"]["tol"] = node
        return json.dumps(value)

    data = edited(skops_file.read_bytes(), plant)
    with pytest.raises(InvalidBundle) as refusal:
        estimators.load_estimator(data)
    assert refusal.value.message == f"The estimator holds forbidden types: {module}.{name}."
    assert not trap.exists()


def test_a_files_own_list_of_types_is_not_believed(tmp_path):
    estimator = make_pipeline(FunctionTransformer(os.path.join), LogisticRegression())
    data = skops.io.dumps(estimator)
    with pytest.raises(InvalidBundle, match=r"forbidden types: posixpath\.join"):
        estimators.load_estimator(data)


@pytest.mark.parametrize(
    "estimator",
    [
        HomeMade(),
        make_pipeline(FunctionTransformer(os.path.join), LogisticRegression()),
        make_pipeline(FunctionTransformer(lambda rows: rows), LogisticRegression()),
    ],
)
def test_a_type_of_ones_own_cannot_be_bundled(estimator):
    with pytest.raises(UnsupportedEstimator, match=r"may not go into a bundle|cannot be stored"):
        estimators.dump_estimator(estimator)


def test_the_foreign_type_is_named():
    with pytest.raises(UnsupportedEstimator, match=r"HomeMade holds types .*HomeMade"):
        estimators.dump_estimator(HomeMade().fit(X, Y))


@pytest.mark.parametrize(
    "edit",
    [
        lambda schema: schema[:0],
        lambda schema: schema[:0] + "{}",
        lambda schema: "[" * 100_000 + schema,
        lambda schema: json.dumps(json.loads(schema) | {"protocol": 99}),
        lambda schema: json.dumps(json.loads(schema) | {"protocol": True}),
        lambda schema: schema.replace("ObjectNode", "NoSuchNode", 1),
        lambda schema: schema.replace('"NdArrayNode"', '"CachedNode"', 1),
        lambda schema: schema.replace(".npy", ".npz", 1),
        lambda schema: schema.replace('"content": "500"', f'"content": "{"[" * 99_999}"'),
    ],
)
def test_a_damaged_schema_is_refused(skops_file, edit):
    with pytest.raises(InvalidBundle):
        estimators.load_estimator(edited(skops_file.read_bytes(), edit))


def test_hundreds_of_damaged_schemas_are_refused_or_read_without_a_crash(skops_file):
    noise = random.Random(11)
    original = skops_file.read_bytes()
    marks = re.compile(r'"[A-Za-z_.0-9]+"|[0-9]+|null|true|false')

    def damage(schema: str) -> str:
        tokens = list(marks.finditer(schema))
        for _ in range(noise.randint(1, 3)):
            one, other = noise.choice(tokens), noise.choice(tokens)
            schema = schema[: one.start()] + other.group() + schema[one.end() :]
        return schema

    outcomes = set()
    for _ in range(400):
        try:
            estimators.load_estimator(edited(original, damage))
            outcomes.add("read")
        except InvalidBundle:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_a_file_that_expands_beyond_measure_is_refused(tmp_path):
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("zeros.npy", bytes(20 * 2**20))
    assert path.stat().st_size < 50_000
    with pytest.raises(InvalidBundle, match="expands to more than a bundle may"):
        estimators.read_estimator(path)


def test_an_archive_in_the_archive_that_expands_is_refused():
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", bytes(20 * 2**20))
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("sparse.npz", inner.getvalue())
    with pytest.raises(InvalidBundle, match="expands to more than a bundle may"):
        estimators.load_estimator(outer.getvalue())


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(InvalidBundle, match="cannot be read: No such file"):
        estimators.read_estimator(tmp_path / "absent.skops")
    (tmp_path / "empty.skops").touch()
    with pytest.raises(InvalidBundle, match="is not a skops file"):
        estimators.read_estimator(tmp_path / "empty.skops")


def test_a_description_shows_the_classes_and_no_parameters():
    estimator = make_pipeline(StandardScaler(), GridSearchCV(SVC(C=3), {"C": [1]}))
    assert estimators.describe(estimator) == "sklearn.Pipeline(StandardScaler, GridSearchCV(SVC))"
