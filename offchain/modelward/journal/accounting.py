"""What the account has earned and spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby

from sqlalchemy import bindparam, func, or_, select, update

from modelward.chain.encoding import to_address
from modelward.journal import schema
from modelward.journal.encoding import decode_offer, requester_in
from modelward.journal.records import Balance, Outlay
from modelward.journal.session import Session
from modelward.journal.states import PENDING, State, TransactionState
from modelward.terms import GWEI, Address, RequestId

_jobs = schema.jobs.c
_transactions = schema.transactions.c
_carried = schema.carried.c


class Accounting(Session):
    """The worth of answers, and the cost of the transactions that carried them."""

    def balance(self) -> Balance:
        """What the account has earned and spent."""
        fees = (
            select(_jobs.offer, func.count())
            .where(
                self._here(_jobs),
                _jobs.state == State.FINAL,
                or_(_jobs.account.is_(None), _jobs.account == self.identity.account),
            )
            .group_by(_jobs.offer)
        )
        # In two parts, for their sum may be more than a database's integers hold.
        costs = select(
            func.sum(_transactions.spent // GWEI), func.sum(_transactions.spent % GWEI)
        ).where(self._ours(), _transactions.spent.is_not(None))
        earned: Counter[Address] = Counter()
        with self._reading() as connection:
            for data, count in connection.execute(fees):
                offer = decode_offer(data)
                earned[offer.token] += count * offer.worker_share
            whole, rest = connection.execute(costs).one()
        return Balance(dict(earned), int(whole or 0) * GWEI + int(rest or 0))

    def unaccounted(self, limit: int) -> list[bytes]:
        """Some of the account's mined transactions whose cost is not on record."""
        query = (
            select(_transactions.hash)
            .where(
                self._ours(),
                _transactions.state.in_((TransactionState.MINED, TransactionState.FAILED)),
                _transactions.spent.is_(None),
            )
            .limit(limit)
        )
        with self._reading() as connection:
            return list(connection.scalars(query))

    def record_spent(self, spent: Mapping[bytes, int]) -> None:
        """Note what mined transactions cost, in wei."""
        with self._writing() as connection:
            connection.execute(
                update(schema.transactions)
                .where(
                    _transactions.chain_id == self.identity.chain_id,
                    _transactions.hash == bindparam("which"),
                )
                .values(spent=bindparam("wei")),
                [{"which": each, "wei": wei} for each, wei in spent.items()],
            )

    def outlays(self, since: int) -> list[Outlay]:
        """What went into requests by transactions signed at `since` (Unix seconds) or later.

        Of the transactions of one nonce only one can be mined, so only the newest counts.
        """
        query = (
            select(
                _jobs.request_id,
                requester_in(_jobs.request).label("requester"),
                _jobs.refusal,
                _transactions.hash,
                _transactions.gas,
                _transactions.price,
                _transactions.signed_at,
            )
            .join(schema.carried, _carried.transaction_hash == _transactions.hash)
            .join(schema.jobs, _jobs.request_id == _carried.request_id)
            .where(
                self._ours(),
                self._here(_jobs),
                _transactions.signed_at >= since,
                _transactions.state.in_(
                    (*PENDING, TransactionState.MINED, TransactionState.FAILED)
                ),
            )
        )
        outlays: list[Outlay] = []
        with self._reading() as connection:
            rows = connection.execute(query.order_by(_transactions.hash))
            for _, together in groupby(rows, key=lambda row: row.hash):
                sharing = list(together)
                outlays += [
                    Outlay(
                        request_id=RequestId(row.request_id),
                        requester=to_address(row.requester),
                        at=row.signed_at,
                        wei=row.gas * row.price // len(sharing),
                        refuses=row.refusal is not None,
                    )
                    for row in sharing
                ]
        return outlays
