"""Takes the steps of a plan, one transaction each, written down before and after it is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from modelward.chain.encoding import read_bytes, to_hex
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt, SignedTransaction
from modelward.deployment.plan import Action, Step
from modelward.deployment.record import (
    DeployedContract,
    PendingContract,
    Record,
    save_record,
    write_whole,
)
from modelward.deployment.verify import check_code
from modelward.errors import InsufficientFunds, TransactionFailed, Underpriced, WrongNonce
from modelward.solidity import standard_input

Progress = Callable[[Step, DeployedContract, Receipt | None], None]
"""Told of each step once it is done; the receipt is None for a contract that was kept."""


def apply(
    steps: tuple[Step, ...],
    sender: Sender,
    record: Record,
    path: Path,
    progress: Progress | None = None,
) -> Record:
    """Take the steps, keep the record at `path` up to date after each, and return the last one.

    Raises what `Sender` raises, and `CodeMismatch` when what was deployed is not the artifact's
    code. What was done by then is on record, and is kept when the deployment is run again.
    """
    last: Receipt | None = None
    for step in steps:
        receipt = None
        if step.action is not Action.KEEP:
            record, receipt = _deploy(step, sender, record, path)
            last = receipt
        _save_standard_input(step, path)
        if progress is not None:
            progress(step, record.contracts[step.spec.name], receipt)
    if last is not None:
        sender.wait(last.transaction_hash)
    return record


def resume(sender: Sender, record: Record, path: Path) -> Record:
    """Bring to its end a step that was interrupted after signing.

    Its transaction may or may not have reached the network, and is sent again. One that can no
    longer be mined is forgotten, and the plan decides anew.
    """
    pending = record.pending
    if pending is None:
        return record
    signed = SignedTransaction.from_raw(read_bytes(pending.raw))
    try:
        if sender.receipt(signed.hash) is None:
            sender.broadcast(signed)
        record, _ = _conclude(sender, record, pending, signed, path)
        return record
    except (WrongNonce, Underpriced, InsufficientFunds, TransactionFailed):
        return _saved(record.with_pending(None), path)


def _deploy(step: Step, sender: Sender, record: Record, path: Path) -> tuple[Record, Receipt]:
    name = step.spec.name
    arguments = step.arguments(record.addresses)
    with sender.turn():
        signed = sender.prepare(Call(None, step.artifact.bytecode + arguments))
        pending = PendingContract(
            name=name,
            raw=to_hex(signed.raw),
            bytecode_hash=step.bytecode_hash,
            arguments=to_hex(arguments),
            source_hash=step.artifact.source_hash,
        )
        record = _saved(record.with_pending(pending), path)
        sender.broadcast(signed)
    record, receipt = _conclude(sender, record, pending, signed, path)
    check_code(sender.chain, step.artifact, record.addresses[name])
    return record, receipt


def _conclude(
    sender: Sender,
    record: Record,
    pending: PendingContract,
    signed: SignedTransaction,
    path: Path,
) -> tuple[Record, Receipt]:
    receipt = sender.wait(signed.hash, confirmations=1)
    if not receipt.succeeded or receipt.contract_address is None:
        _saved(record.with_pending(None), path)
        raise sender.failure(signed, receipt)
    contract = DeployedContract(
        name=pending.name,
        address=receipt.contract_address,
        block=receipt.block_number,
        transaction=to_hex(signed.hash),
        deployer=signed.sender,
        bytecode_hash=pending.bytecode_hash,
        arguments=pending.arguments,
        source_hash=pending.source_hash,
    )
    return _saved(record.with_contract(contract), path), receipt


def _save_standard_input(step: Step, path: Path) -> None:
    saved = path.with_suffix("") / f"{step.spec.name}.json"
    if step.action is not Action.KEEP or not saved.exists():
        write_whole(saved, json.dumps(standard_input(step.spec.name), indent=1) + "\n")


def _saved(record: Record, path: Path) -> Record:
    save_record(path, record)
    return record
