"""Deploying, and finding what was deployed: what the CLI, the scripts and the tests call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from eth_utils.crypto import keccak

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.contracts import (
    DataShare,
    ExactPrograms,
    ExactReferee,
    InferenceEscrow,
    ModelRegistry,
    PrivacyLedger,
)
from modelward.chain.encoding import to_hex
from modelward.chain.sender import Sender
from modelward.chain.transactions import read_receipt
from modelward.config import Config
from modelward.deployment.apply import Progress, apply, resume
from modelward.deployment.plan import Step, plan
from modelward.deployment.record import Record, load_record, other_records, record_path
from modelward.deployment.verify import check_code
from modelward.errors import CodeMismatch, NotDeployed, WrongChain
from modelward.solidity import load_artifact
from modelward.solidity.build import check_sources
from modelward.terms import Address


@dataclass(frozen=True, slots=True)
class Deployment:
    """The contracts of one chain, as recorded. `path` is the record's file."""

    chain: Chain
    record: Record
    path: Path

    @classmethod
    def of(cls, chain: Chain, config: Config) -> Self:
        """The deployment recorded for this chain, which may still be empty.

        Raises `ConfigurationError` or `WrongChain` when the record cannot be used.
        """
        directory = config.deployments_directory(chain.chain_id)
        path = record_path(directory, chain.chain_id, chain.genesis_hash)
        record = load_record(path, chain.chain_id, chain.genesis_hash)
        return cls(chain, record or Record(chain.chain_id, chain.genesis_hash), path)

    @property
    def addresses(self) -> dict[str, Address]:
        """Address by contract name."""
        return self.record.addresses

    @property
    def names(self) -> dict[Address, str]:
        """Contract name by address, as an `EventReader` takes it."""
        return {address: name for name, address in self.addresses.items()}

    @property
    def first_block(self) -> int:
        """The first block in which any of the contracts can have emitted an event."""
        return min((contract.block for contract in self.record.contracts.values()), default=0)

    @property
    def data_share(self) -> DataShare:
        """The deployed DataShare. Raises `NotDeployed`."""
        return DataShare(self.chain, self._address(DataShare.name))

    @property
    def registry(self) -> ModelRegistry:
        """The deployed ModelRegistry. Raises `NotDeployed`."""
        return ModelRegistry(self.chain, self._address(ModelRegistry.name))

    @property
    def escrow(self) -> InferenceEscrow:
        """The deployed InferenceEscrow. Raises `NotDeployed`."""
        return InferenceEscrow(self.chain, self._address(InferenceEscrow.name))

    @property
    def programs(self) -> ExactPrograms:
        """The deployed ExactPrograms. Raises `NotDeployed`."""
        return ExactPrograms(self.chain, self._address(ExactPrograms.name))

    @property
    def referee(self) -> ExactReferee:
        """The deployed ExactReferee. Raises `NotDeployed`."""
        return ExactReferee(self.chain, self._address(ExactReferee.name))

    @property
    def privacy_ledger(self) -> PrivacyLedger:
        """The deployed PrivacyLedger. Raises `NotDeployed`."""
        return PrivacyLedger(self.chain, self._address(PrivacyLedger.name))

    def _address(self, name: str) -> Address:
        if name not in self.addresses:
            raise NotDeployed(f"{name} is not deployed on {self.chain.network.name!r}.")
        return self.addresses[name]


def deploy(
    chain: Chain, account: Account, config: Config, *, progress: Progress | None = None
) -> Deployment:
    """Bring the contracts on `chain` up to what `config` and the artifacts say.

    Like a migration: what is unchanged is kept, so a second run does nothing, and a run that was
    interrupted is continued.

    Raises `ArtifactDrift` when the Solidity sources beside this package are not those the
    artifacts were compiled from, `CodeMismatch`, `ConfigurationError`, and what `Sender` raises.
    """
    check_sources()
    sender = Sender(chain, account)
    found = Deployment.of(chain, config)
    record = resume(sender, found.record, found.path)
    steps = plan(chain, config, record)
    return Deployment(chain, apply(steps, sender, record, found.path, progress), found.path)


def plan_deployment(chain: Chain, config: Config) -> tuple[tuple[Step, ...], Deployment]:
    """What `deploy` would do, and the deployment as it stands; nothing is sent or written.

    Raises as `deploy`, as far as that can be told without sending.
    """
    check_sources()
    found = Deployment.of(chain, config)
    return plan(chain, config, found.record), found


def load_deployment(chain: Chain, config: Config) -> Deployment:
    """The deployment on `chain`, complete and with the code this version was built for.

    Raises `NotDeployed`; `WrongChain` when what is recorded for this chain id was deployed on a
    chain with another genesis; `CodeMismatch` when other code is at a recorded address.
    """
    found = Deployment.of(chain, config)
    again = f"Run `modelward deploy --network {chain.network.name}`."
    if not found.record.contracts:
        others = other_records(found.path.parent, chain.chain_id, chain.genesis_hash)
        if others:
            raise WrongChain(
                f"The chain at {chain.network.safe_url} has the genesis "
                f"{to_hex(chain.genesis_hash)[:10]}…, and nothing was deployed on it: what is "
                f"recorded for chain {chain.chain_id} is on a chain with another genesis.",
                hint=f"Was it restarted? {again}",
            )
        raise NotDeployed(
            f"Nothing was deployed on the network {chain.network.name!r}.", hint=again
        )
    for name in config.contracts:
        contract = found.record.contracts.get(name)
        if contract is None:
            raise NotDeployed(
                f"The deployment on {chain.network.name!r} is unfinished: {name} is missing.",
                hint=again,
            )
        artifact = load_artifact(name)
        if contract.bytecode_hash != to_hex(keccak(artifact.bytecode)):
            raise NotDeployed(
                f"The {name} on {chain.network.name!r} is not the one this version works with.",
                hint=f"{again} That replaces it; what the old one holds stays there.",
            )
        check_code(chain, artifact, contract.address)
    return found


def check_deployment(deployment: Deployment) -> None:
    """Check, beyond `load_deployment`, what somebody relies on who follows the contracts' events:
    that they were deployed in the blocks recorded, and that the escrow goes by the contracts
    recorded.

    A node that has forgotten the transactions that deployed them is taken at the record's word.

    Raises `CodeMismatch`, `RpcError` or `RpcUnavailable`.
    """
    hint = "The record was changed, or belongs to another deployment."
    for contract in deployment.record.contracts.values():
        raw = deployment.chain.rpc("eth_getTransactionReceipt", [contract.transaction])
        if raw is None:
            continue
        receipt = read_receipt(raw)
        if (receipt.block_number, receipt.contract_address) != (contract.block, contract.address):
            raise CodeMismatch(
                f"{contract.name} was deployed at {receipt.contract_address} in block "
                f"{receipt.block_number}, not at {contract.address} in block {contract.block}.",
                hint=hint,
            )
    escrow = deployment.escrow
    for name, used in (
        (DataShare.name, escrow.data_share()),
        (ModelRegistry.name, escrow.registry()),
    ):
        if used != deployment.addresses.get(name):
            raise CodeMismatch(
                f"The escrow at {escrow.address} goes by the {name} at {used}, "
                f"not by the one recorded at {deployment.addresses.get(name)}.",
                hint=hint,
            )
