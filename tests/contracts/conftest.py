"""What the tests of the contracts need beyond the shared fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from modelward import commitments
from modelward.chain.fees import choose_fees
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt
from modelward.errors import ContractRefused
from modelward.terms import GrantTerms, Offer, Request, Right
from tests.contracts.specimens import (
    INPUT,
    NAME,
    QUOTA,
    TERMS,
    Placed,
    request_by,
    version_of,
)


@pytest.fixture(autouse=True)
def isolation(devchain):
    """No test leaves a trace."""


@pytest.fixture(scope="session")
def reverts() -> Callable[..., AbstractContextManager[None]]:
    """Expect a custom error with exactly these arguments, by their Solidity names."""

    @contextmanager
    def expect(error: str, **arguments: Any) -> Iterator[None]:
        with pytest.raises(ContractRefused) as caught:
            yield
        assert (caught.value.error, caught.value.arguments) == (error, arguments)

    return expect


@pytest.fixture
def wait_until(devchain) -> Callable[[int], None]:
    """Mine a block of exactly that second."""

    def wait(timestamp: int) -> None:
        devchain.set_next_timestamp(timestamp)
        devchain.mine()

    return wait


@pytest.fixture
def mine_at(devchain, chain) -> Callable[[int, Sender, Call], Receipt]:
    """Mine a transaction in a block of exactly that second, without trying it out before."""

    def mine(timestamp: int, sender: Sender, call: Call) -> Receipt:
        signed = sender.sign(
            call, gas=1_000_000, nonce=sender.next_nonce(), fees=choose_fees(chain)
        )
        devchain.set_next_timestamp(timestamp)
        sender.broadcast(signed)
        receipt = sender.wait(signed.hash)
        assert chain.block(receipt.block_hash).timestamp == timestamp
        if not receipt.succeeded:
            raise sender.failure(signed, receipt)
        return receipt

    return mine


# --- a model and requests for it ------------------------------------------------------------------


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
