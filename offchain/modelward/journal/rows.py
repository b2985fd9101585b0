"""Rows of the journal's tables, to and from its records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from modelward.journal.encoding import decode_offer, decode_request
from modelward.journal.records import Answer, Fulfilment, Job, Placement, Refusal, SignedAnswer
from modelward.journal.states import State, TransactionState
from modelward.terms import RefusalReason, RequestId


def read_job(row: Row[Any]) -> Job:
    """The job that a whole row of `jobs` tells of."""
    answer: Answer | None = None
    if row.commitment is not None:
        answer = Fulfilment(
            output=row.output, commitment=row.commitment, result_salt=row.result_salt
        )
    elif row.refusal is not None:
        answer = Refusal(reason=RefusalReason(row.refusal), detail=row.refusal_detail)
    return Job(
        placement=Placement(
            request_id=RequestId(row.request_id),
            offer=decode_offer(row.offer),
            request=decode_request(row.request),
            input=row.input,
            block_number=row.block_number,
            block_hash=row.block_hash,
        ),
        state=State(row.state),
        reason=row.reason,
        on_chain=row.on_chain,
        answer=answer,
        transaction_hash=row.transaction_hash,
        failures=row.failures,
        attempts=row.attempts,
        settle_after=row.settle_after,
        bond=int(row.bond or 0),
    )


def read_transaction(row: Row[Any]) -> SignedAnswer:
    """The transaction that a whole row of `transactions` tells of."""
    return SignedAnswer(
        hash=row.hash,
        raw=row.raw,
        nonce=row.nonce,
        gas=row.gas,
        max_fee=row.max_fee,
        tip=row.tip,
        state=TransactionState(row.state),
        block_number=row.block_number,
        block_hash=row.block_hash,
        signed_at=row.signed_at,
        price=row.price,
    )


def answer_values(answer: Answer) -> dict[str, Any]:
    """The columns of `jobs` that an answer fills."""
    if isinstance(answer, Fulfilment):
        return {
            "output": answer.output,
            "commitment": answer.commitment,
            "result_salt": answer.result_salt,
        }
    return {"refusal": int(answer.reason), "refusal_detail": storable(answer.detail)}


def storable(words: str | None) -> str | None:
    """Words of whatever origin, as every database takes them."""
    if words is None:
        return None
    return (
        words.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
