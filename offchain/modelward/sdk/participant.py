"""What owners, requesters and workers have in common: an account that the escrow owes money to."""

from __future__ import annotations

from modelward.chain.events import BondWithdrawn, Withdrawn
from modelward.errors import InvalidTerms
from modelward.sdk.connection import Connection
from modelward.terms import Address


class Participant:
    """Acts with the account of a connection. Raises `UnknownAccount` when it has none."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.address: Address = connection.address

    def credit(self) -> int:
        """What the escrow owes the account, in wei."""
        return self.connection.escrow.credit_of(self.address)

    def withdraw(self, to: str | None = None) -> Withdrawn:
        """Take out all that is owed, to the account itself or to another one.

        Raises `ContractRefused` when nothing is owed, or when the receiver does not take it; it is
        still owed then.
        """
        receiver = self.connection.addresses.address(to) if to else self.address
        receipt = self.connection.send(self.connection.escrow.withdraw(receiver))
        return self.connection.event_in(receipt, Withdrawn)

    def free_bond(self) -> int:
        """What the account has at the referee of exact models and has not staked, in wei."""
        return self.connection.deployment.referee.balance_of(self.address)

    def deposit_bond(self, amount: int) -> int:
        """Give the referee `amount` wei to stake; what is free there now comes back.

        Raises `InvalidTerms` for no amount, `InsufficientFunds` or `NotDeployed`.
        """
        if amount <= 0:
            raise InvalidTerms("A deposit is more than nothing.")
        self.connection.send(self.connection.deployment.referee.deposit(amount))
        return self.free_bond()

    def withdraw_bond(self, amount: int | None = None, to: str | None = None) -> BondWithdrawn:
        """Take `amount` wei, or all that is free, out of the referee, to the account or another.

        Raises `InvalidTerms` when nothing is free, `ContractRefused` when that is less than
        `amount` or the receiver does not take it; it stays there then.
        """
        wanted = self.free_bond() if amount is None else amount
        if wanted <= 0:
            raise InvalidTerms("There is nothing at the referee that is not staked.")
        receiver = self.connection.addresses.address(to) if to else self.address
        call = self.connection.deployment.referee.withdraw(wanted, receiver)
        return self.connection.event_in(self.connection.send(call), BondWithdrawn)
