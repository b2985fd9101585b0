"""The escrow against a ledger kept by hand, over any sequence of calls.

After every step: what the escrow holds is what is open, what is owed and what was forced on it, to
the wei; every account is owed what the ledger says; every request is as the ledger says, so that
none ends twice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    initialize,
    invariant,
    multiple,
    rule,
)

from modelward import commitments
from modelward.terms import (
    ETH,
    GWEI,
    ZERO_ADDRESS,
    Address,
    Answer,
    GrantTerms,
    ModelTerms,
    Offer,
    Outcome,
    Request,
    RequestId,
    RequestState,
    RequestStatus,
    Right,
)
from tests.contracts.inference_escrow.answers import OUTPUT
from tests.contracts.ledger import Actors, run_until_everything_was_done
from tests.contracts.said import said
from tests.contracts.specimens import NAME, hash_of, request_by, version_of

MAX_DELAY = 300
OPEN = RequestStatus.OPEN


@dataclass
class Entry:
    """A request in the ledger."""

    offer: Offer
    terms: Request
    status: RequestStatus = OPEN
    commitment: bytes = bytes(32)


class Ledger(Actors):
    """One model of one owner, two requesters, two workers, and a payee that comes and goes."""

    placed = Bundle("placed")

    def __init__(self, deployed_chain: Any, ran: Counter[str]) -> None:
        super().__init__(deployed_chain, ran)
        self.serving: set[str] = set()
        self.requests: dict[RequestId, Entry] = {}
        self.owed: Counter[Address] = Counter()
        self.forced = 0
        self.concerned: set[Address | RequestId] = set()
        self.labels = count()

    @initialize(fee=st.integers(1, 20), share=st.integers(0, 10_000))
    def open_the_market(self, fee, share):
        owner = self.address("owner")
        self.model_id = commitments.model_id(owner, NAME)
        version = version_of(self.model_id, owner)
        self.version_id = commitments.version_id(version)
        terms = ModelTerms(fee * GWEI, payee_bps=share, max_delay=MAX_DELAY)
        self.mine("owner", self.registry.register_model(NAME, terms))
        self.mine("owner", self.registry.publish_version(version))
        infer = GrantTerms(Right.INFER, meter=self.escrow.address)
        for requester in ("requester", "sponsor"):
            grant = self.data_share.grant(self.address(requester), self.model_id, infer)
            self.mine("owner", grant)
        for worker in ("worker", "keeper"):
            self.hire(worker)
        self.quote()

    # --- what can be done ------------------------------------------------------------------------

    @rule(
        target=placed,
        who=st.sampled_from(["requester", "sponsor"]),
        delay=st.integers(2, MAX_DELAY),
        named=st.sampled_from(["", "worker"]),
        too_much=st.sampled_from([0, 0, 0, 1]),
    )
    def request(self, who, delay, named, too_much):
        terms = self.ask(who, delay, named)
        call = self.escrow.request(
            self.model_id, self.version_id, terms, b"", value=self.offer.fee + too_much
        )
        if not self.attempt("request", who, call, "WrongFee" if too_much else ""):
            return multiple()
        return self.record(terms)

    @rule(target=placed, number=st.integers(1, 4), delay=st.integers(2, MAX_DELAY))
    def request_many(self, number, delay):
        several = [self.ask("requester", delay) for _ in range(number)]
        call = self.escrow.request_many(
            self.model_id,
            self.version_id,
            several,
            [b""] * number,
            value=number * self.offer.fee,
        )
        self.attempt("request_many", "requester", call)
        return multiple(*(self.record(terms) for terms in several))

    @rule(request_id=placed, worker=st.sampled_from(["worker", "keeper", "outsider"]))
    def fulfil(self, request_id, worker):
        entry = self.requests[request_id]
        commitment = hash_of(f"commitment {next(self.labels)}")
        call = self.escrow.fulfil(entry.offer, entry.terms, commitment, OUTPUT)
        if self.attempt("fulfil", worker, call, self.refusal(entry, worker)):
            self.pay(request_id, worker, commitment)

    @rule(
        request_id=placed,
        worker=st.sampled_from(["worker", "keeper", "outsider"]),
        reason=st.integers(0, 255),
    )
    def refuse(self, request_id, worker, reason):
        entry = self.requests[request_id]
        call = self.escrow.refuse(entry.offer, entry.terms, reason)
        if self.attempt("refuse", worker, call, self.refusal(entry, worker)):
            self.give_back(request_id, RequestStatus.REFUSED)

    @rule(request_ids=st.lists(placed, min_size=1, max_size=5))
    def fulfil_many(self, request_ids):
        """Under the offer of the first; the same request may be among them twice."""
        offer = self.requests[request_ids[0]].offer
        commitment = hash_of(f"commitment {next(self.labels)}")
        answers = [Answer(self.requests[each].terms, commitment, OUTPUT) for each in request_ids]
        refusal = "" if "worker" in self.serving else "AccessDenied"
        call = self.escrow.fulfil_many(offer, answers)
        receipt = self.attempt("fulfil_many", "worker", call, refusal)
        if receipt is None:
            return
        for request_id, (_, fields) in zip(request_ids, said(receipt, self.escrow), strict=True):
            entry = self.requests[request_id]
            expected = self.outcome(entry, "worker")
            if entry.offer != offer:
                expected = Outcome.NOT_OPEN
            assert fields.get("outcome", Outcome.FULFILLED) == expected
            if expected == Outcome.FULFILLED:
                self.pay(request_id, "worker", commitment)
            self.ran[f"fulfil_many: {expected.name}"] += 1

    @rule(request_id=placed, who=st.sampled_from(["outsider", "requester", "owner"]))
    def refund(self, request_id, who):
        entry = self.requests[request_id]
        refusal = ""
        if entry.status != OPEN:
            refusal = "NotOpen"
        elif self.now <= entry.terms.deadline:
            refusal = "DeadlineNotPassed"
        if self.attempt("refund", who, self.escrow.refund(request_id), refusal):
            self.give_back(request_id, RequestStatus.REFUNDED)

    @rule(request_ids=st.lists(placed, min_size=1, max_size=5))
    def refund_many(self, request_ids):
        now = self.now
        self.attempt("refund_many", "outsider", self.escrow.refund_many(request_ids))
        for request_id in request_ids:
            entry = self.requests[request_id]
            if entry.status == OPEN and now > entry.terms.deadline:
                self.give_back(request_id, RequestStatus.REFUNDED)
                self.ran["refund_many: refunded"] += 1

    @rule(who=st.sampled_from(["owner", "requester", "worker", "keeper", "evaluator"]))
    def withdraw(self, who):
        address = self.people[who].address
        refusal = "" if self.owed[address] else "NothingToWithdraw"
        call = self.escrow.withdraw(self.people["outsider"].address)
        if self.attempt("withdraw", who, call, refusal):
            self.owe(address, -self.owed[address])

    @rule(
        fee=st.integers(0, 20),
        share=st.integers(0, 10_000),
        payee=st.sampled_from(["", "evaluator", "worker"]),
    )
    def set_terms(self, fee, share, payee):
        payee_address = self.people[payee].address if payee else ZERO_ADDRESS
        terms = ModelTerms(fee * GWEI, share, MAX_DELAY, payee=payee_address)
        self.attempt("set_terms", "owner", self.registry.set_terms(self.model_id, terms))
        self.quote()

    @rule(worker=st.sampled_from(["worker", "keeper"]))
    def hire_or_dismiss(self, worker):
        if worker in self.serving:
            self.attempt("dismiss", "owner", self.data_share.revoke_access(self.address(worker)))
            self.serving.remove(worker)
        else:
            self.hire(worker)

    @rule(request_id=placed, offset=st.integers(0, 1))
    def wait_for_a_deadline(self, request_id, offset):
        """So that the next transaction is mined in its last second, or in the one after."""
        if self.wait(self.requests[request_id].terms.deadline + offset - 1):
            self.ran["wait_for_a_deadline"] += 1

    @rule(amount=st.integers(1, 10**10))
    def force_money_on_it(self, amount):
        balance = self.chain.balance(self.escrow.address)
        self.chain.rpc("anvil_setBalance", [self.escrow.address, hex(balance + amount)])
        self.forced += amount
        self.ran["force_money_on_it"] += 1

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def the_escrow_holds_what_is_open_and_what_is_owed(self):
        held = sum(entry.offer.fee for entry in self.requests.values() if entry.status == OPEN)
        owed = sum(self.owed.values())
        assert self.chain.balance(self.escrow.address) == held + owed + self.forced

    @invariant()
    def whom_and_what_the_step_concerned_is_as_the_ledger_says(self):
        while self.concerned:
            self.check(self.concerned.pop())

    def teardown(self) -> None:
        try:
            self.concerned.update(self.requests, map(self.address, self.people))
            self.whom_and_what_the_step_concerned_is_as_the_ledger_says()
        finally:
            self.devchain.revert(self.snapshot)

    def check(self, concerned: Address | RequestId) -> None:
        """Compare an account's credit, or a request, with the ledger."""
        if isinstance(concerned, str):
            assert self.escrow.credit_of(concerned) == self.owed[concerned]
            return
        entry = self.requests[concerned]
        is_open = entry.status == OPEN
        assert self.escrow.request_of(concerned) == RequestState(
            status=entry.status,
            payer=entry.terms.payer if is_open else ZERO_ADDRESS,
            token=ETH,
            fee=entry.offer.fee if is_open else 0,
            deadline=entry.terms.deadline if is_open else 0,
            commitment=entry.commitment[:31],
        )

    # --- the ledger ------------------------------------------------------------------------------

    def ask(self, who: str, delay: int, named: str = "") -> Request:
        label = f"input {next(self.labels)}"
        terms = request_by(self.address(who), self.now + delay, label)
        return replace(terms, worker=self.address(named)) if named else terms

    def quote(self) -> None:
        self.offer = self.registry.quote(self.model_id, self.version_id).offer

    def hire(self, worker: str) -> None:
        grant = self.data_share.grant(self.address(worker), self.model_id, GrantTerms(Right.SERVE))
        self.attempt("hire", "owner", grant)
        self.serving.add(worker)

    def record(self, terms: Request) -> RequestId:
        request_id = commitments.request_id(
            self.offer, terms, chain_id=self.chain.chain_id, escrow=self.escrow.address
        )
        self.requests[request_id] = Entry(self.offer, terms)
        self.concerned.add(request_id)
        return request_id

    def owe(self, address: Address, amount: int) -> None:
        self.owed[address] += amount
        self.concerned.add(address)

    def outcome(self, entry: Entry, worker: str) -> Outcome:
        if entry.status != OPEN:
            return Outcome.NOT_OPEN
        if self.devchain.time > entry.terms.deadline:
            return Outcome.DEADLINE_PASSED
        if entry.terms.worker not in (ZERO_ADDRESS, self.people[worker].address):
            return Outcome.NOT_NAMED_WORKER
        return Outcome.FULFILLED

    def refusal(self, entry: Entry, worker: str) -> str:
        """Why `worker` may not end that request now; nothing if it may."""
        if entry.status != OPEN:
            return "NotOpen"
        if self.now > entry.terms.deadline:
            return "DeadlinePassed"
        if entry.terms.worker not in (ZERO_ADDRESS, self.people[worker].address):
            return "NotNamedWorker"
        return "" if worker in self.serving else "AccessDenied"

    def pay(self, request_id: RequestId, worker: str, commitment: bytes) -> None:
        entry = self.requests[request_id]
        entry.status, entry.commitment = RequestStatus.FULFILLED, commitment
        self.concerned.add(request_id)
        self.owe(entry.offer.payee, entry.offer.payee_share)
        self.owe(self.address(worker), entry.offer.worker_share)

    def give_back(self, request_id: RequestId, status: RequestStatus) -> None:
        entry = self.requests[request_id]
        entry.status = status
        self.concerned.add(request_id)
        self.owe(entry.terms.payer, entry.offer.fee)


EVERYTHING_DONE = {
    "request: done",
    "request: WrongFee",
    "request_many: done",
    "fulfil: done",
    "fulfil: NotOpen",
    "fulfil: DeadlinePassed",
    "fulfil: NotNamedWorker",
    "fulfil: AccessDenied",
    "refuse: done",
    "refuse: NotOpen",
    "refuse: DeadlinePassed",
    "refuse: NotNamedWorker",
    "refuse: AccessDenied",
    "fulfil_many: done",
    "fulfil_many: AccessDenied",
    "fulfil_many: FULFILLED",
    "fulfil_many: NOT_OPEN",
    "fulfil_many: DEADLINE_PASSED",
    "refund: done",
    "refund: NotOpen",
    "refund: DeadlineNotPassed",
    "refund_many: done",
    "refund_many: refunded",
    "withdraw: done",
    "withdraw: NothingToWithdraw",
    "set_terms: done",
    "hire: done",
    "dismiss: done",
    "wait_for_a_deadline",
    "force_money_on_it",
}


def test_the_ledger_agrees_after_every_step_whatever_is_done(deployed_chain):
    run_until_everything_was_done(lambda ran: Ledger(deployed_chain, ran), EVERYTHING_DONE)
