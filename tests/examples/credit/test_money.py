"""The credit line against books kept by hand, over any sequence of calls.

After every step it holds, to the base unit, what can be lent and the prediction fees that came
back; every borrower owes what the books say; and nobody drew beyond a limit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from modelward.errors import ContractRefused
from tests.contracts.specimens import TERMS
from tests.examples.credit.conftest import (
    APPLIED,
    COIN,
    CUTOFF,
    DECLINED,
    DEFAULTED,
    FEE_BPS,
    GRACE,
    INPUT,
    MAX_LIMIT,
    NONE,
    OPEN,
    TERM,
    WHOLE,
)

PRICE = COIN // 3
AMOUNTS = st.one_of(st.integers(1, 100), st.integers(1, MAX_LIMIT), st.just(MAX_LIMIT // 3))


@dataclass
class Account:
    """A borrower in the books."""

    status: int = NONE
    limit: int = 0
    owed: int = 0
    expiry: int = 0
    due: int = 0
    refunds: int = 0


class Books(RuleBasedStateMachine):
    """Two borrowers, a lender, and predictions paid for in the token that is lent.

    `ran` counts what was done and what was refused, over all runs.
    """

    def __init__(self, bank, ran):
        super().__init__()
        self.bank = bank
        self.ran = ran
        self.snapshot = bank.devchain.snapshot()
        self.accounts = {borrower.address: Account() for borrower in bank.borrowers}
        self.applications = {}
        self.available = 0
        self.labels = count()

    def teardown(self):
        self.bank.devchain.revert(self.snapshot)

    @property
    def now(self):
        """The least time that the next block may show."""
        return self.bank.chain.head().timestamp + 1

    def attempt(self, name, sender, call, refusal):
        """Send a call in a block of the time `now`; it must be refused with that error, if any."""
        self.bank.devchain.set_next_timestamp(self.now)
        self.ran[f"{name}: {refusal or 'done'}"] += 1
        if not refusal:
            return sender.send(call)
        with pytest.raises(ContractRefused) as refused:
            sender.send(call)
        assert refused.value.error == refusal
        return None

    @initialize()
    def begin(self):
        """The lender funds; the first borrower draws on a line, the second has applied."""
        self.fund(MAX_LIMIT)
        self.apply(0)
        self.answer(0, WHOLE)
        self.draw(0, MAX_LIMIT // 2)
        self.apply(1)

    # --- what can be done ------------------------------------------------------------------------

    @rule(who=st.integers(0, 1))
    def apply(self, who):
        borrower = self.bank.borrowers[who]
        account = self.accounts[borrower.address]
        report, signature = self.bank.sign(borrower, f"report {next(self.labels)}")
        call = self.bank.credit.call("applyForCredit", report, INPUT, signature)
        refusal = "CannotApply" if account.status == APPLIED or account.owed else ""
        receipt = self.attempt("apply", borrower, call, refusal)
        if receipt is not None:
            account.status, account.limit = APPLIED, 0
            self.applications[borrower.address] = self.bank.requested(receipt)

    @precondition(lambda self: self.applications)
    @rule(
        who=st.integers(0, 1),
        score=st.one_of(st.integers(0, WHOLE), st.integers(CUTOFF, WHOLE), st.just(WHOLE)),
    )
    def answer(self, who, score):
        address = self.bank.borrowers[who].address
        application = self.applications.pop(address, None)
        if application is None:
            return
        account, now = self.accounts[address], self.now
        late = now > application.request.deadline
        call = self.bank.answering(application, WHOLE - score, score)
        refusal = "DeadlinePassed" if late else ""
        if self.attempt("answer", self.bank.worker, call, refusal) is None:
            self.applications[address] = application
            return
        account.limit = MAX_LIMIT * max(0, score - CUTOFF) // (WHOLE - CUTOFF)
        account.status = OPEN if account.limit else DECLINED
        if account.limit:
            account.expiry, account.due = now + TERM, now + TERM + GRACE

    @precondition(lambda self: self.applications)
    @rule(who=st.integers(0, 1), refused=st.booleans())
    def lapse(self, who, refused):
        address = self.bank.borrowers[who].address
        application = self.applications.get(address)
        if application is None:
            return
        if refused and self.now <= application.request.deadline:
            call = self.bank.escrow.refuse(application.offer, application.request, 1)
            self.bank.worker.send(call)
        else:
            refused = False
        over = refused or self.now > application.request.deadline
        call = self.bank.credit.call("clear", application.request_id)
        if self.attempt("lapse", self.bank.outsider, call, "" if over else "NotOver"):
            del self.applications[address]
            self.accounts[address].status = NONE
            self.accounts[address].refunds += PRICE

    @rule(who=st.integers(0, 1), amount=AMOUNTS)
    def draw(self, who, amount):
        borrower = self.bank.borrowers[who]
        account = self.accounts[borrower.address]
        owed = account.owed + amount + -(-amount * FEE_BPS // 10_000)
        refusal = ""
        if account.status != OPEN:
            refusal = "LineNotOpen"
        elif self.now > account.expiry:
            refusal = "LineExpired"
        elif amount > self.available:
            refusal = "NotEnoughFunds"
        elif owed > account.limit:
            refusal = "OverLimit"
        call = self.bank.credit.call("draw", amount, borrower.address)
        if self.attempt("draw", borrower, call, refusal):
            account.owed = owed
            self.available -= amount

    @rule(who=st.integers(0, 1), payer=st.integers(0, 1), amount=AMOUNTS)
    def repay(self, who, payer, amount):
        address = self.bank.borrowers[who].address
        account = self.accounts[address]
        call = self.bank.credit.call("repay", address, amount)
        refusal = "" if account.owed else "NothingOwed"
        if self.attempt("repay", self.bank.borrowers[payer], call, refusal):
            paid = min(amount, account.owed)
            account.owed -= paid
            self.available += paid
            if account.status == DEFAULTED and not account.owed:
                account.status = NONE

    @rule(who=st.integers(0, 1))
    def declare_default(self, who):
        address = self.bank.borrowers[who].address
        account = self.accounts[address]
        refusal = ""
        if account.status != OPEN:
            refusal = "LineNotOpen"
        elif not account.owed:
            refusal = "NothingOwed"
        elif self.now <= account.due:
            refusal = "NotDue"
        call = self.bank.credit.call("declareDefault", address)
        if self.attempt("declare_default", self.bank.outsider, call, refusal):
            account.status, account.limit = DEFAULTED, 0

    @rule(amount=st.one_of(AMOUNTS, st.just(10 * MAX_LIMIT)))
    def fund(self, amount):
        self.attempt("fund", self.bank.lender, self.bank.credit.call("fund", amount), "")
        self.available += amount

    @rule(amount=AMOUNTS)
    def unfund(self, amount):
        call = self.bank.credit.call("unfund", amount, self.bank.lender.address)
        refusal = "NotEnoughFunds" if amount > self.available else ""
        if self.attempt("unfund", self.bank.lender, call, refusal):
            self.available -= amount

    @rule(who=st.integers(0, 1))
    def take_fees_back(self, who):
        borrower = self.bank.borrowers[who]
        account = self.accounts[borrower.address]
        token = self.bank.token.address
        call = self.bank.credit.call("withdrawFees", token, borrower.address)
        refusal = "" if account.refunds else "NoFeeToWithdraw"
        if self.attempt("take_fees_back", borrower, call, refusal):
            account.refunds = 0

    @rule(seconds=st.sampled_from([60, 3_601, TERM, TERM + GRACE]))
    def wait(self, seconds):
        self.bank.devchain.set_next_timestamp(self.now + seconds)
        self.bank.devchain.mine()

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def it_holds_what_it_owes(self):
        bank, token = self.bank, self.bank.token
        refunds = sum(account.refunds for account in self.accounts.values())
        held = token.view("balanceOf", bank.credit.address)
        at_the_escrow = bank.escrow.credit_of(bank.credit.address, token.address)
        assert held + at_the_escrow == self.available + refunds
        assert bank.credit.view("available") == self.available

    @invariant()
    def every_line_is_as_the_books_say(self):
        for address, account in self.accounts.items():
            line = self.bank.credit.view("lineOf", address)
            assert (line["status"], line["limit"]) == (account.status, account.limit)
            assert line["owed"] == account.owed
            if account.status == OPEN:
                assert account.owed <= account.limit


EVERYTHING_DONE = {
    "apply: done",
    "answer: done",
    "lapse: done",
    "draw: done",
    "repay: done",
    "declare_default: done",
    "fund: done",
    "unfund: done",
    "take_fees_back: done",
}
"""Beside these, most refusals come up; each of them has a test of its own elsewhere."""
ROUNDS = 8
"""Most runs until everything was done."""


@pytest.fixture
def bank(
    devchain, chain, escrow, registry, owner, worker, outsider, lender, borrower, keeper,
    deploy, let_ask, offer, token, sign_for, requested, answering,
):  # fmt: skip
    """An unfunded credit line whose predictions are paid for in the token, and rich people."""
    terms = replace(TERMS, fee=PRICE, token=token.address)
    owner.send(registry.set_terms(offer.model_id, terms))
    credit = deploy(feeToken=token.address)
    let_ask(credit.address)
    for person in (lender, borrower, keeper):
        person.send(token.call("mint", person.address, 10**9 * COIN))
        person.send(token.call("approve", credit.address, 10**9 * COIN))
    return SimpleNamespace(
        devchain=devchain,
        chain=chain,
        escrow=escrow,
        worker=worker,
        outsider=outsider,
        lender=lender,
        borrowers=(borrower, keeper),
        credit=credit,
        token=token,
        sign=lambda who, label: sign_for(credit, who, label),
        requested=requested,
        answering=answering,
    )


@pytest.mark.slow
def test_the_books_agree_after_every_step_whatever_is_done(bank):
    ran: Counter[str] = Counter()

    for number in range(ROUNDS):

        @seed(number)
        def books() -> Books:
            return Books(bank, ran)

        run_state_machine_as_test(
            books,  # type: ignore[arg-type]
            settings=settings(
                max_examples=6,
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        if ran.keys() >= EVERYTHING_DONE:
            break

    assert ran.keys() >= EVERYTHING_DONE
