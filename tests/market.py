"""A market that tests trade on: a chain served on loopback, a published model, and its people.

Fixtures for the conftest of a folder: `from tests.market import *`. Publishing takes a second, so
it is done once a session; what a test does to the chain afterwards is undone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.commitments import result_commitment
from modelward.config import Config, load_config
from modelward.deployment import deploy
from modelward.devchain import DevChain, serve
from modelward.models.bundle import open_bundle
from modelward.models.runner import runner_for
from modelward.models.sandbox import Sandbox
from modelward.sdk import Catalogue, Connection, Owner, PublishedVersion, Requester, connect
from modelward.sdk.history import opened_input, read_history
from modelward.terms import ETHER, RequestId, Right, frame_clear_output

__all__ = [
    "MODEL",
    "PRICE",
    "HandWorker",
    "Market",
    "Trained",
    "breast_cancer",
    "connection",
    "market",
    "outsider",
    "owner",
    "requester",
    "sandbox",
    "session_market",
    "worker",
]

PRICE = ETHER // 1000
MODEL = "owner/breast-cancer"
REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Trained:
    """A fitted estimator and the rows it has not seen, as pandas objects."""

    estimator: Any
    inputs: Any
    labels: Any


@dataclass(frozen=True)
class Market:
    """Where to trade: `folder` is a project whose network `local` is the chain, at `url`.

    Version 1 of owner/breast-cancer is published in clear; the requester holds INFER, the worker
    SERVE.
    """

    devchain: DevChain
    url: str
    folder: Path
    published: PublishedVersion

    @property
    def file(self) -> Path:
        return self.folder / "deploy.toml"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def store(self) -> Path:
        return self.folder / ".modelward" / "store"

    def connection(self, role: str | None = None) -> Connection:
        return connect("local", role, config=configuration(self.folder))


def configuration(folder: Path) -> Config:
    """What applies in a project, whatever this process's environment says."""
    environment = {"MODELWARD_HOME": str(folder / "home")}
    return load_config(folder / "deploy.toml", environ=environment)


@pytest.fixture(scope="session")
def breast_cancer() -> Trained:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer(as_frame=True)
    names = data.target.map({0: "malignant", 1: "benign"})
    seen, unseen, known, truth = train_test_split(data.data, names, test_size=100, random_state=0)
    return Trained(
        make_pipeline(StandardScaler(), LogisticRegression()).fit(seen, known), unseen, truth
    )


@pytest.fixture(scope="session")
def session_market(tmp_path_factory, breast_cancer) -> Iterator[Market]:
    """The market of a session; ask for `market` instead."""
    folder = tmp_path_factory.mktemp("market")
    devchain = DevChain()
    with serve(devchain) as server:
        text = (REPOSITORY / "deploy.toml").read_text(encoding="utf-8")
        project = text.replace("http://127.0.0.1:8545", server.url)
        (folder / "deploy.toml").write_text(project, encoding="utf-8")
        config = configuration(folder)
        deploy(Chain.connect(config.network("local")), Account.development("deployer"), config)
        owner = Owner(connect("local", "owner", config=config))
        published = owner.publish(
            breast_cancer.estimator,
            breast_cancer.inputs,
            breast_cancer.labels,
            name="breast-cancer",
            price=PRICE,
            thresholds={"accuracy": 0.9},
            private=False,
        )
        owner.grant("requester", MODEL, Right.INFER)
        owner.grant("worker", MODEL, Right.SERVE)
        yield Market(devchain, server.url, folder, published)


@pytest.fixture
def market(session_market, tmp_path) -> Iterator[Market]:
    """The market, in a project folder of the test's own."""
    snapshot = session_market.devchain.snapshot()
    own = shutil.copytree(session_market.folder, tmp_path / "market")
    yield replace(session_market, folder=own)
    session_market.devchain.revert(snapshot)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A process to replay predictions in; starting one takes seconds."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def connection(market) -> Connection:
    """A connection that can only read."""
    return market.connection()


@pytest.fixture
def owner(market) -> Owner:
    return Owner(market.connection("owner"))


@pytest.fixture
def requester(market) -> Requester:
    return Requester(market.connection("requester"))


@pytest.fixture
def outsider(market) -> Requester:
    return Requester(market.connection("outsider"))


@pytest.fixture
def worker(market) -> HandWorker:
    return HandWorker(market.connection("worker"))


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
        runner = runner_for(bundle)
        row = runner.decode(opened_input(self.connection, history).canonical_input)
        (output,) = runner.predict_each([row])
        assert isinstance(output, bytes)
        return output

    def answer(
        self, request: RequestId, output: bytes | None = None, committed: bytes | None = None
    ) -> None:
        """Deliver `output` with a commitment to `committed`, or else what the model predicts."""
        output = self.predict(request) if output is None else output
        history = read_history(self.connection, request)
        secret = opened_input(self.connection, history).secret
        commitment = result_commitment(request, committed or output, secret)
        requested = history.requested
        call = self.connection.escrow.fulfil(
            requested.offer, requested.request, commitment, frame_clear_output(output)
        )
        self.connection.send(call)

    def decline(self, request: RequestId, reason: int) -> None:
        requested = read_history(self.connection, request).requested
        escrow = self.connection.escrow
        self.connection.send(escrow.refuse(requested.offer, requested.request, reason))
