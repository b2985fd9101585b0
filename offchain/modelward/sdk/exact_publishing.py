"""What publishing for disputes takes: a program on chain, and a version the referee admits."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.crypto import keccak

from modelward.chain.fees import choose_fees
from modelward.chain.transactions import Call
from modelward.commitments import version_id
from modelward.errors import ContractRefused
from modelward.sdk.connection import Connection
from modelward.terms import ETHER, ZERO_ADDRESS, ExactTerms, Version

LEAST_WINDOW = 3600


@dataclass(frozen=True, slots=True)
class DisputeTerms:
    """How long an answer can be challenged, in seconds, and what a worker stakes on it, in wei.

    A challenger gets half of the bond, so half of it should be well above what a challenge costs.
    """

    window: int = LEAST_WINDOW
    bond: int = ETHER // 100

    def settings(self, program_hash: bytes) -> bytes:
        """The `verifier_settings` of a version with this program."""
        return ExactTerms(program_hash, self.window, self.bond).settings


@dataclass(frozen=True, slots=True)
class StorageCost:
    """What storing a program takes, at the price of gas expected now; `price` in wei."""

    size: int
    gas: int
    price: int

    @property
    def cost(self) -> int:
        """What it costs, in wei."""
        return self.gas * self.price


def storage_cost(connection: Connection, program: bytes) -> StorageCost | None:
    """What storing a program would cost, by a dry run; None where it is stored already.

    Raises `ContractRefused` where it does not fit: it is too long, or a run could take too much gas
    (`ProgramTooLong`, `ProgramTooCostly`, each with both figures).
    """
    if _is_stored(connection, program):
        return None
    gas = connection.sender.estimate(connection.deployment.programs.store(program))
    price = choose_fees(connection.chain).price(connection.chain.head().base_fee)
    return StorageCost(len(program), gas, price)


def storing(connection: Connection, program: bytes) -> list[tuple[str, Call]]:
    """What stores a program, unless it is stored; raises as `storage_cost`."""
    if _is_stored(connection, program):
        return []
    call = connection.deployment.programs.store(program)
    connection.sender.estimate(call)
    return [(f"stored the program, {len(program):,} bytes", call)]


def admitting(connection: Connection, version: Version) -> list[tuple[str, Call]]:
    """What has the referee admit a published version, unless it has."""
    referee = connection.deployment.referee
    try:
        referee.terms_of(version_id(version))
    except ContractRefused as refused:
        if refused.error != "VersionNotAdmitted":
            raise
        return [("had the version admitted to disputes", referee.admit(version))]
    return []


def _is_stored(connection: Connection, program: bytes) -> bool:
    return connection.deployment.programs.pointer_of(keccak(program)) != ZERO_ADDRESS
