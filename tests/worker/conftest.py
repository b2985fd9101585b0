"""A published breast-cancer model, requests for it, and workers to answer them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelward.chain.connection import Chain
from modelward.chain.sender import Sender
from modelward.content.store import ContentStore
from modelward.deployment import Deployment
from modelward.devchain import DevChain
from modelward.models.bundle import LoadedBundle
from modelward.models.runner import Runner
from modelward.models.sandbox import Sandbox
from modelward.pipeline.package import package
from modelward.solidity import Artifact
from modelward.worker import Worker, open_journal
from tests.contracts.puppet import Puppet

from .trading import Counterparts, FaultyEndpoint, Published, TrainedModel

CompileSolidity = Callable[[str], dict[str, Artifact]]


@pytest.fixture(scope="session")
def trained() -> TrainedModel:
    inputs, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    estimator.fit(inputs[:400], labels[:400])
    packaged = package(estimator, inputs[400:], labels[400:], name="breast-cancer", exact=False)
    schema = packaged.manifest.input
    (row,) = schema.rows(inputs[400:401].itertuples(index=False, name=None))
    runner = Runner(LoadedBundle(packaged.bundle.hash, packaged.manifest, estimator))
    return TrainedModel(packaged, schema.encode_row(row), runner.predict([row])[0])


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(f"file://{tmp_path / 'store'}")


@pytest.fixture
def market(
    deployment: Deployment, owner: Sender, requester: Sender, store: ContentStore
) -> Counterparts:
    return Counterparts(deployment, owner, requester, store)


@pytest.fixture
def model(market: Counterparts, trained: TrainedModel, worker: Sender) -> Published:
    """The breast-cancer model, open to all, served by the worker."""
    published = market.publish(trained.packaged.bundle)
    market.let_serve(published, worker.address)
    return published


@pytest.fixture
def token(compile_solidity: CompileSolidity, owner: Sender) -> Puppet:
    """An ERC-20 that anybody may mint."""
    return Puppet.deploy(owner, compile_solidity("tests/solidity/actors/Coin.sol")["Coin"])


@pytest.fixture
def in_token(
    market: Counterparts, trained: TrainedModel, worker: Sender, requester: Sender, token: Puppet
) -> Published:
    """The model for 1,000,003 base units of `token`, of which the requester has plenty."""
    published = market.publish(
        trained.packaged.bundle, fee=1_000_003, token=token.address, name="in-token"
    )
    market.let_serve(published, worker.address)
    requester.send(token.call("mint", requester.address, 10**12))
    requester.send(token.call("approve", market.escrow.address, 10**12))
    return published


@pytest.fixture
def consumer(
    chain: Chain, compile_solidity: CompileSolidity, requester: Sender, owner: Sender
) -> Puppet:
    """`requester`, as an account that runs a contract's code (EIP-7702)."""
    source = "tests/solidity/actors/HostileAccount.sol"
    code = Puppet.deploy(owner, compile_solidity(source)["HostileAccount"])
    chain.rpc("anvil_setCode", [requester.address, "0xef0100" + code.address[2:]])
    return Puppet(chain, requester.address, code.abi)


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """One child process for all tests that do not harm it: starting one takes seconds."""
    with Sandbox() as sandbox:
        sandbox.start()
        yield sandbox


@pytest.fixture
def endpoint(devchain: DevChain) -> FaultyEndpoint:
    """What the worker, and nobody else, reaches the chain by. It is honest unless told."""
    return FaultyEndpoint(devchain.provider())


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


MakeWorker = Callable[..., Worker]


@pytest.fixture
def make_worker(
    deployment: Deployment,
    worker: Sender,
    store: ContentStore,
    endpoint: FaultyEndpoint,
    journal_file: Path,
    shared_sandbox: Sandbox,
) -> Iterator[MakeWorker]:
    """Make a worker on the test's journal; the one before it is gone, as if it had been killed.

    Takes the options of `Worker`, and of its network.
    """
    running = ExitStack()

    def make(*, network: dict[str, Any] | None = None, **options: Any) -> Worker:
        running.close()
        chain = Chain.connect(replace(deployment.chain.network, **(network or {})), endpoint)
        there = replace(deployment, chain=chain)
        journal = running.enter_context(
            open_journal(
                chain, there, worker.account, directory=journal_file.parent, place=journal_file
            )
        )
        options.setdefault("sandbox", shared_sandbox)
        bundles = options.pop("store", store)
        return Worker(chain, there, worker.account, bundles, journal, **options)

    with running:
        yield make
