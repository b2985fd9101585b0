"""What a deployment would do, and why: record against artifacts against the code on chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any

from eth_utils.crypto import keccak

from modelward.chain.abi import contract_abi
from modelward.chain.connection import Chain
from modelward.chain.encoding import quantity, to_hex
from modelward.config import Config, ContractSpec
from modelward.deployment.record import Record
from modelward.deployment.verify import check_code
from modelward.errors import ConfigurationError, InvalidTerms
from modelward.solidity import Artifact, load_artifact
from modelward.terms import Address

_PLACEHOLDER = "0x" + 20 * "ff"
"""Stands for an address not known yet when gas is estimated; its calldata costs the most."""


class Action(StrEnum):
    """What happens to a contract."""

    DEPLOY = "deploy"
    REPLACE = "replace"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Step:
    """One contract of a plan. `address` is where it was recorded, None if it was not."""

    spec: ContractSpec
    artifact: Artifact
    action: Action
    reason: str
    address: Address | None

    @property
    def bytecode_hash(self) -> str:
        """Keccak-256 of the creation code, in hex."""
        return to_hex(keccak(self.artifact.bytecode))

    def arguments(self, addresses: Mapping[str, str]) -> bytes:
        """The ABI-encoded constructor arguments, references resolved by `addresses`.

        Raises `ConfigurationError` when the constructor does not take them.
        """
        return _arguments(self.spec, addresses)

    def estimate(self, chain: Chain, addresses: Mapping[str, str]) -> int:
        """About how much gas the step takes; nothing for one that keeps a contract."""
        if self.action is Action.KEEP:
            return 0
        known = {name: addresses.get(name, _PLACEHOLDER) for name in self.spec.references}
        data = to_hex(self.artifact.bytecode + self.arguments(known))
        return quantity(chain.rpc("eth_estimateGas", [{"data": data}]))


def plan(chain: Chain, config: Config, record: Record) -> tuple[Step, ...]:
    """The steps of a deployment, in the order in which they are to be taken.

    Raises `CodeMismatch` when there is other code where a contract was recorded,
    `ConfigurationError` or `UnknownContract` when a contract cannot be deployed.
    """
    steps: dict[str, Step] = {}
    for spec in _in_order(config):
        action, reason = _decide(chain, spec, record, steps)
        old = record.contracts.get(spec.name)
        address = old.address if old else None
        steps[spec.name] = Step(spec, load_artifact(spec.name), action, reason, address)
    return tuple(steps.values())


def _decide(
    chain: Chain, spec: ContractSpec, record: Record, before: Mapping[str, Step]
) -> tuple[Action, str]:
    artifact = load_artifact(spec.name)
    old = record.contracts.get(spec.name)
    if old is None:
        return Action.DEPLOY, "not deployed yet"
    if not chain.code(old.address):
        return Action.DEPLOY, f"no code is at {old.address} any more"
    if old.bytecode_hash != to_hex(keccak(artifact.bytecode)):
        return Action.REPLACE, "its code has changed"
    moved = [name for name in spec.references if before[name].action is not Action.KEEP]
    if moved:
        return Action.REPLACE, f"the address of {moved[0]} changes"
    if old.arguments != to_hex(_arguments(spec, record.addresses)):
        return Action.REPLACE, "its constructor arguments have changed"
    check_code(chain, artifact, old.address)
    return Action.KEEP, "unchanged"


def _in_order(config: Config) -> list[ContractSpec]:
    graph = {spec.name: spec.references for spec in config.contracts.values()}
    try:
        order = tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ConfigurationError(
            f"The contracts {', '.join(sorted(set(error.args[1])))} need each other's addresses.",
            file=config.path,
            key="contracts",
        ) from error
    return [config.contracts[name] for name in order]


def _arguments(spec: ContractSpec, addresses: Mapping[str, str]) -> bytes:
    values: list[Any] = [
        addresses[value[1:]] if isinstance(value, str) and value.startswith("@") else value
        for value in spec.arguments
    ]
    try:
        return contract_abi(spec.name).encode_constructor(*values)
    except InvalidTerms as error:
        raise ConfigurationError(error.message, key=f"contracts.{spec.name}.arguments") from error
