"""Budgets of differential privacy: what an owner of data lets others spend, and what they spent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation

from modelward.chain.events import EpsilonSpent
from modelward.errors import InvalidTerms
from modelward.sdk.data import data_key
from modelward.sdk.participant import Participant
from modelward.terms import Address

UNITS = 10**6
"""An epsilon of one, in the ledger's unit."""


@dataclass(frozen=True, slots=True)
class PrivacyBudget:
    """What a grantee may spend in all on a data key, and has spent, in millionths of an epsilon."""

    owner: Address
    grantee: Address
    budget: int
    spent: int

    @property
    def left(self) -> int:
        """What it may still spend."""
        return max(self.budget - self.spent, 0)


class PrivacyBudgets(Participant):
    """Sets budgets as the owner of data, and spends them as somebody who trains on them."""

    def set(self, name: str, grantee: str, epsilon: object) -> PrivacyBudget:
        """Set what `grantee` may spend in all on the caller's data key `name`.

        Raises `UnknownAccount` or `InvalidTerms`.
        """
        budget = _units(epsilon, ROUND_FLOOR)
        receiver = self.connection.addresses.address(grantee)
        ledger = self.connection.deployment.privacy_ledger
        self.connection.send(ledger.set_budget(receiver, data_key(name), budget))
        return self.of(self.address, name, grantee)

    def of(self, owner: str, name: str, grantee: str) -> PrivacyBudget:
        """The budget of `grantee` on the data key `name` of `owner`. Raises `UnknownAccount`."""
        address, receiver = map(self.connection.addresses.address, (owner, grantee))
        ledger = self.connection.deployment.privacy_ledger
        return PrivacyBudget(
            address, receiver, *ledger.budget_of(address, receiver, data_key(name))
        )

    def spend(self, owner: str, name: str, epsilon: object, run: bytes) -> None:
        """Record a run of the caller's; `run` (32 bytes) names it.

        Raises `ContractRefused` when that would overspend, `UnknownAccount` or `InvalidTerms`.
        """
        spent = _units(epsilon, ROUND_CEILING)
        ledger = self.connection.deployment.privacy_ledger
        address = self.connection.addresses.address(owner)
        self.connection.send(ledger.spend(address, data_key(name), spent, run))

    def runs(self, owner: str, name: str) -> tuple[EpsilonSpent, ...]:
        """Every run on record for a data key, in the chain's order. Raises `UnknownAccount`."""
        address = self.connection.addresses.address(owner)
        return tuple(
            event
            for event in self.connection.events(EpsilonSpent)
            if (event.owner, event.data_key) == (address, data_key(name))
        )


def epsilon_in_words(units: int) -> str:
    """An amount of the ledger as people read it, such as 0.5."""
    return f"{(Decimal(units) / UNITS).normalize():f}"


def _units(epsilon: object, rounding: str) -> int:
    try:
        units = int((Decimal(str(epsilon)) * UNITS).to_integral_value(rounding))
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise InvalidTerms(f"{epsilon!r} is not an epsilon.") from error
    if not 0 <= units < 2**128:
        raise InvalidTerms(f"An epsilon cannot be {epsilon}.")
    return units
