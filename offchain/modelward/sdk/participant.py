"""What owners, requesters and workers have in common: an account that the escrow owes money to."""

from __future__ import annotations

from modelward.chain.events import Withdrawn
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
