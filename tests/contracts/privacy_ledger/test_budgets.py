import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.chain.contracts import PrivacyLedger
from modelward.chain.events import BudgetSet, EpsilonSpent
from modelward.errors import ContractRefused
from tests.contracts.said import event, said
from tests.contracts.strategies import examples

DATA = b"\x44" * 32
RUN = b"\x55" * 32
EPSILON = 10**6
"""One, in the ledger's unit."""


@pytest.fixture
def ledger(deployment) -> PrivacyLedger:
    return deployment.privacy_ledger


def test_a_budget_is_kept_and_said(ledger, owner, requester):
    receipt = owner.send(ledger.set_budget(requester.address, DATA, 3 * EPSILON))

    assert ledger.budget_of(owner.address, requester.address, DATA) == (3 * EPSILON, 0)
    assert said(receipt, ledger) == [
        event(
            BudgetSet,
            owner=owner.address,
            grantee=requester.address,
            data_key=DATA,
            budget=3 * EPSILON,
        )
    ]


def test_a_run_is_recorded_and_said_with_the_sum(ledger, owner, requester):
    owner.send(ledger.set_budget(requester.address, DATA, 3 * EPSILON))
    requester.send(ledger.spend(owner.address, DATA, EPSILON, RUN))

    receipt = requester.send(ledger.spend(owner.address, DATA, 2 * EPSILON, RUN))

    assert ledger.budget_of(owner.address, requester.address, DATA) == (3 * EPSILON, 3 * EPSILON)
    assert said(receipt, ledger) == [
        event(
            EpsilonSpent,
            owner=owner.address,
            grantee=requester.address,
            data_key=DATA,
            epsilon=2 * EPSILON,
            spent=3 * EPSILON,
            run=RUN,
        )
    ]


def test_the_run_that_would_overspend_is_refused_and_spends_nothing(
    ledger, owner, requester, reverts
):
    owner.send(ledger.set_budget(requester.address, DATA, 2 * EPSILON))
    requester.send(ledger.spend(owner.address, DATA, EPSILON, RUN))

    with reverts("OverBudget", epsilon=EPSILON + 1, left=EPSILON):
        requester.send(ledger.spend(owner.address, DATA, EPSILON + 1, RUN))

    assert ledger.budget_of(owner.address, requester.address, DATA) == (2 * EPSILON, EPSILON)


def test_without_a_budget_nothing_can_be_spent(ledger, owner, outsider, reverts):
    with reverts("OverBudget", epsilon=1, left=0):
        outsider.send(ledger.spend(owner.address, DATA, 1, RUN))


def test_a_run_that_spends_nothing_is_refused(ledger, owner, requester, reverts):
    owner.send(ledger.set_budget(requester.address, DATA, EPSILON))
    with reverts("EpsilonIsZero"):
        requester.send(ledger.spend(owner.address, DATA, 0, RUN))


def test_a_budget_lowered_below_what_was_spent_allows_nothing_more(
    ledger, owner, requester, reverts
):
    owner.send(ledger.set_budget(requester.address, DATA, 3 * EPSILON))
    requester.send(ledger.spend(owner.address, DATA, 2 * EPSILON, RUN))
    owner.send(ledger.set_budget(requester.address, DATA, EPSILON))

    with reverts("OverBudget", epsilon=1, left=0):
        requester.send(ledger.spend(owner.address, DATA, 1, RUN))

    owner.send(ledger.set_budget(requester.address, DATA, 2 * EPSILON + 1))
    requester.send(ledger.spend(owner.address, DATA, 1, RUN))


def test_budgets_of_other_grantees_owners_and_data_are_apart(ledger, owner, requester, outsider):
    owner.send(ledger.set_budget(requester.address, DATA, EPSILON))
    requester.send(ledger.spend(owner.address, DATA, EPSILON, RUN))

    assert ledger.budget_of(owner.address, outsider.address, DATA) == (0, 0)
    assert ledger.budget_of(outsider.address, requester.address, DATA) == (0, 0)
    assert ledger.budget_of(owner.address, requester.address, RUN) == (0, 0)


def test_a_budget_beyond_its_word_is_refused(ledger, owner, requester, reverts):
    with reverts("BudgetTooLarge", budget=2**128, most=2**128 - 1):
        owner.send(ledger.set_budget(requester.address, DATA, 2**128))
    owner.send(ledger.set_budget(requester.address, DATA, 2**128 - 1))
    requester.send(ledger.spend(owner.address, DATA, 2**128 - 1, RUN))


@examples(25)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["budget", "spend"]), st.integers(0, 5)), min_size=1, max_size=12
    )
)
def test_never_more_is_spent_than_a_budget_allowed_at_the_time(
    ledger, owner, requester, devchain, steps
):
    snapshot = devchain.snapshot()
    budget = spent = 0
    for kind, amount in steps:
        if kind == "budget":
            owner.send(ledger.set_budget(requester.address, DATA, amount))
            budget = amount
            continue
        try:
            requester.send(ledger.spend(owner.address, DATA, amount, RUN))
        except ContractRefused:
            assert amount == 0 or spent + amount > budget
        else:
            spent += amount
            assert amount > 0
            assert spent <= budget
    assert ledger.budget_of(owner.address, requester.address, DATA) == (budget, spent)
    devchain.revert(snapshot)
