"""What the tests of the contracts need beyond the shared fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from modelward.chain.fees import choose_fees
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt
from modelward.errors import ContractRefused


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
