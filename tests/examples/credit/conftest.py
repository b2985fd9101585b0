"""A credit line on the tests' chain: its lender, its bureau, and borrowers with reports."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
from credit.application import report_message
from eth_utils import keccak

from modelward.terms import ETH, ZERO_ADDRESS
from tests.contracts.puppet import Puppet
from tests.contracts.specimens import FEE

WHOLE = 10**9
COIN = 10**18
MAX_LIMIT, CUTOFF, FEE_BPS = 1_000 * COIN, 600_000_000, 150
TERM, GRACE = 30 * 86_400, 5 * 86_400
POOL = 5_000 * COIN
INPUT = b"\x01sealed figures"
NONE, APPLIED, DECLINED, OPEN, DEFAULTED = range(5)


@pytest.fixture
def lender(sponsor):
    return sponsor


@pytest.fixture
def bureau(evaluator):
    return evaluator


@pytest.fixture
def borrower(requester):
    return requester


@pytest.fixture
def token(compile_example, outsider):
    source = compile_example("contracts/TestToken.sol")
    return Puppet.deploy(outsider, source["TestToken"], "Credit", "CRD")


@pytest.fixture
def lending(offer, token, bureau):
    """What is lent on, by the names of the struct's members."""
    return {
        "modelId": offer.model_id,
        "versionId": offer.version_id,
        "worker": ZERO_ADDRESS,
        "feeToken": ETH,
        "token": token.address,
        "bureau": bureau.address,
        "maxLimit": MAX_LIMIT,
        "cutoff": CUTOFF,
        "feeBps": FEE_BPS,
        "term": TERM,
        "grace": GRACE,
    }


@pytest.fixture
def deploy(compile_example, escrow, lender, lending):
    def deployed(**changes):
        artifact = compile_example("credit/contracts/CreditLine.sol")["CreditLine"]
        terms = tuple((lending | changes).values())
        return Puppet.deploy(lender, artifact, escrow.address, terms)

    return deployed


@pytest.fixture
def credit(deploy, let_ask, lender, token):
    """The contract, with money to lend."""
    contract = deploy()
    let_ask(contract.address)
    lender.send(token.call("mint", lender.address, POOL))
    lender.send(token.call("approve", contract.address, POOL))
    lender.send(contract.call("fund", POOL))
    return contract


@pytest.fixture
def sign_for(chain, bureau):
    """The bureau's report to a contract about a borrower, and its signature."""

    def signed(contract, borrower, label="first", *, valid_for=3_600, by=bureau):
        report = (borrower.address, keccak(text=label), chain.head().timestamp + valid_for)
        message = report_message(contract.address, chain.chain_id, *report)
        return report, by.account.signer.sign_typed_data(message)

    return signed


@pytest.fixture
def sign(credit, sign_for):
    return partial(sign_for, credit)


@pytest.fixture
def apply_for_credit(credit, sign, requested):
    """Apply with a report; returns the request."""

    def applied(borrower, label="first"):
        report, signature = sign(borrower, label)
        call = credit.call("applyForCredit", report, INPUT, signature, value=FEE)
        return requested(borrower.send(call))

    return applied


@pytest.fixture
def scored(worker, answering, apply_for_credit):
    """Apply, and have the worker answer with a probability of repayment, times 10^9."""

    def answered(borrower, score, label="first"):
        request = apply_for_credit(borrower, label)
        answer = answering(request, WHOLE - score, score, label=int(2 * score >= WHOLE))
        return SimpleNamespace(request=request, receipt=worker.send(answer))

    return answered


@pytest.fixture
def line_of(credit):
    return lambda account: SimpleNamespace(**credit.view("lineOf", account.address))


@pytest.fixture
def opened(borrower, scored):
    """The borrower's line of half the greatest limit."""
    return scored(borrower, 800_000_000)


@pytest.fixture
def draw(credit):
    def drawn(account, amount):
        return account.send(credit.call("draw", amount, account.address))

    return drawn


@pytest.fixture
def give(token, credit):
    """Give somebody tokens that the contract may take."""

    def given(account, amount):
        account.send(token.call("mint", account.address, amount))
        account.send(token.call("approve", credit.address, amount))

    return given
