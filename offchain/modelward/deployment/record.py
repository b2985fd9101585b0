"""What is deployed where: one JSON file a chain, told by chain id and genesis hash."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from modelward.chain.encoding import read_bytes, to_address, to_hex
from modelward.errors import ConfigurationError, ModelwardError, WrongChain
from modelward.terms import Address

FORMAT = 1


@dataclass(frozen=True, slots=True)
class DeployedContract:
    """A contract as it was deployed; hashes and data are 0x-prefixed hex.

    `bytecode_hash` is the Keccak-256 of the creation code without `arguments`, which are the
    ABI-encoded constructor arguments. `source_hash` is the artifact's.
    """

    name: str
    address: Address
    block: int
    transaction: str
    deployer: Address
    bytecode_hash: str
    arguments: str
    source_hash: str


@dataclass(frozen=True, slots=True)
class PendingContract:
    """A contract whose deployment was signed and written down before it was sent.

    `raw` is the signed transaction, which a resumed deployment sends again.
    """

    name: str
    raw: str
    bytecode_hash: str
    arguments: str
    source_hash: str


@dataclass(frozen=True, slots=True)
class Record:
    """The deployment on one chain. `replaced` keeps what newer contracts took the place of."""

    chain_id: int
    genesis_hash: bytes
    contracts: Mapping[str, DeployedContract] = field(default_factory=dict)
    replaced: tuple[DeployedContract, ...] = ()
    pending: PendingContract | None = None

    @property
    def addresses(self) -> dict[str, Address]:
        """Address by contract name."""
        return {name: contract.address for name, contract in self.contracts.items()}

    def with_pending(self, pending: PendingContract | None) -> Self:
        """This record, with that contract pending, or none."""
        return replace(self, pending=pending)

    def with_contract(self, contract: DeployedContract) -> Self:
        """This record, with `contract` in place of the one of its name, and nothing pending."""
        old = self.contracts.get(contract.name)
        return replace(
            self,
            contracts={**self.contracts, contract.name: contract},
            replaced=(*self.replaced, old) if old else self.replaced,
            pending=None,
        )


def record_path(directory: Path, chain_id: int, genesis_hash: bytes) -> Path:
    """Where the record of that chain is kept."""
    return directory / f"{chain_id}-{genesis_hash.hex()[:8]}.json"


def other_records(directory: Path, chain_id: int, genesis_hash: bytes) -> list[Path]:
    """Records of chains with the same id and another genesis."""
    own = record_path(directory, chain_id, genesis_hash)
    return sorted(path for path in directory.glob(f"{chain_id}-*.json") if path != own)


def load_record(path: Path, chain_id: int, genesis_hash: bytes) -> Record | None:
    """Read a record, None where there is no file.

    Raises `ConfigurationError` when it is malformed, `WrongChain` when it is another chain's.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The record {path} cannot be read.", file=path) from error
    try:
        record = _from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, ModelwardError) as error:
        raise ConfigurationError(
            f"The record {path} is malformed.",
            file=path,
            hint="Restore it, or move it away and deploy afresh.",
        ) from error
    if (record.chain_id, record.genesis_hash) != (chain_id, genesis_hash):
        raise WrongChain(
            f"The record {path} is of chain {record.chain_id} with the genesis "
            f"{to_hex(record.genesis_hash)}, not of chain {chain_id} with {to_hex(genesis_hash)}."
        )
    return record


def save_record(path: Path, record: Record) -> None:
    """Write a record in one step: a reader sees the old one or the new one.

    Raises `ConfigurationError` when it cannot be written.
    """
    write_whole(path, json.dumps(_to_json(record), indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file by renaming a complete draft. Raises `ConfigurationError`."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("x", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror or error}.", file=path
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _to_json(record: Record) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "chain_id": record.chain_id,
        "genesis_hash": to_hex(record.genesis_hash),
        "contracts": [asdict(contract) for contract in record.contracts.values()],
        "replaced": [asdict(contract) for contract in record.replaced],
        **({"pending": asdict(record.pending)} if record.pending else {}),
    }


def _from_json(document: Any) -> Record:
    if document["format"] != FORMAT:
        raise ValueError(document["format"])
    contracts = [_contract(entry) for entry in document["contracts"]]
    return Record(
        chain_id=int(document["chain_id"]),
        genesis_hash=read_bytes(document["genesis_hash"]),
        contracts={contract.name: contract for contract in contracts},
        replaced=tuple(_contract(entry) for entry in document["replaced"]),
        pending=PendingContract(**document["pending"]) if "pending" in document else None,
    )


def _contract(entry: dict[str, Any]) -> DeployedContract:
    contract = DeployedContract(**entry)
    return replace(contract, address=to_address(contract.address), block=int(contract.block))
