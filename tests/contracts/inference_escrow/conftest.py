from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from modelward import commitments
from modelward.chain.sender import Sender
from modelward.chain.transactions import Receipt
from modelward.terms import GrantTerms, Offer, Request, RequestId, Right
from tests.contracts.specimens import NAME, TERMS, request_by, version_of

QUOTA = 100
INPUT = b"\x00" + b"secret" * 6 + b"an input"


class Placed(NamedTuple):
    """A request that was placed, with all its terms."""

    offer: Offer
    terms: Request
    id: RequestId
    receipt: Receipt


@pytest.fixture
def offer(registry, data_share, escrow, owner, requester, worker, isolation) -> Offer:
    """A version of a model that `requester` may request predictions of and `worker` serves."""
    model_id = commitments.model_id(owner.address, NAME)
    version = version_of(model_id, owner.address)
    infer = GrantTerms(Right.INFER, uses=QUOTA, meter=escrow.address)
    owner.send(registry.register_model(NAME, TERMS))
    owner.send(registry.publish_version(version))
    owner.send(data_share.grant(requester.address, model_id, infer))
    owner.send(data_share.grant(worker.address, model_id, GrantTerms(Right.SERVE)))
    quoted: Offer = registry.quote(model_id, commitments.version_id(version)).offer
    return quoted


@pytest.fixture
def ask(devchain, requester) -> Callable[..., Request]:
    """Terms of a request of `requester`'s, due in an hour; see `request_by`."""

    def asked(label: str = "first", **changes: Any) -> Request:
        deadline = changes.pop("deadline", devchain.time + 3_600)
        return replace(request_by(requester.address, deadline, label), **changes)

    return asked


@pytest.fixture
def place(registry, escrow, chain, offer, requester) -> Callable[..., Placed]:
    """Place a request under the offer that stands, as `requester` unless told otherwise."""

    def placed(terms: Request, *, sender: Sender = requester, version: bytes = b"") -> Placed:
        version_id = version or offer.version_id
        standing: Offer = registry.quote(offer.model_id, version_id).offer
        receipt = sender.send(
            escrow.request(offer.model_id, version_id, terms, INPUT, value=standing.fee)
        )
        request_id = commitments.request_id(
            standing, terms, chain_id=chain.chain_id, escrow=escrow.address
        )
        return Placed(standing, terms, request_id, receipt)

    return placed


@pytest.fixture
def placed(place, ask) -> Placed:
    """An open request of `requester`'s."""
    request: Placed = place(ask())
    return request
