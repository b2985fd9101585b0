"""What the applications share: a chain, a model from its pipeline, a contract, a worker.

`examples/run.py` runs one of them whole. Contracts are compiled when they are needed; what was
compiled is kept in build/solidity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from market import answer
from modelward.chain.custom_contract import CustomContract
from modelward.chain.transactions import Call, Receipt
from modelward.config import Policy
from modelward.models.bundle import open_bundle
from modelward.models.output import Prediction, decode_output
from modelward.models.runner import runner_for
from modelward.models.sandbox import Sandbox
from modelward.pipeline.definition import read_pipeline
from modelward.pipeline.package import PackagedModel
from modelward.pipeline.run import run_pipeline
from modelward.sdk import Connection, EncryptionKeys, ListedVersion, Owner
from modelward.sdk.pipelines import publish_run
from modelward.solidity import Artifact
from modelward.solidity.build import compile_once
from modelward.solidity.compiler import Compiler, find_compiler
from modelward.terms import Address, Right

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent


@dataclass(frozen=True)
class PublishedModel:
    """A version, and what its owner has of it: the bundle in clear."""

    version: ListedVersion
    packaged: PackagedModel = field(repr=False)

    @property
    def reference(self) -> str:
        """`owner/name@number`."""
        return self.version.reference

    def scores(self, rows: Any) -> Any:
        """What the version answers to the rows of a table: an array of (rows, scores)."""
        units = [answer.units for answer in answers(self.packaged, rows)]
        return np.array(units) / 10**self.packaged.manifest.output.decimals


def answers(packaged: PackagedModel, rows: Any) -> list[Prediction]:
    """What a worker answers to the rows of a table, which may have other columns too."""
    manifest = packaged.manifest
    runner = runner_for(open_bundle(packaged.bundle.data, packaged.bundle.hash))
    names = [column.name for column in manifest.input.columns]
    given = [
        runner.decode(manifest.canonical_input(manifest.input.row(row)))
        for row in rows[names].to_dict("records")
    ]
    outputs = [output for output in runner.predict_each(given) if isinstance(output, bytes)]
    return [decode_output(manifest.output, output) for output in outputs]


@dataclass(frozen=True)
class Stage:
    """Where an application is played: a deployment, and what worker and pipeline need.

    Everybody is called by the name of an account: owner, requester, worker and so on.
    """

    connection: Connection
    sandbox: Sandbox
    folder: Path

    def acting_as(self, role: str) -> Connection:
        """The connection of one of the accounts."""
        return self.connection.acting_as(role)

    def address(self, role: str) -> Address:
        """The address of one of the accounts."""
        return self.acting_as(role).address

    def send(self, role: str, call: Call) -> Receipt:
        """Send a transaction and wait until it is confirmed. Raises as `Sender.send`."""
        return self.acting_as(role).send(call)

    # --- the model -------------------------------------------------------------------------------

    def publish(self, pipeline: Path, *, estimator: str | None = None) -> PublishedModel:
        """Run a pipeline and publish what came of it as the owner; the same again does nothing.

        `estimator` takes the place of the one in the file, and of its search. Raises as
        `run_pipeline` and `publish_run`.
        """
        definition = read_pipeline(pipeline)
        if (terms := definition.publish) is None:
            raise ValueError(f"{pipeline} does not say what the model is offered for")
        if estimator is not None:
            training = {"estimator": estimator, "search": ()}
            train = definition.train.model_copy(update=training)
            definition = definition.model_copy(update={"train": train})
        base = pipeline.parent
        run = run_pipeline(definition, base=base, directory=self.folder / definition.name)
        owner = self.acting_as("owner")
        published = publish_run(owner, definition, terms, base, run)
        return PublishedModel(published.version, run.packaged)

    def let_serve(self, model: str, role: str = "worker") -> None:
        """Make an account a worker of the owner's model."""
        EncryptionKeys(self.acting_as(role)).register()
        Owner(self.acting_as("owner")).grant(role, model, Right.SERVE)

    def let_ask(self, model: str, contract: CustomContract) -> None:
        """Let a contract request predictions of the owner's model."""
        Owner(self.acting_as("owner")).grant(contract.address, model, Right.INFER)

    def work(self, role: str = "worker", *, policy: Policy | None = None) -> None:
        """Answer what there is to answer and, by the worker's policy, pays."""
        answer(self.acting_as(role), self.sandbox, policy)

    # --- contracts -------------------------------------------------------------------------------

    def deploy(
        self, source: str, name: str, *arguments: Any, role: str = "owner"
    ) -> CustomContract:
        """Deploy a contract of a source below `examples/`, compiling it if need be."""
        sender = self.acting_as(role).sender
        return CustomContract.deploy(sender, compiled(source)[name], *arguments)

    # --- time ------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The time of the newest block, in Unix seconds."""
        return self.connection.chain.head().timestamp

    def pass_time(self, seconds: int) -> None:
        """Let time go by on a development chain."""
        chain = self.connection.chain
        chain.rpc("evm_setNextBlockTimestamp", [self.now + seconds])
        chain.rpc("evm_mine")


def compiled(source: str) -> dict[str, Artifact]:
    """The contracts of a source, named from `examples/`. Raises as `compile_once`."""

    def find() -> Compiler:
        return find_compiler(project=ROOT)

    return compile_once(find, ROOT, f"examples/{source}", ROOT / "build" / "solidity")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header, each column as wide as its longest cell."""
    lines = [columns, *rows]
    widths = [max(len(str(line[place])) for line in lines) for place in range(len(columns))]
    for line in lines:
        cells = (f"{cell!s:<{width}}" for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
