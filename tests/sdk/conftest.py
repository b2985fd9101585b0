"""A market in one process: an owner with a trained model, a requester, a worker, an outsider."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from modelward.chain.accounts import Account
from modelward.commitments import result_commitment
from modelward.content.store import ContentStore
from modelward.models.bundle import open_bundle
from modelward.models.runner import Runner
from modelward.sdk import Catalogue, Connection, Owner, PublishedVersion, Requester
from modelward.sdk.history import opened_input, read_history
from modelward.terms import ETHER, RequestId, Right, frame_clear_output

PRICE = ETHER // 1000


@dataclass(frozen=True)
class Trained:
    """A fitted estimator and the rows it has not seen, as pandas objects."""

    estimator: Any
    inputs: Any
    labels: Any


@pytest.fixture(scope="session")
def breast_cancer() -> Trained:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer(as_frame=True)
    names = data.target.map(dict(enumerate(data.target_names)))
    seen, unseen, known, truth = train_test_split(data.data, names, test_size=100, random_state=0)
    return Trained(
        make_pipeline(StandardScaler(), LogisticRegression()).fit(seen, known), unseen, truth
    )


@pytest.fixture
def connection(config, chain, deployment, tmp_path) -> Connection:
    """A connection without an account; records and bundles are the test's own."""
    own = replace(config, home=tmp_path / "home")
    return Connection(own, chain, deployment, ContentStore(str(tmp_path / "store")))


def acting_as(connection: Connection, role: str) -> Connection:
    return connection.acting_as(Account.development(role))


@pytest.fixture
def owner(connection) -> Owner:
    return Owner(acting_as(connection, "owner"))


@pytest.fixture
def requester(connection) -> Requester:
    return Requester(acting_as(connection, "requester"))


@pytest.fixture
def outsider(connection) -> Requester:
    return Requester(acting_as(connection, "outsider"))


@pytest.fixture
def worker(connection) -> HandWorker:
    return HandWorker(acting_as(connection, "worker"))


@pytest.fixture
def published(owner, breast_cancer) -> PublishedVersion:
    """Version 1 of owner/breast-cancer; no one but the owner may use it yet."""
    return owner.publish(
        breast_cancer.estimator,
        breast_cancer.inputs,
        breast_cancer.labels,
        name="breast-cancer",
        price=PRICE,
        thresholds={"accuracy": 0.9},
    )


@pytest.fixture
def served(owner, published) -> PublishedVersion:
    """The same, with INFER granted to the requester and SERVE to the worker."""
    owner.grant("requester", "breast-cancer", Right.INFER)
    owner.grant("worker", "breast-cancer", Right.SERVE)
    return published


class HandWorker:
    """Answers one request at a time, and can be made to answer anything."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def predict(self, request: RequestId) -> bytes:
        """The canonical output of the pinned model."""
        history = read_history(self.connection, request)
        catalogue = Catalogue(self.connection)
        offer = history.requested.offer
        version = catalogue.version_by_id(offer.model_id, offer.version_id)
        bundle = open_bundle(catalogue.bundle(version), version.version.bundle_hash)
        row = bundle.manifest.input.decode_row(
            opened_input(self.connection, history).canonical_input
        )
        return Runner(bundle).predict([row])[0]

    def answer(
        self, request: RequestId, output: bytes | None = None, committed: bytes | None = None
    ) -> None:
        """Deliver `output`, committing to `committed`; both are what the model predicts."""
        history = read_history(self.connection, request)
        output = self.predict(request) if output is None else output
        secret = opened_input(self.connection, history).secret
        commitment = result_commitment(request, output if committed is None else committed, secret)
        requested = history.requested
        call = self.connection.escrow.fulfil(
            requested.offer, requested.request, commitment, frame_clear_output(output)
        )
        self.connection.send(call)

    def decline(self, request: RequestId, reason: int) -> None:
        requested = read_history(self.connection, request).requested
        escrow = self.connection.escrow
        self.connection.send(escrow.refuse(requested.offer, requested.request, reason))
