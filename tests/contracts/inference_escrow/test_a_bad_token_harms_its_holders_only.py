from dataclasses import replace

import pytest

from modelward.chain.reverts import refusal_of
from modelward.errors import ModelwardError
from modelward.terms import ETH, RequestStatus
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT
from tests.contracts.puppet import Puppet
from tests.contracts.specimens import FEE, INPUT, TERMS

TOKENS = "tests/solidity/actors/HostileCoin.sol"
PRICE = 1_000_003
PAYEE_SHARE = PRICE * 3_000 // 10_000
SHARE = PRICE - PAYEE_SHARE
REVERT, INFLATE_BALANCE = 6, 8


@pytest.fixture
def token(compile_solidity, escrow, requester, outsider):
    """A token that can be told to misbehave; the escrow may collect it from `requester`."""
    deployed = Puppet.deploy(outsider, compile_solidity(TOKENS)["HostileCoin"])
    outsider.send(deployed.call("mint", requester.address, 10 * PRICE))
    requester.send(deployed.call("approve", escrow.address, 10 * PRICE))
    return deployed


@pytest.fixture
def place_in_token(escrow, registry, owner, requester, offer, token, ask):
    """Place a request whose price is in the token; its offer and its terms."""

    def placed():
        priced = replace(TERMS, token=token.address, fee=PRICE, open=True)
        owner.send(registry.set_terms(offer.model_id, priced))
        terms = ask("in a token")
        call = escrow.request(offer.model_id, offer.version_id, terms, INPUT, value=0)
        requester.send(call)
        return registry.quote(offer.model_id, offer.version_id).offer, terms

    return placed


@pytest.fixture
def earned(escrow, worker, place_in_token):
    """`worker` has answered a request and is owed its share in the token."""
    worker.send(escrow.fulfil(*place_in_token(), COMMITMENT, OUTPUT))


@pytest.mark.usefixtures("earned")
def test_who_is_owed_ether_withdraws_it_though_the_token_fails(
    escrow, registry, owner, worker, outsider, token, offer, place, ask
):
    outsider.send(token.call("misbehave", REVERT))
    with pytest.raises(ModelwardError):
        worker.send(escrow.withdraw(worker.address, token.address))
    owner.send(registry.set_terms(offer.model_id, TERMS))
    placed = place(ask("in ether"))
    worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))
    assert escrow.credit_of(worker.address) == FEE * 7 // 10

    worker.send(escrow.withdraw(worker.address))

    assert escrow.credit_of(worker.address) == 0
    assert escrow.credit_of(worker.address, token.address) == SHARE


@pytest.mark.usefixtures("earned")
def test_a_token_that_calls_back_while_it_is_paid_out_pays_once(escrow, worker, outsider, token):
    again = escrow.withdraw(token.address, token.address)
    outsider.send(token.call("reenter", again.to, again.data))

    worker.send(escrow.withdraw(worker.address, token.address))

    assert not token.view("succeeded")
    assert refusal_of(token.view("answer")).error == "ReentrancyGuardReentrantCall"
    assert token.view("balanceOf", worker.address) == SHARE
    assert token.view("balanceOf", escrow.address) == PAYEE_SHARE


def test_a_token_that_lies_about_balances_places_no_request(
    escrow, outsider, token, place_in_token, reverts
):
    outsider.send(token.call("misbehave", INFLATE_BALANCE))

    with reverts("InexactDeposit", token=token.address, received=0, expected=PRICE):
        place_in_token()


def test_a_request_within_a_deposit_is_refused(escrow, outsider, offer, token, place_in_token, ask):
    """Its deposit would be counted twice."""
    inner = ask("inner", requester=token.address, payer=token.address)
    call = escrow.request(offer.model_id, offer.version_id, inner, INPUT, value=0)
    outsider.send(token.call("reenter", call.to, call.data))

    priced, terms = place_in_token()

    assert refusal_of(token.view("answer")).error == "ReentrancyGuardReentrantCall"
    assert escrow.request_of(escrow.id_of(priced, terms)).status == RequestStatus.OPEN_ERC20
    assert escrow.request_of(escrow.id_of(priced, inner)).status == RequestStatus.NONE
    assert token.view("balanceOf", escrow.address) == PRICE


@pytest.mark.usefixtures("earned")
def test_what_is_owed_in_a_token_is_not_owed_in_ether(escrow, worker, reverts):
    with reverts("NothingToWithdraw", account=worker.address, token=ETH):
        worker.send(escrow.withdraw(worker.address))
