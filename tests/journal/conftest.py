"""A journal in a directory of its own, and terms to write into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from modelward.commitments import request_id
from modelward.journal import Checkpoint, Identity, Journal, Placement
from modelward.terms import GWEI, ZERO_ADDRESS, Address, ModelId, Offer, Request, VersionId

ESCROW = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
WORKER = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
REQUESTER = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
OWNER = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
IDENTITY = Identity(31337, keccak(b"genesis"), ESCROW, WORKER)
START = 1_700_000_000


def block(number: int, branch: str = "a") -> Checkpoint:
    """A made-up block; blocks of one number on different branches have different hashes."""
    return Checkpoint(number, keccak(text=f"{branch}{number}"), START + number)


def place(tag: int, at: Checkpoint, lifetime: int = 1_000) -> Placement:
    """A request placed in block `at`, due `lifetime` seconds after it."""
    offer = Offer(
        model_id=ModelId(keccak(b"model")),
        version_id=VersionId(keccak(b"version")),
        owner=OWNER,
        payee=OWNER,
        payee_bps=3_000,
        token=ZERO_ADDRESS,
        fee=1_000 * GWEI,
        verifier=ZERO_ADDRESS,
    )
    request = Request(
        requester=REQUESTER,
        payer=REQUESTER,
        input_hash=tag.to_bytes(32, "big"),
        deadline=at.timestamp + lifetime,
    )
    return Placement(
        request_id=request_id(offer, request, chain_id=IDENTITY.chain_id, escrow=ESCROW),
        offer=offer,
        request=request,
        input=b"\0" + bytes(40),
        block_number=at.number,
        block_hash=at.hash,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(file: Path) -> Iterator[Journal]:
    with Journal(file, IDENTITY) as opened:
        yield opened
