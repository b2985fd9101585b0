"""Contracts of `examples/` on the tests' chain, and a stage to play whole applications on.

The contracts are tested with answers chosen for them, the applications with a real worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from applications import Stage, compiled

from market import reached
from modelward.chain.events import InferenceRequested, decode_event
from modelward.chain.transactions import Call, Receipt
from modelward.commitments import result_salt
from modelward.models.output import encode_units
from modelward.models.sandbox import Sandbox
from modelward.solidity import Artifact
from modelward.terms import GrantTerms, Right
from tests.contracts.conftest import isolation, mine_at, offer, reverts, wait_until

__all__ = ["isolation", "mine_at", "offer", "reverts", "wait_until"]

SECRET = b"\x5e" * 32
SALT = result_salt(SECRET)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An embedded chain with the contracts, for applications to be played on one after another."""
    with reached("embedded") as connection, Sandbox() as sandbox:
        yield Stage(connection, sandbox, tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="session")
def compile_example() -> Callable[[str], dict[str, Artifact]]:
    """Compile a source below `examples/`, once for all sessions."""
    return compiled


@pytest.fixture
def let_ask(data_share, escrow, owner, offer) -> Callable[[str], None]:
    """Let a contract request predictions of the model."""

    def allowed(address: str) -> None:
        infer = GrantTerms(Right.INFER, uses=1_000, meter=escrow.address)
        owner.send(data_share.grant(address, offer.model_id, infer))

    return allowed


@pytest.fixture
def requested(escrow) -> Callable[[Receipt], InferenceRequested]:
    """The request that a transaction placed."""

    def found(receipt: Receipt) -> InferenceRequested:
        logs = [log for log in receipt.logs if log.address == escrow.address]
        events = [decode_event(escrow.name, log) for log in logs]
        (event,) = [each for each in events if isinstance(each, InferenceRequested)]
        return event

    return found


@pytest.fixture
def answering(escrow) -> Callable[..., Call]:
    """A worker's answer to a request, with the scores a test wants, in 10^-9."""

    def call(request: InferenceRequested, *scores: int, label: int = 0) -> Call:
        output = encode_units(label, scores)
        return escrow.fulfil_with_callback(request.offer, request.request, SALT, output)

    return call
