"""A market in private mode, in one process; every actor has a home of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from modelward.chain.accounts import Account
from modelward.content.store import ContentStore
from modelward.models.sandbox import Sandbox
from modelward.sdk import Connection, Owner, PublishedVersion, Requester
from modelward.sdk.encryption_keys import EncryptionKeys
from modelward.terms import ETHER, Right
from modelward.worker import Report, Worker, open_journal

MODEL = "iris"
REFERENCE = f"owner/{MODEL}"
PRICE = ETHER // 1000


@dataclass(frozen=True)
class Trained:
    """A fitted estimator and rows with their labels."""

    estimator: Any
    inputs: Any
    labels: Any


@pytest.fixture(scope="session")
def iris() -> Trained:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    inputs, labels = load_iris(return_X_y=True, as_frame=True)
    return Trained(LogisticRegression(max_iter=500).fit(inputs, labels), inputs, labels)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.start()
        yield sandbox


@pytest.fixture
def acting_as(config, chain, deployment, tmp_path) -> Callable[[str], Connection]:
    """A connection for an account; all share the store, and nothing else."""
    store = ContentStore(str(tmp_path / "store"))

    def acting_as(role: str) -> Connection:
        own = replace(config, home=tmp_path / role)
        return Connection(own, chain, deployment, store, Account.development(role))

    return acting_as


@pytest.fixture
def owner(acting_as) -> Owner:
    return Owner(acting_as("owner"))


@pytest.fixture
def requester(acting_as) -> Requester:
    return Requester(acting_as("requester"))


@pytest.fixture
def outsider(acting_as) -> Requester:
    return Requester(acting_as("outsider"))


@pytest.fixture
def publish(owner, iris) -> Callable[..., PublishedVersion]:
    """Publish the estimator as a version of the model, private unless told otherwise."""

    def publish(**changes: Any) -> PublishedVersion:
        return owner.publish(
            iris.estimator, iris.inputs, iris.labels, **{"name": MODEL, "price": PRICE} | changes
        )

    return publish


@pytest.fixture
def published(publish, owner, acting_as) -> PublishedVersion:
    """The private model, which the requester may use and the worker serve."""
    EncryptionKeys(acting_as("worker")).register()
    published: PublishedVersion = publish()
    owner.grant("requester", MODEL, Right.INFER)
    owner.grant("worker", MODEL, Right.SERVE)
    return published


@pytest.fixture
def row(iris) -> Any:
    return iris.inputs.iloc[[0]]


@pytest.fixture
def work(acting_as, sandbox) -> Callable[..., Report]:
    """Have a worker answer what it can; `store` is another one than all share."""

    def work(role: str = "worker", *, store: ContentStore | None = None, **options: Any) -> Report:
        connection = acting_as(role)
        signer = connection.sender.account
        directory: Path = connection.config.journal_directory
        with (
            open_journal(
                connection.chain, connection.deployment, signer, directory=directory
            ) as journal,
            Worker(
                connection.chain,
                connection.deployment,
                signer,
                store or connection.store,
                journal,
                sandbox=sandbox,
                **options,
            ) as worker,
        ):
            return worker.drain()

    return work
