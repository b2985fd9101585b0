"""What the applications share: a chain, a model from its pipeline, a contract, a worker.

`examples/run.py` runs one of them whole. Contracts are compiled when they are needed; what was
compiled is kept in build/solidity.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market import answer
from modelward.chain.custom_contract import CustomContract
from modelward.chain.transactions import Call, Receipt
from modelward.models.sandbox import Sandbox
from modelward.pipeline.definition import read_pipeline
from modelward.pipeline.run import run_pipeline
from modelward.sdk import Connection, EncryptionKeys, Owner, PublishedVersion
from modelward.sdk.pipelines import publish_run
from modelward.solidity import Artifact
from modelward.solidity.build import compile_once
from modelward.solidity.compiler import Compiler, find_compiler
from modelward.terms import Address, Right

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent


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

    def publish(self, pipeline: Path, *, role: str = "owner") -> PublishedVersion:
        """Run a pipeline and publish what came of it. Raises as either."""
        definition = read_pipeline(pipeline)
        if definition.publish is None:
            raise ValueError(f"{pipeline} does not say what the model is offered for")
        run = run_pipeline(
            definition, base=pipeline.parent, directory=self.folder / definition.name
        )
        owner = self.acting_as(role)
        return publish_run(owner, definition, definition.publish, pipeline.parent, run)

    def let_serve(self, model: str, role: str = "worker") -> None:
        """Make an account a worker of the owner's model."""
        EncryptionKeys(self.acting_as(role)).register()
        Owner(self.acting_as("owner")).grant(role, model, Right.SERVE)

    def let_ask(self, model: str, contract: CustomContract) -> None:
        """Let a contract request predictions of the owner's model."""
        Owner(self.acting_as("owner")).grant(contract.address, model, Right.INFER)

    def work(self, role: str = "worker") -> None:
        """Answer what there is to answer."""
        answer(self.acting_as(role), self.sandbox)

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
        chain.rpc("evm_increaseTime", [seconds])
        chain.rpc("evm_mine")


def compiled(source: str) -> dict[str, Artifact]:
    """The contracts of a source, named from `examples/`. Raises as `compile_once`."""

    def find() -> Compiler:
        return find_compiler(project=ROOT)

    return compile_once(find, ROOT, f"examples/{source}", ROOT / "build" / "solidity")
