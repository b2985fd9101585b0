"""Real models on real data, fitted and packaged once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from modelward.models.bundle import LoadedBundle, open_bundle
from modelward.models.schema import Column, InputSchema, Row
from modelward.pipeline.package import PackagedModel, package


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small models gain nothing from a second thread, and a busy machine loses by it."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def breast_cancer() -> PackagedModel:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[::2], y[::2])
    return package(estimator, X[1::2], y[1::2], name="breast-cancer", exact=False)


@pytest.fixture(scope="session")
def wine() -> PackagedModel:
    X, y = load_wine(return_X_y=True, as_frame=True)
    estimator = RandomForestClassifier(10, n_jobs=-1, random_state=0).fit(X[::2], y[::2])
    return package(estimator, X[1::2], y[1::2], name="wine", exact=False)


@pytest.fixture(scope="session")
def diabetes() -> PackagedModel:
    X, y = load_diabetes(return_X_y=True)
    return package(Ridge().fit(X[::2], y[::2]), X[1::2], y[1::2], name="diabetes", exact=False)


@pytest.fixture(scope="session")
def patient() -> Row:
    return tuple(load_breast_cancer().data[0].tolist())


@pytest.fixture(scope="session")
def loan_schema() -> InputSchema:
    """One column of every kind."""
    return InputSchema(
        (
            Column("income", "number", 0.0, 1e6),
            Column("children", "integer", 0, 12),
            Column("employed", "boolean"),
            Column("region", "category", categories=("north", "south", "west")),
            Column("grade", "category", categories=(1, 2, 5)),
        )
    )


def opened(model: PackagedModel) -> LoadedBundle:
    return open_bundle(model.bundle.data, model.bundle.hash, model.bundle.manifest_hash)


@pytest.fixture
def open_model():
    return opened
