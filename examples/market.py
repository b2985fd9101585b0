"""One round of the market for any estimator: publish, grant, request, answer, verify.

On the network `embedded` all of it happens in this process. On any other the contracts must be
deployed; accounts are those called owner, requester and worker.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from modelward import Owner, Requester, connect
from modelward.config import Policy, load_config
from modelward.errors import ModelwardError
from modelward.models.sandbox import Sandbox
from modelward.sdk import Connection, EncryptionKeys, verify
from modelward.terms import Right, parse_amount
from modelward.worker import Worker, open_journal


def trade(
    estimator: Any,
    inputs: Any,
    labels: Any,
    *,
    name: str,
    price: str,
    thresholds: dict[str, float],
    connection: Connection,
) -> None:
    """Publish a fitted estimator and sell one prediction of it.

    `inputs` and `labels` were not seen in training; the first row is the one to predict for.
    """
    EncryptionKeys(connection.acting_as("worker")).register()
    owner = Owner(connection.acting_as("owner"))
    published = owner.publish(
        estimator, inputs, labels, name=name, price=parse_amount(price), thresholds=thresholds
    )
    print(f"published  {published.reference}")
    for metric in published.metrics:
        print(f"           {metric.name} {metric.ppm / 1_000_000:g}")
    owner.grant("requester", name, Right.INFER, quota=10)
    owner.grant("worker", name, Right.SERVE)

    requester = Requester(connection.acting_as("requester"))
    placed = requester.send(published.reference, inputs.iloc[[0]], max_fee=parse_amount(price))
    print(f"requested  0x{placed.id.hex()}")
    with Sandbox() as sandbox:
        answer(connection.acting_as("worker"), sandbox)
        result = requester.wait(placed.id, timeout=60)
        print(f"predicted  {result.prediction}, and the data say {labels.iloc[0]}")
        for check in verify(owner.connection, placed.id, sandbox=sandbox).checks:
            print(f"verified   {check.what}")


def answer(connection: Connection, sandbox: Sandbox, policy: Policy | None = None) -> None:
    """Be the worker for as long as there is something to answer."""
    chain, deployment, signer = connection.chain, connection.deployment, connection.sender.account
    directory = connection.config.journal_directory
    with (
        open_journal(chain, deployment, signer, directory=directory) as journal,
        Worker(
            chain, deployment, signer, connection.store, journal, policy=policy, sandbox=sandbox
        ) as worker,
    ):
        worker.drain()


@contextmanager
def reached(network: str) -> Iterator[Connection]:
    """A connection that can act as anyone; what `embedded` leaves behind goes when it ends."""
    with TemporaryDirectory() as directory:
        config = load_config()
        if config.network(network).in_process:
            root = Path(directory)
            config = replace(config, root=root, home=root, store_url=str(root / "store"))
        yield connect(network, config=config, reading=True)


@contextmanager
def told_plainly() -> Iterator[None]:
    """End the program with one sentence, and the exit code of its family, when it fails."""
    try:
        yield
    except ModelwardError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def main(estimator: Any, inputs: Any, labels: Any, **terms: Any) -> None:
    """Trade on the network named on the command line; `embedded` leaves no file behind."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="embedded", help="a network of deploy.toml")
    network = parser.parse_args().network
    with told_plainly(), reached(network) as connection:
        trade(estimator, inputs, labels, connection=connection, **terms)
