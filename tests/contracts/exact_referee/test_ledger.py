"""Escrow and referee against one ledger kept by hand, over any sequence of calls.

After every step: what each of the two holds is what it owes, what is open or staked with it and
what was forced on it, to the wei; whom and what the step concerned is as the ledger says. At the
end of every run time passes and nobody answers any more: anyone refunds by id what is open, every
bond comes free, everybody takes out all there is, and both are left with what was forced on them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, multiple, rule

from modelward import commitments
from modelward.terms import (
    ETH,
    GWEI,
    ZERO_ADDRESS,
    ZERO_HASH,
    Address,
    ExactAnswer,
    ExactTerms,
    GrantTerms,
    ModelTerms,
    Request,
    RequestId,
    RequestState,
    RequestStatus,
    Right,
    frame_clear_output,
)
from tests.contracts.exact_referee.conftest import DAY, HOUR, PROGRAM, SEALED, WRONG
from tests.contracts.ledger import Actors, run_until_everything_was_done
from tests.contracts.puppet import Puppet
from tests.contracts.specimens import NAME, hash_of, request_by, version_of
from tests.exact.canonical import canonical_input, canonical_output

COIN = "tests/solidity/actors/Coin.sol"
BOND = 10_001
"""Odd, so that one wei cannot be halved."""
EXACT = ExactTerms(PROGRAM.hash, HOUR, BOND)
FUNDS = 10**30
OPEN, HELD = RequestStatus.OPEN, RequestStatus.HELD
IN_A_TOKEN = {OPEN: RequestStatus.OPEN_ERC20, HELD: RequestStatus.HELD_ERC20}
WORKERS = st.sampled_from(["worker", "keeper"])
ANYONE = st.sampled_from(["worker", "keeper", "requester", "outsider"])
NO_ANSWER = ExactAnswer(ZERO_ADDRESS, 1, BOND, WRONG, ZERO_HASH, SEALED)


@dataclass
class Entry:
    """A request in the ledger; `answer` is the last one posted, `staked` while it is examined."""

    terms: Request
    number: int
    secret: bytes
    status: RequestStatus = OPEN
    commitment: bytes = bytes(32)
    answer: ExactAnswer = NO_ANSWER
    right: bool = False
    staked: bool = False

    @property
    def input(self) -> bytes:
        return canonical_input(PROGRAM, [self.number])

    @property
    def output(self) -> bytes:
        return canonical_output(PROGRAM, [self.number])

    @property
    def until(self) -> int:
        """The last second in which the request can be answered, or its answer be paid."""
        return self.answer.settle_after + DAY if self.status is HELD else self.terms.deadline


class Disputes(Actors):
    """An exact model of one owner, two requesters, two workers, and somebody who may challenge."""

    placed = Bundle("placed")

    def __init__(self, deployed_chain: Any, ran: Counter[str], coin: Any = None) -> None:
        super().__init__(deployed_chain, ran)
        self.referee = deployed_chain.deployment.referee
        self.programs = deployed_chain.deployment.programs
        self.coin = Puppet.deploy(self.people["outsider"], coin) if coin else None
        self.token = self.coin.address if self.coin else ETH
        self.requests: dict[RequestId, Entry] = {}
        self.credit: Counter[Address] = Counter()
        self.bonds: Counter[Address] = Counter()
        self.forced: Counter[Address] = Counter()
        self.concerned: set[Address | RequestId] = set()
        self.labels = count()

    @initialize(target=placed, fee=st.integers(1, 20), share=st.integers(0, 10_000))
    def open_the_market(self, fee, share):
        """With a request that is open, and two that are answered: rightly and wrongly."""
        owner = self.address("owner")
        model_id = commitments.model_id(owner, NAME)
        version = version_of(
            model_id,
            owner,
            program_hash=EXACT.program_hash,
            verifier=self.referee.address,
            verifier_settings=EXACT.settings,
        )
        terms = ModelTerms(fee * GWEI, payee_bps=share, max_delay=DAY, token=self.token)
        self.mine("owner", self.registry.register_model(NAME, terms))
        self.mine("owner", self.registry.publish_version(version))
        self.mine("owner", self.programs.store(PROGRAM.to_bytes()))
        self.mine("outsider", self.referee.admit(version))
        infer = GrantTerms(Right.INFER, meter=self.escrow.address)
        for requester in ("requester", "sponsor"):
            self.mine("owner", self.data_share.grant(self.address(requester), model_id, infer))
            if self.coin:
                self.mine("owner", self.coin.call("mint", self.address(requester), FUNDS))
                self.mine(requester, self.coin.call("approve", self.escrow.address, FUNDS))
        for worker in ("worker", "keeper"):
            serve = self.data_share.grant(self.address(worker), model_id, GrantTerms(Right.SERVE))
            self.mine("owner", serve)
            self.mine(worker, self.referee.deposit(2 * BOND))
            self.stake(self.address(worker), 2 * BOND)
        self.offer = self.registry.quote(model_id, commitments.version_id(version)).offer
        requests = [self.ask("requester", number, HOUR, sealed=False) for number in range(3)]
        for request_id, truth in zip(requests, ("right", "wrong"), strict=False):
            self.post(request_id, "worker", truth)
        return multiple(*requests)

    # --- what can be done ------------------------------------------------------------------------

    @rule(
        target=placed,
        who=st.sampled_from(["requester", "sponsor"]),
        number=st.integers(0, 2**32 - 1),
        delay=st.integers(2, DAY),
        sealed=st.booleans(),
    )
    def request(self, who, number, delay, sealed):
        return self.ask(who, number, delay, sealed=sealed)

    def ask(self, who: str, number: int, delay: int, *, sealed: bool) -> RequestId:
        entry = Entry(
            request_by(self.address(who), self.now + delay),
            number,
            hash_of(f"secret {next(self.labels)}"),
        )
        entry.terms = replace(
            entry.terms,
            input_hash=commitments.input_hash(entry.secret, entry.input),
            reply_key=hash_of("reply key") if sealed else ZERO_HASH,
        )
        model_id, version_id = self.offer.model_id, self.offer.version_id
        value = 0 if self.coin else self.offer.fee
        call = self.escrow.request(model_id, version_id, entry.terms, b"", value=value)
        self.attempt("request", who, call)
        request_id = commitments.request_id(
            self.offer, entry.terms, chain_id=self.chain.chain_id, escrow=self.escrow.address
        )
        self.requests[request_id] = entry
        self.concerned.add(request_id)
        return request_id

    @rule(who=ANYONE, bonds=st.integers(0, 3))
    def deposit(self, who, bonds):
        self.attempt("deposit", who, self.referee.deposit(bonds * BOND))
        self.stake(self.address(who), bonds * BOND)

    @rule(who=ANYONE, part=st.sampled_from([0, 1, 2]))
    def withdraw_bond(self, who, part):
        """Nothing, all that is free, or a wei more."""
        address = self.address(who)
        amount = part and self.bonds[address] + part - 1
        call = self.referee.withdraw(amount, self.address("evaluator"))
        refusal = "BalanceTooLow" if amount > self.bonds[address] else ""
        if self.attempt("withdraw_bond", who, call, refusal):
            self.stake(address, -amount)

    @rule(
        request_id=placed,
        who=st.sampled_from(["worker", "keeper", "worker", "keeper", "outsider"]),
        truth=st.sampled_from(["right", "wrong", "misshown"]),
    )
    def answer(self, request_id, who, truth):
        self.post(request_id, who, truth)

    def post(self, request_id: RequestId, who: str, truth: str) -> None:
        entry, address = self.requests[request_id], self.address(who)
        commitment = commitments.result_commitment(request_id, entry.output, entry.secret)
        if truth == "wrong":
            commitment = WRONG
        sealed = entry.terms.reply_key != ZERO_HASH
        output = frame_clear_output(entry.output) if truth == "right" and not sealed else SEALED
        refusal = self.refusal(entry, who)
        if self.bonds[address] < BOND:
            refusal = "BalanceTooLow"
        settle_after = self.now + EXACT.window
        call = self.referee.answer(self.offer, entry.terms, commitment, output)
        if self.attempt("answer", who, call, refusal):
            entry.status, entry.staked = HELD, True
            entry.right = truth == "right" or (truth == "misshown" and sealed)
            entry.answer = ExactAnswer(address, settle_after, BOND, commitment, ZERO_HASH, output)
            self.stake(address, -BOND)
            self.concerned.add(request_id)

    @rule(request_id=placed, who=WORKERS)
    def refuse(self, request_id, who):
        entry = self.requests[request_id]
        call = self.referee.refuse(self.offer, entry.terms, 0)
        if self.attempt("refuse", who, call, self.refusal(entry, who)):
            self.give_back(request_id, RequestStatus.CORRECTED, self.referee.refusal())

    @rule(request_id=placed, who=ANYONE)
    def settle(self, request_id, who):
        entry = self.requests[request_id]
        call = self.referee.settle(self.offer, entry.terms, entry.answer)
        early = self.now <= entry.answer.settle_after
        if self.attempt("settle", who, call, "WindowOpen" if early else self.unpayable(entry)):
            self.pay(request_id)

    @rule(request_id=placed, who=st.sampled_from(["requester", "sponsor", "worker"]))
    def accept(self, request_id, who):
        entry = self.requests[request_id]
        call = self.referee.accept(self.offer, entry.terms, entry.answer)
        stranger = self.address(who) != entry.terms.requester
        if self.attempt("accept", who, call, "NotRequester" if stranger else self.unpayable(entry)):
            self.pay(request_id)

    @rule(request_id=placed, who=ANYONE, knows=st.sampled_from([True, True, True, False]))
    def challenge(self, request_id, who, knows):
        """Anyone may, the worker itself too; who does not know the secret cannot."""
        entry = self.requests[request_id]
        refusal = ""
        if not entry.staked:
            refusal = "UnknownAnswer"
        elif self.now > entry.answer.settle_after:
            refusal = "WindowClosed"
        elif not knows:
            refusal = "InputMismatch"
        elif entry.right:
            refusal = "AnswerIsRight"
        secret = entry.secret if knows else WRONG
        call = self.referee.challenge(self.offer, entry.terms, entry.answer, secret, entry.input)
        if self.attempt("challenge", who, call, refusal):
            entry.staked = False
            self.stake(entry.terms.payer, BOND - BOND // 2)
            self.stake(self.address(who), BOND // 2)
            right = commitments.result_commitment(request_id, entry.output, entry.secret)
            self.give_back(request_id, RequestStatus.CORRECTED, right)

    @rule(request_id=placed, who=ANYONE)
    def release(self, request_id, who):
        entry = self.requests[request_id]
        refusal = "" if entry.staked else "UnknownAnswer"
        if entry.staked and self.now <= entry.answer.settle_after + DAY:
            refusal = "NotLapsed"
        call = self.referee.release(request_id, entry.answer)
        if self.attempt("release", who, call, refusal):
            self.free(request_id)

    @rule(request_id=placed, who=ANYONE)
    def refund(self, request_id, who):
        entry = self.requests[request_id]
        refusal = "" if entry.status in (OPEN, HELD) else "NotOpen"
        if not refusal and self.now <= entry.until:
            refusal = "DeadlineNotPassed"
        if self.attempt("refund", who, self.escrow.refund(request_id), refusal):
            self.give_back(request_id, RequestStatus.REFUNDED)

    @rule(who=st.sampled_from(["owner", "requester", "sponsor", "worker", "keeper"]))
    def withdraw(self, who):
        address = self.address(who)
        refusal = "" if self.credit[address] else "NothingToWithdraw"
        call = self.escrow.withdraw(self.address("evaluator"), self.token)
        if self.attempt("withdraw", who, call, refusal):
            self.owe(address, -self.credit[address])

    @rule(
        request_id=placed,
        end=st.sampled_from(["deadline", "settle_after", "until"]),
        offset=st.integers(0, 1),
    )
    def wait_for(self, request_id, end, offset):
        """So that the next transaction is mined in a term's last second, or in the one after."""
        entry = self.requests[request_id]
        ends = {
            "deadline": entry.terms.deadline,
            "settle_after": entry.answer.settle_after,
            "until": entry.until,
        }
        if self.wait(ends[end] + offset - 1):
            self.ran[f"wait_for: {end}"] += 1

    @rule(amount=st.integers(1, 10**10), on=st.sampled_from(["escrow", "referee"]))
    def force_money(self, amount, on):
        address = getattr(self, on).address
        if on == "escrow" and self.coin:
            self.mine("outsider", self.coin.call("mint", address, amount))
        else:
            balance = self.chain.balance(address)
            self.chain.rpc("anvil_setBalance", [address, hex(balance + amount)])
        self.forced[address] += amount
        self.ran[f"force_money: {on}"] += 1

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def both_hold_what_they_owe(self):
        entries = self.requests.values()
        fees = self.offer.fee * sum(entry.status in (OPEN, HELD) for entry in entries)
        staked = BOND * sum(entry.staked for entry in entries)
        escrow, referee = self.escrow.address, self.referee.address
        owed = sum(self.credit.values()) + self.forced[escrow]
        assert self.balance(escrow) == fees + owed
        bonds = sum(self.bonds.values()) + self.forced[referee]
        assert self.chain.balance(referee) == staked + bonds

    @invariant()
    def whom_and_what_the_step_concerned_is_as_the_ledger_says(self):
        while self.concerned:
            self.check(self.concerned.pop())

    def teardown(self) -> None:
        try:
            self.concerned.update(self.requests, map(self.address, self.people))
            self.whom_and_what_the_step_concerned_is_as_the_ledger_says()
            if self.requests:
                self.leave()
        finally:
            self.devchain.revert(self.snapshot)

    def leave(self) -> None:
        """Everybody gets out with all that is theirs, though the other side keeps silent."""
        self.wait(max(max(e.until, e.answer.settle_after + DAY) for e in self.requests.values()))
        for request_id, entry in self.requests.items():
            if entry.status in (OPEN, HELD):
                self.mine("outsider", self.escrow.refund(request_id))
                self.give_back(request_id, RequestStatus.REFUNDED)
            if entry.staked:
                self.mine("outsider", self.referee.release(request_id, entry.answer))
                self.free(request_id)
        for who in self.people:
            address = self.address(who)
            if self.credit[address]:
                self.mine(who, self.escrow.withdraw(self.address("evaluator"), self.token))
                self.owe(address, -self.credit[address])
            if self.bonds[address]:
                amount = self.bonds[address]
                self.mine(who, self.referee.withdraw(amount, self.address("evaluator")))
                self.stake(address, -amount)
        self.whom_and_what_the_step_concerned_is_as_the_ledger_says()
        for holding, balance in (
            (self.escrow.address, self.balance(self.escrow.address)),
            (self.referee.address, self.chain.balance(self.referee.address)),
        ):
            assert balance == self.forced[holding]

    def check(self, concerned: Address | RequestId) -> None:
        """Compare an account, or a request, with the ledger."""
        if isinstance(concerned, str):
            assert self.escrow.credit_of(concerned, self.token) == self.credit[concerned]
            assert self.referee.balance_of(concerned) == self.bonds[concerned]
            return
        entry = self.requests[concerned]
        is_open = entry.status in (OPEN, HELD)
        assert self.escrow.request_of(concerned) == RequestState(
            status=IN_A_TOKEN.get(entry.status, entry.status) if self.coin else entry.status,
            payer=entry.terms.payer if is_open else ZERO_ADDRESS,
            token=self.token if is_open else ETH,
            fee=self.offer.fee if is_open else 0,
            deadline=entry.until if is_open else 0,
            commitment=entry.commitment[:31],
        )
        pending = commitments.exact_answer_hash(entry.answer) if entry.staked else ZERO_HASH
        assert self.referee.pending_of(concerned) == pending

    # --- the ledger ------------------------------------------------------------------------------

    def balance(self, address: Address) -> int:
        """What it holds in the market's currency."""
        if self.coin:
            return int(self.coin.view("balanceOf", address))
        return self.chain.balance(address)

    def refusal(self, entry: Entry, worker: str) -> str:
        """Why `worker` may not answer that request now; nothing if it may."""
        if entry.status is not OPEN:
            return "NotOpen"
        if self.now > entry.terms.deadline:
            return "DeadlinePassed"
        return "" if worker in ("worker", "keeper") else "AccessDenied"

    def unpayable(self, entry: Entry) -> str:
        """Why the answer cannot be paid now; nothing if it can."""
        if not entry.staked:
            return "UnknownAnswer"
        if entry.status is not HELD:
            return "NotOpen"
        return "DeadlinePassed" if self.now > entry.until else ""

    def pay(self, request_id: RequestId) -> None:
        entry = self.requests[request_id]
        self.free(request_id)
        entry.status, entry.commitment = RequestStatus.FULFILLED, entry.answer.commitment
        self.owe(self.offer.payee, self.offer.payee_share)
        self.owe(entry.answer.worker, self.offer.worker_share)

    def free(self, request_id: RequestId) -> None:
        entry = self.requests[request_id]
        entry.staked = False
        self.stake(entry.answer.worker, BOND)
        self.concerned.add(request_id)

    def give_back(
        self, request_id: RequestId, status: RequestStatus, commitment: bytes = bytes(32)
    ) -> None:
        entry = self.requests[request_id]
        entry.status, entry.commitment = status, commitment
        self.concerned.add(request_id)
        self.owe(entry.terms.payer, self.offer.fee)

    def owe(self, address: Address, amount: int) -> None:
        self.credit[address] += amount
        self.concerned.add(address)

    def stake(self, address: Address, amount: int) -> None:
        self.bonds[address] += amount
        self.concerned.add(address)


EVERYTHING_DONE = {
    "request: done",
    "deposit: done",
    "withdraw_bond: done",
    "withdraw_bond: BalanceTooLow",
    "answer: done",
    "answer: BalanceTooLow",
    "answer: NotOpen",
    "refuse: done",
    "refuse: NotOpen",
    "settle: done",
    "settle: WindowOpen",
    "settle: UnknownAnswer",
    "accept: done",
    "accept: NotRequester",
    "accept: UnknownAnswer",
    "challenge: done",
    "challenge: UnknownAnswer",
    "challenge: WindowClosed",
    "challenge: InputMismatch",
    "challenge: AnswerIsRight",
    "release: done",
    "release: UnknownAnswer",
    "release: NotLapsed",
    "refund: done",
    "refund: NotOpen",
    "refund: DeadlineNotPassed",
    "withdraw: done",
    "withdraw: NothingToWithdraw",
    "wait_for: deadline",
    "wait_for: settle_after",
    "wait_for: until",
    "force_money: escrow",
    "force_money: referee",
}
RARELY_DONE = {
    "answer: AccessDenied",
    "answer: DeadlinePassed",
    "refuse: DeadlinePassed",
    "settle: DeadlinePassed",
    "settle: NotOpen",
    "accept: DeadlinePassed",
    "accept: NotOpen",
}


def test_the_ledger_agrees_after_every_step_and_everybody_gets_out(deployed_chain):
    run_until_everything_was_done(
        lambda ran: Disputes(deployed_chain, ran), EVERYTHING_DONE, rarely=RARELY_DONE, examples=10
    )


def test_it_agrees_where_the_fee_is_in_a_token(deployed_chain, compile_solidity):
    coin = compile_solidity(COIN)["Coin"]
    run_until_everything_was_done(
        lambda ran: Disputes(deployed_chain, ran, coin),
        set(),
        rarely=EVERYTHING_DONE | RARELY_DONE,
        examples=10,
    )
