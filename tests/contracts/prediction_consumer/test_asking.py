"""A consumer's requests: what they cost, who pays, what is remembered."""

from dataclasses import replace

import pytest

from modelward.terms import ETH, AwaitedPrediction, PredictionStatus, RequestStatus
from tests.contracts.prediction_consumer.conftest import CONTEXT, HOUR
from tests.contracts.puppet import Puppet
from tests.contracts.specimens import FEE, INPUT, TERMS

TOKENS = "tests/solidity/actors/HostileCoin.sol"
DELIVER_NOTHING = 3
PRICE = 1_000_003


def test_the_fee_is_held_by_the_escrow_and_the_request_remembered(
    escrow, requester, terms, asked, prediction_of
):
    state = escrow.request_of(asked.id)
    assert (state.status, state.fee) == (RequestStatus.OPEN, FEE)
    assert prediction_of(asked) == AwaitedPrediction(
        status=PredictionStatus.AWAITED,
        usable_until=terms.usable_until,
        funder=requester.address,
        context=CONTEXT,
        token=ETH,
        fee=FEE,
    )


def test_it_says_what_it_asked_for(consumer, requester, terms, request_of):
    receipt = requester.send(consumer.call("ask", terms, INPUT, value=FEE))

    (said,) = consumer.said(receipt, "PredictionRequested")
    assert said == {
        "id": request_of(terms).id,
        "context": CONTEXT,
        "funder": requester.address,
        "token": ETH,
        "fee": FEE,
    }


@pytest.mark.parametrize("value", [0, FEE - 1, FEE + 1])
def test_the_caller_sends_exactly_the_price(ask, terms, reverts, value):
    with reverts("WrongValue", sent=value, fee=FEE):
        ask(terms, value=value)


def test_a_model_dearer_than_the_application_pays_is_not_asked(ask, terms, reverts):
    with reverts("FeeTooHigh", fee=FEE, most=FEE - 1):
        ask(terms, max_fee=FEE - 1)


def test_nor_one_in_another_currency(ask, terms, outsider, reverts):
    with reverts("WrongToken", token=ETH, expected=outsider.address):
        ask(terms, token=outsider.address)


def test_an_application_may_pay_out_of_what_it_holds(
    consumer, owner, requester, terms, request_of, prediction_of
):
    owner.send(consumer.call("fund", value=FEE))

    requester.send(consumer.call("askFromOwnMoney", terms, INPUT, owner.address))

    remembered = prediction_of(request_of(terms))
    assert (remembered.status, remembered.funder) == (PredictionStatus.AWAITED, owner.address)


def test_only_the_escrow_sends_it_money_by_itself(chain, consumer, escrow, outsider, reverts):
    with reverts("NotEscrow", escrow=escrow.address, caller=outsider.address):
        outsider.send(replace(consumer.call("fund", value=1), data=b""))


class TestTokens:
    @pytest.fixture
    def token(self, compile_solidity, registry, owner, requester, consumer, offer):
        token = Puppet.deploy(owner, compile_solidity(TOKENS)["HostileCoin"])
        changed = replace(TERMS, fee=PRICE, token=token.address)
        owner.send(registry.set_terms(offer.model_id, changed))
        owner.send(token.call("mint", requester.address, PRICE))
        requester.send(token.call("approve", consumer.address, PRICE))
        return token

    @pytest.fixture
    def in_token(self, terms, token):
        return replace(terms, token=token.address, max_fee=PRICE)

    def test_a_fee_in_a_token_is_taken_from_the_caller(
        self, escrow, consumer, requester, token, ask, in_token, prediction_of
    ):
        asked = ask(in_token, value=0)

        assert escrow.request_of(asked.id).fee == PRICE
        assert prediction_of(asked).token == token.address
        holders = (requester.address, consumer.address, escrow.address)
        assert [token.view("balanceOf", each) for each in holders] == [0, 0, PRICE]

    def test_it_comes_back_to_who_paid_it(
        self, consumer, requester, worker, outsider, escrow, token, ask, in_token
    ):
        asked = ask(in_token, value=0)
        worker.send(escrow.refuse(asked.offer, asked.terms, 1))
        outsider.send(consumer.call("clear", asked.id))

        requester.send(consumer.call("withdrawFees", token.address, requester.address))

        assert token.view("balanceOf", requester.address) == PRICE

    def test_no_eth_is_taken_beside_it(self, ask, in_token, reverts):
        with reverts("WrongValue", sent=1, fee=0):
            ask(in_token, value=1)

    def test_a_token_that_does_not_arrive_whole_is_refused(
        self, owner, token, ask, in_token, reverts
    ):
        owner.send(token.call("misbehave", DELIVER_NOTHING))
        with reverts("InexactFee", token=token.address, received=0, fee=PRICE):
            ask(in_token, value=0)


def test_what_was_never_asked_is_not_remembered(prediction_of, request_of, terms):
    never = request_of(replace(terms, deadline=terms.deadline + HOUR))
    assert prediction_of(never).status is PredictionStatus.NONE
