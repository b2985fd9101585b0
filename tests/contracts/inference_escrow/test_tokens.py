"""Requests whose price is in an ERC-20."""

from dataclasses import replace

import pytest
from eth_utils import keccak

from modelward.chain.events import InferenceRefunded, Withdrawn
from modelward.errors import ContractRefused
from modelward.terms import ETH, MAX_TOKEN_FEE, RequestState, RequestStatus
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT
from tests.contracts.puppet import Puppet
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE, INPUT, TERMS

TOKENS = "tests/solidity/actors/HostileCoin.sol"
PRICE = 1_000_003
TAKE_FEE, DELIVER_MORE, DELIVER_NOTHING, RETURN_FALSE, RETURN_NOTHING, REVERT = range(1, 7)


@pytest.fixture
def token(compile_solidity, outsider):
    """A token that does what it should, until it is told otherwise."""
    return Puppet.deploy(outsider, compile_solidity(TOKENS)["HostileCoin"])


@pytest.fixture
def balance_of(token):
    return lambda account: token.view("balanceOf", account.address)


@pytest.fixture
def priced(registry, owner, offer, token):
    """The model of `offer`, for PRICE base units of the token."""
    terms = replace(TERMS, fee=PRICE, token=token.address, payee_bps=3_333)
    owner.send(registry.set_terms(offer.model_id, terms))
    return registry.quote(offer.model_id, offer.version_id).offer


@pytest.fixture
def allow(escrow, requester, token, outsider):
    """Give `requester` an amount of the token, for the escrow to collect."""

    def allowed(amount):
        outsider.send(token.call("mint", requester.address, amount))
        requester.send(token.call("approve", escrow.address, amount))

    return allowed


@pytest.fixture
def request_call(escrow, priced):
    def call(terms, value=0):
        return escrow.request(priced.model_id, priced.version_id, terms, INPUT, value=value)

    return call


@pytest.fixture
def placed(escrow, requester, priced, ask, allow, request_call):
    """An open request, paid for in the token."""
    allow(PRICE)
    terms = ask("in a token")
    requester.send(request_call(terms))
    return terms, escrow.id_of(priced, terms)


def test_the_fee_is_collected_and_held(escrow, chain, requester, token, balance_of, placed):
    terms, request_id = placed

    assert escrow.request_of(request_id) == RequestState(
        status=RequestStatus.OPEN_ERC20,
        payer=requester.address,
        token=token.address,
        fee=PRICE,
        deadline=terms.deadline,
        commitment=bytes(31),
    )
    assert balance_of(escrow) == PRICE
    assert balance_of(requester) == 0
    assert chain.balance(escrow.address) == 0


def test_it_is_split_to_the_last_base_unit(escrow, owner, worker, token, priced, placed):
    terms, request_id = placed

    worker.send(escrow.fulfil(priced, terms, COMMITMENT, OUTPUT))

    share = PRICE * 3_333 // 10_000
    assert escrow.credit_of(owner.address, token.address) == share
    assert escrow.credit_of(worker.address, token.address) == PRICE - share
    assert escrow.credit_of(worker.address, ETH) == 0
    assert escrow.request_of(request_id).status == RequestStatus.FULFILLED


def test_it_is_refunded_in_the_token(escrow, wait_until, requester, outsider, token, placed):
    terms, request_id = placed
    wait_until(terms.deadline + 1)

    receipt = outsider.send(escrow.refund(request_id))

    assert said(receipt, escrow) == [
        event(
            InferenceRefunded,
            request_id=request_id,
            payer=requester.address,
            token=token.address,
            amount=PRICE,
        )
    ]
    assert escrow.credit_of(requester.address, token.address) == PRICE


def test_it_is_withdrawn_in_the_token(
    escrow, requester, worker, sponsor, token, balance_of, priced, placed
):
    worker.send(escrow.refuse(priced, placed[0], 1))

    receipt = requester.send(escrow.withdraw(sponsor.address, token.address))

    assert said(receipt, escrow, beside=token.address) == [
        event(
            Withdrawn,
            account=requester.address,
            token=token.address,
            to=sponsor.address,
            amount=PRICE,
        )
    ]
    assert balance_of(sponsor) == PRICE
    assert balance_of(escrow) == 0


def test_several_at_once_are_collected_together(escrow, requester, priced, ask, allow, balance_of):
    allow(3 * PRICE)
    several = [ask(f"input {number}") for number in range(3)]

    requester.send(
        escrow.request_many(priced.model_id, priced.version_id, several, [b""] * 3, value=0)
    )

    assert balance_of(escrow) == 3 * PRICE


def test_the_highest_price_is_held_to_the_last_base_unit(
    escrow, registry, owner, requester, token, offer, ask, allow
):
    terms = replace(TERMS, fee=MAX_TOKEN_FEE, token=token.address)
    owner.send(registry.set_terms(offer.model_id, terms))
    offered = registry.quote(offer.model_id, offer.version_id).offer
    allow(MAX_TOKEN_FEE)
    asked = ask()

    requester.send(escrow.request(offer.model_id, offer.version_id, asked, b"", value=0))

    assert escrow.request_of(escrow.id_of(offered, asked)).fee == MAX_TOKEN_FEE


@pytest.mark.parametrize("value", [1, PRICE, FEE])
def test_no_ether_is_taken_along(requester, ask, allow, request_call, reverts, value):
    allow(PRICE)
    with reverts("WrongFee", sent=value, fee=0):
        requester.send(request_call(ask(), value=value))


def test_without_an_allowance_there_is_no_request(escrow, requester, ask, request_call):
    with pytest.raises(ContractRefused) as refused:
        requester.send(request_call(ask()))

    assert refused.value.error == "ERC20InsufficientAllowance"


@pytest.mark.parametrize(
    ("mischief", "received"),
    [(TAKE_FEE, PRICE - 1), (DELIVER_MORE, PRICE + 1), (DELIVER_NOTHING, 0)],
    ids=["takes a fee", "delivers more", "delivers nothing"],
)
def test_a_deposit_that_does_not_arrive_exactly_is_refused(
    requester, outsider, token, ask, allow, request_call, reverts, mischief, received
):
    allow(PRICE)
    outsider.send(token.call("misbehave", mischief))

    with reverts("InexactDeposit", token=token.address, received=received, expected=PRICE):
        requester.send(request_call(ask()))


def test_a_token_that_says_no_is_believed(
    requester, outsider, token, ask, allow, request_call, reverts
):
    allow(PRICE)
    outsider.send(token.call("misbehave", RETURN_FALSE))

    with reverts("SafeERC20FailedOperation", token=token.address):
        requester.send(request_call(ask()))


def test_a_token_that_says_nothing_is_taken(
    escrow, requester, outsider, token, priced, ask, allow, request_call
):
    allow(PRICE)
    outsider.send(token.call("misbehave", RETURN_NOTHING))
    terms = ask()

    requester.send(request_call(terms))

    status = escrow.request_of(escrow.id_of(priced, terms)).status
    assert status == RequestStatus.OPEN_ERC20


def test_what_a_token_refuses_to_pay_out_stays_owed(
    escrow, requester, worker, outsider, token, priced, placed, reverts
):
    worker.send(escrow.refuse(priced, placed[0], 1))
    outsider.send(token.call("misbehave", RETURN_FALSE))

    with reverts("SafeERC20FailedOperation", token=token.address):
        requester.send(escrow.withdraw(requester.address, token.address))

    assert escrow.credit_of(requester.address, token.address) == PRICE


def test_a_token_that_calls_back_while_it_is_collected_gets_nowhere(
    escrow, requester, worker, outsider, token, priced, placed, ask, allow, request_call
):
    """It is owed an amount itself, and tries to take it in between."""
    withdraw = escrow.withdraw(outsider.address, token.address)
    outsider.send(token.call("reenter", withdraw.to, withdraw.data))
    allow(PRICE)

    requester.send(request_call(ask("another")))

    assert not token.view("succeeded")
    assert token.view("answer") == keccak(text="ReentrancyGuardReentrantCall()")[:4]
