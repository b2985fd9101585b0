"""Made-up blocks, requests and transactions to write into a journal."""

from __future__ import annotations

from eth_utils.crypto import keccak

from modelward.commitments import request_id
from modelward.journal import (
    Checkpoint,
    Ending,
    Fulfilment,
    Identity,
    Placement,
    SignedAnswer,
    State,
)
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


def signed(nonce: int, tag: int = 0) -> SignedAnswer:
    """A made-up signed transaction."""
    raw = b"transaction %d %d" % (nonce, tag)
    return SignedAnswer(keccak(raw), raw, nonce, gas=90_000, max_fee=3 * GWEI, tip=GWEI)


def fulfilment(placement: Placement) -> Fulfilment:
    """A made-up result for a request."""
    return Fulfilment(b"\0output", keccak(b"result" + placement.request_id))


def ending(
    placement: Placement, at: Checkpoint, state: State = State.FINAL, by: bytes = b""
) -> Ending:
    """The end of a request in block `at`, by the transaction with the hash `by`."""
    reason = None if state is State.FINAL else "told by the test"
    return Ending(placement.request_id, state, reason, at.number, at.hash, by or keccak(b"theirs"))
