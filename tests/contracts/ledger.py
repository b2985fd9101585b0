"""State machines that keep a ledger by hand beside the contracts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from modelward.chain.accounts import Account
from modelward.chain.fees import Fees
from modelward.chain.sender import Sender
from modelward.chain.transactions import Call, Receipt
from modelward.errors import ContractRefused
from modelward.terms import GWEI, Address

FEES = Fees(max_fee=1_000 * GWEI, tip=GWEI)
PEOPLE = ("owner", "requester", "sponsor", "worker", "keeper", "evaluator", "outsider")
ROUNDS = 8
"""Most runs until everything was done; one or two do, as the chain's clock has it."""


class Actors(RuleBasedStateMachine):
    """People who send transactions, each mined in the very next second.

    `ran` counts what was done and what was refused, over all runs.
    """

    def __init__(self, deployed_chain: Any, ran: Counter[str]) -> None:
        super().__init__()
        self.ran = ran
        self.devchain = deployed_chain.devchain
        self.snapshot = self.devchain.snapshot()
        self.chain = deployed_chain.chain
        self.escrow = deployed_chain.deployment.escrow
        self.registry = deployed_chain.deployment.registry
        self.data_share = deployed_chain.deployment.data_share
        self.people = {name: Sender(self.chain, Account.development(name)) for name in PEOPLE}

    @property
    def now(self) -> int:
        """When the next transaction is mined."""
        return self.devchain.time + 1

    def address(self, who: str) -> Address:
        return self.people[who].address

    def wait(self, until: int) -> bool:
        """Mine a block of that second, if it is still to come."""
        if until <= self.devchain.time:
            return False
        self.devchain.set_next_timestamp(until)
        self.devchain.mine()
        return True

    def mine(self, who: str, call: Call) -> Receipt:
        """Mine a call in the very next second."""
        sender = self.people[who]
        signed = sender.sign(call, gas=2_000_000, nonce=sender.nonce(), fees=FEES)
        self.devchain.set_next_timestamp(self.now)
        receipt = sender.receipt(sender.broadcast(signed))
        assert receipt is not None
        if not receipt.succeeded:
            raise sender.failure(signed, receipt)
        return receipt

    def attempt(self, action: str, who: str, call: Call, refusal: str = "") -> Receipt | None:
        """Mine a call that must be refused with `refusal`, or go through if that is empty."""
        self.ran[f"{action}: {refusal or 'done'}"] += 1
        if not refusal:
            return self.mine(who, call)
        with pytest.raises(ContractRefused) as refused:
            self.mine(who, call)
        assert refused.value.error == refusal
        return None


def run_until_everything_was_done(
    machine: Callable[[Counter[str]], Actors],
    everything: Set[str],
    *,
    rarely: Set[str] = frozenset(),
    examples: int = 20,
) -> None:
    """Run a machine, made for the counter it is given, until it did `everything`.

    What it may do `rarely` is not waited for, and nothing else is done.
    """
    ran: Counter[str] = Counter()

    for number in range(ROUNDS):

        @seed(number)
        def seeded() -> Actors:
            return machine(ran)

        run_state_machine_as_test(
            seeded,  # type: ignore[arg-type]
            settings=settings(
                max_examples=examples,
                stateful_step_count=40,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        if ran.keys() >= everything:
            break

    assert everything - ran.keys() == set()
    assert ran.keys() - everything - rarely == set()
