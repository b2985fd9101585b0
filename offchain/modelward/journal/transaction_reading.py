"""What the journal knows of the account's transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, func, literal, select

from modelward.journal import schema
from modelward.journal.database import portions
from modelward.journal.records import SignedAnswer
from modelward.journal.rows import read_transaction
from modelward.journal.session import Session
from modelward.journal.states import PENDING, State, TransactionState
from modelward.terms import RequestId

_jobs = schema.jobs.c
_transactions = schema.transactions.c
_carried = schema.carried.c


class TransactionReading(Session):
    """Questions about signed transactions. Nothing is written."""

    def transaction(self, transaction_hash: bytes) -> SignedAnswer | None:
        """A signed transaction by its hash."""
        query = select(schema.transactions).where(self._transaction(transaction_hash))
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else read_transaction(row)

    def transactions(self, *states: TransactionState) -> list[SignedAnswer]:
        """The account's transactions in these states, in the order of their nonces."""
        return self._transactions(_transactions.state.in_(states))

    def transactions_behind(self, state: State) -> list[SignedAnswer]:
        """The transactions that requests in this state rely on, without their bytes."""
        behind = select(_jobs.transaction_hash).where(self._here(_jobs), _jobs.state == state)
        return self._transactions(_transactions.hash.in_(behind), whole=False)

    def count_in_flight(self) -> Counter[TransactionState]:
        """How many of the account's transactions in flight are in which state."""
        query = (
            select(_transactions.state, func.count())
            .where(self._ours(), _transactions.state.in_(PENDING))
            .group_by(_transactions.state)
        )
        with self._reading() as connection:
            return Counter({TransactionState(s): n for s, n in connection.execute(query)})

    def transactions_of_nonce(self, nonce: int) -> list[SignedAnswer]:
        """Everything the account ever signed for a nonce: at most one of them is ever mined."""
        return self._transactions(_transactions.nonce == nonce)

    def transactions_from_nonce(self, nonce: int) -> list[SignedAnswer]:
        """Everything the account ever signed for that nonce or a higher one."""
        return self._transactions(_transactions.nonce >= nonce)

    def bids_in_flight(self) -> list[SignedAnswer]:
        """As `transactions` gives those in flight, without the bytes, which are long."""
        return self._transactions(_transactions.state.in_(PENDING), whole=False)

    def carried_by(self, transaction_hash: bytes) -> frozenset[RequestId]:
        """The requests a transaction carries, whatever else carries them by now."""
        return self.carried_by_each([transaction_hash])[transaction_hash]

    def carried_by_each(self, hashes: Sequence[bytes]) -> dict[bytes, frozenset[RequestId]]:
        """The requests that each of these transactions carries."""
        with self._reading() as connection:
            return self._carried_by_each(connection, hashes)

    def _transactions(
        self, which: ColumnElement[bool], *, whole: bool = True
    ) -> list[SignedAnswer]:
        columns = [
            literal(b"").label("raw") if column is _transactions.raw and not whole else column
            for column in _transactions
        ]
        query = (
            select(*columns)
            .where(self._ours(), which)
            .order_by(_transactions.nonce, _transactions.max_fee)
        )
        with self._reading() as connection:
            return [read_transaction(row) for row in connection.execute(query)]

    def _carried_by_each(
        self, connection: Connection, hashes: Sequence[bytes]
    ) -> dict[bytes, frozenset[RequestId]]:
        carried: dict[bytes, set[RequestId]] = {each: set() for each in hashes}
        for some in portions(hashes):
            query = select(_carried.transaction_hash, _carried.request_id).where(
                _carried.chain_id == self.identity.chain_id, _carried.transaction_hash.in_(some)
            )
            for row in connection.execute(query):
                carried[row.transaction_hash].add(RequestId(row.request_id))
        return {each: frozenset(request_ids) for each, request_ids in carried.items()}
