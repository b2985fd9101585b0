"""Answers before the ExactReferee: judged by the program on chain, accepted, challenged, settled.

An answer is right if it has the one commitment to the program's output and, where it is in clear,
shows that output. Judging takes secret and input of the request, and nothing of the worker.
"""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.crypto import keccak

from modelward.chain.contracts import ExactReferee
from modelward.chain.encoding import to_hex
from modelward.chain.events import AnswerCorrected, AnswerPosted, BondReleased
from modelward.chain.fees import choose_fees
from modelward.chain.transactions import Call
from modelward.commitments import result_commitment
from modelward.errors import CheckFailed, HashMismatch, InvalidInput, InvalidTerms, NotAnswered
from modelward.models.exact.answers import run_program
from modelward.models.exact.program import Program, load_program
from modelward.sdk.connection import Connection
from modelward.sdk.history import RequestHistory, opened_input, read_history
from modelward.terms import (
    ZERO_HASH,
    ClearInput,
    ExactAnswer,
    Frame,
    RequestId,
    format_duration,
    frame_clear_output,
)


@dataclass(frozen=True)
class Judgement:
    """What the program on chain says of an answer under examination.

    `right_output` is canonical; None where the program does not take the input, so that no answer
    is right.
    """

    history: RequestHistory
    posted: AnswerPosted
    opened: ClearInput
    right_output: bytes | None
    right: bool

    @property
    def answer(self) -> ExactAnswer:
        """The answer judged."""
        return self.posted.answer


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a transaction would bring, and cost at the gas price expected now; in wei."""

    reward: int
    gas: int
    gas_price: int

    @property
    def cost(self) -> int:
        """What its transaction would cost."""
        return self.gas * self.gas_price

    @property
    def profit(self) -> int:
        """What would remain; below zero for a loss."""
        return self.reward - self.cost


def pending_answer(connection: Connection, history: RequestHistory) -> AnswerPosted:
    """The answer that the referee is examining. Raises `NotAnswered` if there is none."""
    referee = _referee(connection, history)
    if referee.pending_of(history.id) == ZERO_HASH:
        raise NotAnswered(f"No answer to the request {to_hex(history.id)} is being examined.")
    posted = connection.events(AnswerPosted, about=[history.id])
    if not posted:
        raise NotAnswered(
            f"The answer to the request {to_hex(history.id)} is not confirmed yet.",
            hint="Try again in a few blocks.",
        )
    return posted[-1]


def program_on_chain(connection: Connection, program_hash: bytes) -> Program:
    """The stored program of this hash.

    Raises `ContractRefused` where none is stored, `HashMismatch` where a node gives another one.
    """
    data = connection.deployment.programs.program_of(program_hash)
    if keccak(data) != program_hash:
        raise HashMismatch("The program", expected=program_hash, actual=keccak(data))
    return load_program(data)


def judge(connection: Connection, request: RequestId) -> Judgement:
    """Judge the answer under examination by running the program on chain.

    Raises `UnknownRequest`, `NotAnswered`, or what opening the input raises.
    """
    history = read_history(connection, request)
    posted = pending_answer(connection, history)
    return judged(connection, history, posted, opened_input(connection, history))


def judged(
    connection: Connection,
    history: RequestHistory,
    posted: AnswerPosted,
    opened: ClearInput,
    program: Program | None = None,
) -> Judgement:
    """Judge an answer whose parts are at hand; without `program` it is read from the chain."""
    if program is None:
        version_id = history.requested.offer.version_id
        terms = connection.deployment.referee.terms_of(version_id)
        program = program_on_chain(connection, terms.program_hash)
    try:
        output = run_program(program, opened.canonical_input)
    except InvalidInput:
        return Judgement(history, posted, opened, None, right=False)
    commitment = result_commitment(history.id, output, opened.secret)
    sealed = history.requested.request.reply_key != ZERO_HASH
    right = posted.answer.commitment == commitment and (
        sealed or _shows(posted.answer.output, output)
    )
    return Judgement(history, posted, opened, output, right)


def prospect(connection: Connection, judgement: Judgement) -> Prospect:
    """What challenging would bring, by a dry run of it.

    Raises `ContractRefused` where the chain would not have it: the answer is right, or the window
    has closed.
    """
    return _prospect(connection, _challenge(connection, judgement), judgement.answer.bond // 2)


def challenge(connection: Connection, judgement: Judgement) -> AnswerCorrected:
    """Have a wrong answer put right by the chain. This publishes secret and input for good.

    Raises `ContractRefused`, and changes nothing, where the answer is right, somebody else was
    first, or the window has closed.
    """
    receipt = connection.send(_challenge(connection, judgement))
    return connection.event_in(receipt, AnswerCorrected)


def accept(connection: Connection, request: RequestId) -> BondReleased:
    """Take a right answer at once, as its requester.

    Raises `CheckFailed` for a wrong one, which is not taken, or `ContractRefused`.
    """
    judgement = judge(connection, request)
    if not judgement.right:
        raise CheckFailed(
            "The program on chain does not give the answer that was posted; it was not accepted.",
            hint=f"`modelward request challenge {to_hex(request)}` has it put right.",
        )
    receipt = connection.send(_settling(connection, judgement.history, "accept", judgement.answer))
    return connection.event_in(receipt, BondReleased)


def settle(connection: Connection, request: RequestId) -> BondReleased:
    """Have an answer paid that nobody can challenge any more; anyone may.

    Raises `UnknownRequest`, `NotAnswered` or `ContractRefused`.
    """
    history = read_history(connection, request)
    posted = pending_answer(connection, history)
    left = posted.answer.settle_after - connection.now()
    if left >= 0:
        raise InvalidTerms(
            f"The answer can be challenged for another {format_duration(max(left, 1))}."
        )
    receipt = connection.send(_settling(connection, history, "settle", posted.answer))
    return connection.event_in(receipt, BondReleased)


def release(connection: Connection, posted: AnswerPosted) -> BondReleased | None:
    """Free the bond of an answer that nobody settled in time, for its worker; anyone may. None
    where that would cost more gas than the bond is worth, and nothing is sent.

    Raises `ContractRefused` while it can be settled, or once somebody did either.
    """
    call = connection.deployment.referee.release(posted.request_id, posted.answer)
    if _prospect(connection, call, posted.answer.bond).profit <= 0:
        return None
    return connection.event_in(connection.send(call), BondReleased)


def _prospect(connection: Connection, call: Call, reward: int) -> Prospect:
    gas = connection.sender.estimate(call)
    price = choose_fees(connection.chain).price(connection.chain.head().base_fee)
    return Prospect(reward, gas, price)


def _challenge(connection: Connection, judgement: Judgement) -> Call:
    requested = judgement.history.requested
    return connection.deployment.referee.challenge(
        requested.offer,
        requested.request,
        judgement.answer,
        judgement.opened.secret,
        judgement.opened.canonical_input,
    )


def _settling(
    connection: Connection, history: RequestHistory, verb: str, answer: ExactAnswer
) -> Call:
    referee, requested = connection.deployment.referee, history.requested
    settling = referee.accept if verb == "accept" else referee.settle
    return settling(requested.offer, requested.request, answer)


def _referee(connection: Connection, history: RequestHistory) -> ExactReferee:
    referee = connection.deployment.referee
    if history.requested.offer.verifier != referee.address:
        raise InvalidTerms(
            f"The request {to_hex(history.id)} is for a version whose answers are a worker's word;"
            " there is nothing to dispute."
        )
    return referee


def _shows(framed: bytes, output: bytes) -> bool:
    """Whether a framed answer is the output in clear, or names it by its hash."""
    by_reference = bytes([Frame.REFERENCE]) + keccak(output)
    return framed == frame_clear_output(output) or framed[:33] == by_reference
