"""Valid terms to start from; a test changes the fields it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from eth_utils import keccak

from modelward.chain.transactions import Receipt
from modelward.terms import (
    ETHER,
    ZERO_ADDRESS,
    ZERO_HASH,
    Address,
    Metric,
    ModelId,
    ModelTerms,
    Offer,
    Request,
    RequestId,
    Version,
)

NAME = "breast-cancer"
FEE = ETHER // 1000
QUOTA = 100
INPUT = b"\x00" + b"secret" * 6 + b"an input"
TERMS = ModelTerms(fee=FEE, payee_bps=3_000, max_delay=86_400)
ACCURACY = Metric("accuracy", True, 960_000)
LOG_LOSS = Metric("log_loss", False, 120_000)


class Placed(NamedTuple):
    """A request that was placed, with all its terms."""

    offer: Offer
    terms: Request
    id: RequestId
    receipt: Receipt


def hash_of(label: str) -> bytes:
    """32 bytes that stand for the hash of something."""
    return keccak(text=label)


def version_of(model_id: bytes, attestor: Address, label: str = "first", **changes: Any) -> Version:
    """A version, attested by a worker's word; its hashes depend on `label`."""
    version = Version(
        model_id=ModelId(model_id),
        bundle_hash=hash_of(f"{label} bundle"),
        content_hash=hash_of(f"{label} content"),
        manifest_hash=hash_of(f"{label} manifest"),
        program_hash=ZERO_HASH,
        evaluation_hash=hash_of("held-out rows"),
        verifier=ZERO_ADDRESS,
        verifier_settings=ZERO_HASH,
        attestor=attestor,
        metrics=(ACCURACY, LOG_LOSS),
        uri="file:///store",
    )
    return replace(version, **changes)


def request_by(requester: Address, deadline: int, label: str = "first", **changes: Any) -> Request:
    """A request for whoever may answer it; its input hash depends on `label`."""
    request = Request(requester, requester, hash_of(f"{label} input"), deadline)
    return replace(request, **changes)
