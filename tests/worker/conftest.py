"""A published breast-cancer model, requests for it, and workers to answer them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelward import commitments
from modelward.chain.contracts import DataShare, InferenceEscrow, ModelRegistry
from modelward.chain.sender import Sender
from modelward.content.store import ContentStore
from modelward.deployment import Deployment
from modelward.journal import Job, Journal
from modelward.models.bundle import LoadedBundle
from modelward.models.runner import Runner
from modelward.models.sandbox import Limits, Sandbox
from modelward.pipeline.package import PackagedModel, package
from modelward.terms import (
    GWEI,
    ZERO_ADDRESS,
    Address,
    GrantTerms,
    ModelId,
    ModelTerms,
    Offer,
    Request,
    RequestId,
    RequestState,
    Right,
    Version,
    VersionId,
    frame_clear_input,
    frame_clear_output,
)
from modelward.worker import Worker, open_journal

FEE = 1_000_000 * GWEI
PAYEE_BPS = 3_000


@dataclass(frozen=True)
class TrainedModel:
    """A packaged model, and what it must predict."""

    packaged: PackagedModel
    row: bytes
    output: bytes
    other_row: bytes


@pytest.fixture(scope="session")
def trained() -> TrainedModel:
    inputs, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    estimator.fit(inputs[:400], labels[:400])
    packaged = package(estimator, inputs[400:], labels[400:], name="breast-cancer")
    schema = packaged.manifest.input
    rows = schema.rows(inputs[400:402].itertuples(index=False, name=None))
    runner = Runner(LoadedBundle(packaged.bundle.hash, packaged.manifest, estimator))
    return TrainedModel(
        packaged,
        row=schema.encode_row(rows[0]),
        output=runner.predict(rows[:1])[0],
        other_row=schema.encode_row(rows[1]),
    )


@dataclass(frozen=True)
class Published:
    """A version on chain, and the store that has its bundle."""

    model_id: ModelId
    version_id: VersionId
    store: ContentStore


@dataclass(frozen=True)
class Placed:
    """A request on chain, as its requester remembers it."""

    id: RequestId
    offer: Offer
    request: Request
    secret: bytes
    payload: bytes


class Market:
    """What owner and requester do, in a few words."""

    def __init__(
        self, deployment: Deployment, owner: Sender, requester: Sender, store: ContentStore
    ) -> None:
        self.deployment = deployment
        self.share: DataShare = deployment.data_share
        self.registry: ModelRegistry = deployment.registry
        self.escrow: InferenceEscrow = deployment.escrow
        self.owner = owner
        self.requester = requester
        self.store = store

    def publish(
        self,
        packaged: PackagedModel,
        *,
        fee: int = FEE,
        name: str = "breast-cancer",
        **changes: Any,
    ) -> Published:
        """Register a model open to all, publish one version of it, and store its bundle."""
        self.store.put(packaged.bundle.data)
        terms = ModelTerms(fee=fee, payee_bps=PAYEE_BPS, max_delay=86_400, open=True)
        self.owner.send(self.registry.register_model(name, terms))
        model_id = commitments.model_id(self.owner.address, name)
        version = replace(
            Version(
                model_id=model_id,
                bundle_hash=packaged.bundle.hash,
                content_hash=packaged.bundle.hash,
                manifest_hash=packaged.bundle.manifest_hash,
                program_hash=bytes(32),
                evaluation_hash=packaged.evaluation_hash,
                verifier=ZERO_ADDRESS,
                verifier_settings=bytes(32),
                attestor=self.owner.address,
                metrics=tuple(sorted(packaged.metrics, key=lambda metric: metric.name)),
                uri=self.store.url,
            ),
            **changes,
        )
        self.owner.send(self.registry.publish_version(version))
        return Published(model_id, commitments.version_id(version), self.store)

    def let_serve(self, model: Published, worker: Address, **terms: Any) -> None:
        grant = GrantTerms(rights=Right.SERVE, **terms)
        self.owner.send(self.share.grant(worker, model.model_id, grant))

    def stop_serving(self, model: Published, worker: Address) -> None:
        self.owner.send(self.share.revoke(worker, model.model_id))

    def place(
        self,
        model: Published,
        canonical_input: bytes,
        *,
        payload: bytes | None = None,
        lifetime: int = 3_600,
        **changes: Any,
    ) -> Placed:
        """Place a request; `payload` and `changes` make it one that nobody should make."""
        quote = self.registry.quote(model.model_id, model.version_id)
        secret = secrets.token_bytes(32)
        now = self.deployment.chain.head().timestamp
        request = replace(
            Request(
                requester=self.requester.address,
                payer=self.requester.address,
                input_hash=commitments.input_hash(secret, canonical_input),
                deadline=now + lifetime,
            ),
            **changes,
        )
        framed = frame_clear_input(secret, canonical_input) if payload is None else payload
        self.requester.send(
            self.escrow.request(
                model.model_id, model.version_id, request, framed, value=quote.offer.fee
            )
        )
        chain_id = self.deployment.chain.chain_id
        request_id = commitments.request_id(
            quote.offer, request, chain_id=chain_id, escrow=self.escrow.address
        )
        return Placed(request_id, quote.offer, request, secret, framed)

    def state(self, placed: Placed) -> RequestState:
        return self.escrow.request_of(placed.id)


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(f"file://{tmp_path / 'store'}")


@pytest.fixture
def market(deployment: Deployment, owner: Sender, requester: Sender, store: ContentStore) -> Market:
    return Market(deployment, owner, requester, store)


@pytest.fixture
def model(market: Market, trained: TrainedModel, worker: Sender) -> Published:
    """The breast-cancer model, open to all, served by the worker."""
    published = market.publish(trained.packaged)
    market.let_serve(published, worker.address)
    return published


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """One child process for all tests that do not harm it: starting one takes seconds."""
    with Sandbox(Limits()) as sandbox:
        sandbox.start()
        yield sandbox


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


MakeWorker = Callable[..., Worker]


@pytest.fixture
def make_worker(
    deployment: Deployment,
    worker: Sender,
    store: ContentStore,
    journal_file: Path,
    shared_sandbox: Sandbox,
) -> Iterator[MakeWorker]:
    """Start a worker on the test's journal, stopping the one before it as if it had been killed.

    Takes what `Worker` takes; `sender` and `place` make it another account's, or another journal's.
    """
    with ExitStack() as started:

        def make(*, sender: Sender = worker, place: Path = journal_file, **options: Any) -> Worker:
            if place == journal_file:
                started.close()
            journal = started.enter_context(
                open_journal(
                    sender.chain, deployment, sender.account, directory=place.parent, place=place
                )
            )
            options.setdefault("sandbox", shared_sandbox)
            return Worker(sender.chain, deployment, sender.account, store, journal, **options)

        yield make


def job(journal: Journal, placed: Placed) -> Job:
    """The job of a request, which must be known."""
    found = journal.job(placed.id)
    assert found is not None, "the journal does not know the request"
    return found


def expected_output(trained: TrainedModel) -> bytes:
    """The framed output for `trained.row`."""
    return frame_clear_output(trained.output)
