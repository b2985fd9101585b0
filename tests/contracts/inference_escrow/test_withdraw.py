from dataclasses import replace

import pytest

from modelward.chain.abi import contract_abi
from modelward.chain.events import Withdrawn
from modelward.chain.reverts import refusal_of
from modelward.terms import ETH, ZERO_ADDRESS
from tests.contracts.inference_escrow.answers import COMMITMENT, OUTPUT
from tests.contracts.puppet import SOURCE, Puppet
from tests.contracts.said import event, said
from tests.contracts.specimens import FEE, TERMS

SHARE = FEE * 7 // 10


@pytest.fixture
def earned(escrow, worker, placed):
    """`worker` has answered a request and is owed its share."""
    worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))


@pytest.fixture
def receivers(compile_solidity):
    return compile_solidity(SOURCE)


def test_it_sends_all_that_the_caller_is_owed(escrow, chain, worker, earned):
    before = chain.balance(worker.address)

    receipt = worker.send(escrow.withdraw(worker.address))

    assert chain.balance(worker.address) == before + SHARE - receipt.fee
    assert escrow.credit_of(worker.address) == 0
    assert chain.balance(escrow.address) == FEE - SHARE


def test_it_says_who_took_what_where_to(escrow, worker, sponsor, earned):
    receipt = worker.send(escrow.withdraw(sponsor.address))

    assert said(receipt, escrow) == [
        event(Withdrawn, account=worker.address, token=ETH, to=sponsor.address, amount=SHARE)
    ]


def test_it_returns_the_amount(escrow, worker, earned):
    assert escrow.view("withdraw", ETH, worker.address, sender=worker.address) == SHARE


def test_it_may_send_to_any_address(escrow, chain, worker, sponsor, earned):
    before = chain.balance(sponsor.address)

    worker.send(escrow.withdraw(sponsor.address))

    assert chain.balance(sponsor.address) == before + SHARE


def test_what_others_are_owed_stays(escrow, owner, worker, earned):
    worker.send(escrow.withdraw(worker.address))

    assert escrow.credit_of(owner.address) == FEE - SHARE


def test_who_is_owed_nothing_gets_nothing(escrow, outsider, worker, earned, reverts):
    with reverts("NothingToWithdraw", account=outsider.address, token=ETH):
        outsider.send(escrow.withdraw(worker.address))


def test_a_second_time_there_is_nothing_left(escrow, worker, earned, reverts):
    worker.send(escrow.withdraw(worker.address))

    with reverts("NothingToWithdraw", account=worker.address, token=ETH):
        worker.send(escrow.withdraw(worker.address))


def test_ether_is_not_owed_in_a_token(escrow, worker, data_share, earned, reverts):
    token = data_share.address
    assert escrow.credit_of(worker.address, token) == 0

    with reverts("NothingToWithdraw", account=worker.address, token=token):
        worker.send(escrow.withdraw(worker.address, token))


def test_a_receiver_that_takes_no_money_leaves_it_owed(
    escrow, chain, worker, outsider, receivers, earned, reverts
):
    rejecting = Puppet.deploy(outsider, receivers["RejectingReceiver"])

    with reverts("TransferFailed", to=rejecting.address, amount=SHARE):
        worker.send(escrow.withdraw(rejecting.address))

    assert escrow.credit_of(worker.address) == SHARE
    assert chain.balance(escrow.address) == FEE
    worker.send(escrow.withdraw(worker.address))


def test_nothing_is_sent_to_the_zero_address(escrow, worker, earned, reverts):
    with reverts("ReceiverIsZero"):
        worker.send(escrow.withdraw(ZERO_ADDRESS))

    assert escrow.credit_of(worker.address) == SHARE


def test_the_escrow_itself_takes_no_money(escrow, worker, earned, reverts):
    with reverts("TransferFailed", to=escrow.address, amount=SHARE):
        worker.send(escrow.withdraw(escrow.address))

    assert escrow.credit_of(worker.address) == SHARE


class TestAReceiverThatCallsBack:
    @pytest.fixture
    def payee(self, escrow, registry, owner, worker, outsider, receivers, offer, place, ask):
        """A contract that is owed the payee's share of two requests, one of them open."""
        puppet = Puppet.deploy(outsider, receivers["CallingReceiver"])
        owner.send(registry.set_terms(offer.model_id, replace(TERMS, payee=puppet.address)))
        answered = place(ask("answered"))
        worker.send(escrow.fulfil(answered.offer, answered.terms, COMMITMENT, OUTPUT))
        place(ask("open"))
        return puppet

    def test_it_cannot_withdraw_twice(self, escrow, chain, outsider, payee):
        owed = escrow.credit_of(payee.address)
        held = chain.balance(escrow.address)
        again = escrow.withdraw(payee.address)
        outsider.send(payee.call("onPayment", again.to, again.data))

        outsider.send(payee.acting(escrow.withdraw(payee.address)))

        assert payee.view("payments") == 1
        assert not payee.view("succeeded")
        refused = refusal_of(payee.view("returned"))
        assert refused.error == "ReentrancyGuardReentrantCall"
        assert chain.balance(payee.address) == owed == FEE * 3 // 10
        assert chain.balance(escrow.address) == held - owed

    def test_it_sees_its_credit_gone(self, escrow, outsider, payee):
        call = contract_abi("InferenceEscrow").encode_call("creditOf", ETH, payee.address)
        outsider.send(payee.call("onPayment", escrow.address, call))

        outsider.send(payee.acting(escrow.withdraw(payee.address)))

        assert payee.view("succeeded")
        assert int.from_bytes(payee.view("returned")) == 0

    def test_it_may_do_what_anyone_may(self, escrow, wait_until, outsider, payee, place, ask):
        """A refund is by id alone, by anyone, at any time after the deadline."""
        overdue = place(ask("overdue"))
        wait_until(overdue.terms.deadline + 1)
        refund = escrow.refund(overdue.id)
        outsider.send(payee.call("onPayment", refund.to, refund.data))

        outsider.send(payee.acting(escrow.withdraw(payee.address)))

        assert payee.view("succeeded")
        assert escrow.credit_of(overdue.terms.payer) == FEE


class TestForcedEther:
    """Money can be forced into any contract; it is nobody's and changes nothing."""

    @pytest.mark.usefixtures("earned")
    @pytest.mark.filterwarnings("ignore:SELFDESTRUCT:DeprecationWarning")
    @pytest.mark.parametrize("way", ["self-destruct", "by decree"])
    def test_it_is_credited_to_no_one(self, escrow, chain, owner, worker, outsider, receivers, way):
        before = chain.balance(escrow.address)
        if way == "self-destruct":
            forcing = receivers["ForcingSender"]
            Puppet.deploy(outsider, forcing, escrow.address, value=12_345)
        else:
            chain.rpc("anvil_setBalance", [escrow.address, hex(before + 12_345)])
        assert chain.balance(escrow.address) == before + 12_345

        for account in (worker, owner):
            account.send(escrow.withdraw(account.address))

        assert chain.balance(escrow.address) == 12_345
        assert escrow.credit_of(escrow.address) == 0

    @pytest.mark.filterwarnings("ignore:SELFDESTRUCT:DeprecationWarning")
    def test_a_request_costs_what_it_did(self, escrow, chain, outsider, receivers, place, ask):
        Puppet.deploy(outsider, receivers["ForcingSender"], escrow.address, value=FEE)

        placed = place(ask())

        assert escrow.request_of(placed.id).fee == FEE
        assert chain.balance(escrow.address) == 2 * FEE


def test_a_contract_can_request_and_take_its_refund(
    escrow, registry, wait_until, chain, owner, outsider, receivers, offer, ask
):
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, open=True)))
    consumer = Puppet.deploy(outsider, receivers["CallingReceiver"])
    terms = ask(requester=consumer.address, payer=consumer.address)
    call = escrow.request(offer.model_id, offer.version_id, terms, b"", value=FEE)
    receipt = outsider.send(consumer.acting(call))
    request_id = said(receipt, escrow)[0][1]["request_id"]
    wait_until(terms.deadline + 1)

    outsider.send(escrow.refund(request_id))
    outsider.send(consumer.acting(escrow.withdraw(consumer.address)))

    assert chain.balance(consumer.address) == FEE
    assert chain.balance(escrow.address) == 0


def test_a_contract_that_refuses_money_does_not_stop_the_worker(
    escrow, registry, owner, worker, outsider, receivers, offer, place, ask
):
    rejecting = Puppet.deploy(outsider, receivers["RejectingReceiver"])
    owner.send(registry.set_terms(offer.model_id, replace(TERMS, payee=rejecting.address)))
    placed = place(ask())

    worker.send(escrow.fulfil(placed.offer, placed.terms, COMMITMENT, OUTPUT))
    worker.send(escrow.withdraw(worker.address))

    assert escrow.credit_of(rejecting.address) == FEE * 3 // 10
