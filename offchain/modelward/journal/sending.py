"""The steps of signed transactions, and of the requests that they carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from modelward.journal import schema
from modelward.journal.answering import Answering
from modelward.journal.database import one_of, portions
from modelward.journal.leases import Lease
from modelward.journal.records import Mining, SignedAnswer
from modelward.journal.states import PENDING, SUPERSEDED, WITH_AN_ANSWER, State, TransactionState
from modelward.journal.transaction_reading import TransactionReading
from modelward.terms import RequestId

_jobs = schema.jobs.c
_transactions = schema.transactions.c
_carried = schema.carried.c


class Sending(Answering, TransactionReading):
    """computed -> signed -> sent -> mined, and back."""

    def record_signed(
        self,
        signed: SignedAnswer,
        request_ids: Sequence[RequestId],
        *,
        replaces: bytes | None = None,
    ) -> None:
        """computed -> signed: a transaction that carries the answers is on disk.

        It may be one that was dropped before: the same nonce and fees give the same bytes. With
        `replaces`, it takes the place of the pending transaction of that hash; requests that one
        carried and this one does not are computed again.

        Raises:
            ReorganisedTooDeep: the queue was halted.
            Superseded: a request ended, or another worker has it or the account.
        """
        self._record_signed({signed.hash: request_ids}, [signed], replaces)

    def record_all_signed(
        self, carrying: Sequence[tuple[SignedAnswer, Sequence[RequestId]]]
    ) -> None:
        """computed -> signed, for several transactions and the requests that each carries: all of
        them, or none.

        Raises what `record_signed` raises.
        """
        self._record_signed(
            {signed.hash: request_ids for signed, request_ids in carrying},
            [signed for signed, _ in carrying],
        )

    def _record_signed(
        self,
        carrying: Mapping[bytes, Sequence[RequestId]],
        signed: Sequence[SignedAnswer],
        replaces: bytes | None = None,
    ) -> None:
        with self._holding(Lease.SENDING) as connection:
            self._require_running(connection)
            if replaces is not None:
                self._move_transaction(connection, replaces, PENDING, TransactionState.REPLACED)
                self._release(
                    connection, _jobs.transaction_hash == replaces, "its transaction was replaced"
                )
            again = set(
                connection.scalars(
                    select(_transactions.hash).where(
                        _transactions.chain_id == self.identity.chain_id,
                        _transactions.hash.in_(carrying),
                        _transactions.state.in_(SUPERSEDED),
                    )
                )
            )
            for transaction_hash in again:
                self._move_transaction(
                    connection, transaction_hash, SUPERSEDED, TransactionState.SIGNED
                )
                connection.execute(
                    delete(schema.carried).where(
                        _carried.chain_id == self.identity.chain_id,
                        _carried.transaction_hash == transaction_hash,
                    )
                )
            self._insert_transactions(connection, [one for one in signed if one.hash not in again])
            rows = [
                {"which": request_id, "carrier": transaction_hash}
                for transaction_hash, request_ids in carrying.items()
                for request_id in request_ids
            ]
            if not rows:
                return
            carried = [each for request_ids in carrying.values() for each in request_ids]
            before = (State.COMPUTED, State.HELD)
            faults = self._faults(connection, carried, before, State.SIGNED)
            for fault in faults.values():
                raise fault
            connection.execute(
                update(schema.jobs)
                .where(self._here(_jobs), _jobs.request_id == bindparam("which"))
                .values(
                    state=State.SIGNED,
                    transaction_hash=bindparam("carrier"),
                    account=self.identity.account,
                    holder=self.instance,
                    held_until=0,
                    reason=None,
                ),
                rows,
            )
            connection.execute(
                insert(schema.carried).values(
                    chain_id=self.identity.chain_id,
                    transaction_hash=bindparam("carrier"),
                    request_id=bindparam("which"),
                ),
                rows,
            )

    def record_sent(self, *hashes: bytes) -> None:
        """signed -> sent: the network took these transactions."""
        with self._holding(Lease.SENDING) as connection:
            self._move_transactions(
                connection, hashes, (TransactionState.SIGNED,), TransactionState.SENT
            )
            connection.execute(
                update(schema.jobs)
                .where(
                    self._here(_jobs),
                    _jobs.transaction_hash.in_(hashes),
                    _jobs.state == State.SIGNED,
                )
                .values(state=State.SENT, reason=None)
            )

    def record_all_mined(self, mined: Sequence[Mining]) -> None:
        """signed or sent -> mined, for several transactions that passed no request over."""
        hashes = [each.transaction_hash for each in mined]
        with self._holding(Lease.SENDING) as connection:
            moved = connection.execute(
                update(schema.transactions)
                .where(
                    _transactions.chain_id == self.identity.chain_id,
                    _transactions.hash == bindparam("which"),
                    one_of(_transactions.state, (*PENDING, *SUPERSEDED)),
                )
                .values(
                    state=TransactionState.MINED,
                    block_number=bindparam("number"),
                    block_hash=bindparam("block"),
                    spent=bindparam("wei"),
                ),
                [
                    {
                        "which": each.transaction_hash,
                        "number": each.block_number,
                        "block": each.block_hash,
                        "wei": each.spent,
                    }
                    for each in mined
                ],
            )
            if moved.rowcount != len(mined):
                raise ValueError("not all of these transactions can become mined")
            for transaction_hash in self._with_rivals(connection, hashes):
                self._supersede_others(connection, transaction_hash)
            rows = [
                {"which": request_id, "carrier": transaction_hash}
                for transaction_hash, carried in self._carried_by_each(connection, hashes).items()
                for request_id in carried
            ]
            if rows:
                connection.execute(
                    update(schema.jobs)
                    .where(
                        self._here(_jobs),
                        _jobs.request_id == bindparam("which"),
                        one_of(_jobs.state, WITH_AN_ANSWER),
                    )
                    .values(state=State.MINED, transaction_hash=bindparam("carrier"), reason=None),
                    rows,
                )

    def record_mined(
        self,
        transaction_hash: bytes,
        block_number: int,
        block_hash: bytes,
        *,
        skipped: Mapping[RequestId, str] | None = None,
    ) -> None:
        """signed or sent -> mined: a block holds the transaction, and it succeeded.

        Requests it passed over are computed again, for the reason `skipped` gives. Whatever else
        was signed for its nonce can no longer be mined.
        """
        passed_over = skipped or {}
        with self._holding(Lease.SENDING) as connection:
            carried = self._use_nonce(
                connection, transaction_hash, TransactionState.MINED, block_number, block_hash
            )
            for request_id, reason in passed_over.items():
                self._release(
                    connection,
                    _jobs.request_id == request_id,
                    reason,
                    failures=_jobs.failures + 1,
                )
            connection.execute(
                update(schema.jobs)
                .where(
                    self._here(_jobs),
                    _jobs.request_id.in_(carried.difference(passed_over)),
                    _jobs.state.in_(WITH_AN_ANSWER),
                )
                .values(state=State.MINED, transaction_hash=transaction_hash, reason=None)
            )

    def record_unmined(self, transaction_hash: bytes) -> None:
        """mined -> sent: the block that held the transaction is gone."""
        with self._holding(Lease.SENDING) as connection:
            self._unmine(connection, transaction_hash)

    def record_failed(
        self, transaction_hash: bytes, block_number: int, block_hash: bytes, reason: str
    ) -> None:
        """signed or sent -> computed: the transaction was mined and reverted."""
        with self._holding(Lease.SENDING) as connection:
            carried = self._use_nonce(
                connection, transaction_hash, TransactionState.FAILED, block_number, block_hash
            )
            self._release(
                connection, _jobs.request_id.in_(carried), reason, failures=_jobs.failures + 1
            )

    def record_dropped(self, transaction_hash: bytes, reason: str) -> None:
        """signed or sent -> computed: the transaction can no longer be mined, or was given up."""
        with self._holding(Lease.SENDING) as connection:
            self._move_transaction(connection, transaction_hash, PENDING, TransactionState.DROPPED)
            self._release(connection, _jobs.transaction_hash == transaction_hash, reason)

    def _insert_transactions(
        self, connection: Connection, transactions: Sequence[SignedAnswer]
    ) -> None:
        rows = [
            {
                "chain_id": self.identity.chain_id,
                "hash": signed.hash,
                "account": self.identity.account,
                "nonce": signed.nonce,
                "raw": signed.raw,
                "gas": signed.gas,
                "max_fee": signed.max_fee,
                "tip": signed.tip,
                "state": TransactionState.SIGNED,
                "signed_at": signed.signed_at,
                "price": signed.price,
            }
            for signed in transactions
        ]
        if rows:
            connection.execute(insert(schema.transactions), rows)

    def _carried_by(self, connection: Connection, transaction_hash: bytes) -> set[RequestId]:
        return set(self._carried_by_each(connection, [transaction_hash])[transaction_hash])

    def _use_nonce(
        self,
        connection: Connection,
        transaction_hash: bytes,
        to: TransactionState,
        block_number: int,
        block_hash: bytes,
    ) -> set[RequestId]:
        """A block holds the transaction, and so none of its nonce's others; what it carries."""
        self._move_transaction(
            connection,
            transaction_hash,
            (*PENDING, *SUPERSEDED),
            to,
            block_number=block_number,
            block_hash=block_hash,
        )
        return self._supersede_others(connection, transaction_hash)

    def _with_rivals(self, connection: Connection, hashes: Sequence[bytes]) -> list[bytes]:
        """Those of these transactions whose nonce others in flight have, too."""
        rival = schema.transactions.alias()
        found: list[bytes] = []
        for some in portions(hashes):
            query = (
                select(_transactions.hash)
                .join(
                    rival,
                    and_(
                        rival.c.chain_id == _transactions.chain_id,
                        rival.c.account == _transactions.account,
                        rival.c.nonce == _transactions.nonce,
                        rival.c.hash != _transactions.hash,
                        rival.c.state.in_(PENDING),
                    ),
                )
                .where(self._ours(), _transactions.hash.in_(some))
                .distinct()
            )
            found += connection.scalars(query)
        return found

    def _supersede_others(self, connection: Connection, transaction_hash: bytes) -> set[RequestId]:
        carried = self._carried_by(connection, transaction_hash)
        nonce = select(_transactions.nonce).where(self._transaction(transaction_hash))
        others = and_(
            self._ours(),
            _transactions.nonce == nonce.scalar_subquery(),
            _transactions.hash != transaction_hash,
            _transactions.state.in_(PENDING),
        )
        for other in connection.scalars(select(_transactions.hash).where(others)).all():
            self._move_transaction(connection, other, PENDING, TransactionState.REPLACED)
            self._release(
                connection,
                and_(_jobs.transaction_hash == other, _jobs.request_id.not_in(carried)),
                "another transaction used its nonce",
            )
        return carried

    def _unmine(self, connection: Connection, transaction_hash: bytes) -> list[RequestId]:
        connection.execute(
            update(schema.transactions)
            .where(self._transaction(transaction_hash))
            .values(state=TransactionState.SENT, block_number=None, block_hash=None, spent=None)
        )
        carried = and_(
            self._here(_jobs),
            _jobs.transaction_hash == transaction_hash,
            _jobs.state == State.MINED,
        )
        ids = [RequestId(i) for i in connection.scalars(select(_jobs.request_id).where(carried))]
        connection.execute(update(schema.jobs).where(carried).values(state=State.SENT))
        return ids

    def _move_transaction(
        self,
        connection: Connection,
        transaction_hash: bytes,
        before: Sequence[TransactionState],
        to: TransactionState,
        **values: Any,
    ) -> None:
        moved = connection.execute(
            update(schema.transactions)
            .where(self._transaction(transaction_hash), _transactions.state.in_(before))
            .values(state=to, **values)
        )
        if moved.rowcount != 1:
            raise ValueError(f"no transaction 0x{transaction_hash.hex()} can become {to}")

    def _move_transactions(
        self,
        connection: Connection,
        hashes: Sequence[bytes],
        before: Sequence[TransactionState],
        to: TransactionState,
    ) -> None:
        moved = connection.execute(
            update(schema.transactions)
            .where(
                _transactions.chain_id == self.identity.chain_id,
                _transactions.hash.in_(hashes),
                _transactions.state.in_(before),
            )
            .values(state=to)
        )
        if moved.rowcount != len(hashes):
            raise ValueError(f"not all of these transactions can become {to}")
