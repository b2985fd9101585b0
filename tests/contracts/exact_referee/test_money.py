"""`deposit` and `withdraw`: what an account puts in, it can take out, and nothing else."""

import pytest

from modelward.chain.encoding import to_address
from modelward.chain.events import BondDeposited, BondWithdrawn
from modelward.terms import ETHER, ZERO_ADDRESS
from tests.contracts.exact_referee.conftest import BOND, STAKED
from tests.contracts.puppet import SOURCE, Puppet
from tests.contracts.said import event, said


def test_what_is_sent_can_be_staked(referee, chain, worker):
    receipt = worker.send(referee.deposit(5))
    worker.send(referee.deposit(7))

    assert said(receipt, referee) == [event(BondDeposited, account=worker.address, amount=5)]
    assert referee.balance_of(worker.address) == 12
    assert chain.balance(referee.address) == 12


def test_a_part_goes_to_any_address(referee, chain, worker, staked):
    receiver = to_address("0x" + "ab" * 20)

    receipt = worker.send(referee.withdraw(30, receiver))

    assert said(receipt, referee) == [
        event(BondWithdrawn, account=worker.address, to=receiver, amount=30)
    ]
    assert chain.balance(receiver) == 30
    assert referee.balance_of(worker.address) == STAKED - 30


def test_no_more_than_there_is(referee, worker, outsider, staked, reverts):
    with reverts("BalanceTooLow", account=worker.address, balance=STAKED, needed=STAKED + 1):
        worker.send(referee.withdraw(STAKED + 1, worker.address))
    with reverts("BalanceTooLow", account=outsider.address, balance=0, needed=1):
        outsider.send(referee.withdraw(1, outsider.address))


def test_what_is_staked_cannot_be_taken_out(referee, worker, right, reverts):
    free = STAKED - BOND
    with reverts("BalanceTooLow", account=worker.address, balance=free, needed=free + 1):
        worker.send(referee.withdraw(free + 1, worker.address))


def test_not_to_nobody(referee, worker, staked, reverts):
    with reverts("ReceiverIsZero"):
        worker.send(referee.withdraw(1, ZERO_ADDRESS))


def test_who_refuses_money_is_still_owed_it(referee, worker, staked, compile_solidity, reverts):
    rejecting = Puppet.deploy(worker, compile_solidity(SOURCE)["RejectingReceiver"])
    with reverts("TransferFailed", to=rejecting.address, amount=1):
        worker.send(referee.withdraw(1, rejecting.address))

    assert referee.balance_of(worker.address) == STAKED


def test_who_comes_back_while_being_paid_gets_nothing_more(
    referee, chain, outsider, worker, staked, compile_solidity
):
    thief = Puppet.deploy(outsider, compile_solidity(SOURCE)["CallingReceiver"])
    outsider.send(thief.acting(referee.deposit(ETHER)))
    again = referee.withdraw(ETHER, thief.address)
    outsider.send(thief.call("onPayment", referee.address, again.data))

    outsider.send(thief.acting(again))

    assert thief.view("payments") == 1
    assert thief.view("succeeded") is False
    assert chain.balance(thief.address) == ETHER
    assert chain.balance(referee.address) == STAKED


@pytest.mark.parametrize("amount", [0, STAKED])
def test_nothing_and_everything_can_be_taken_out(referee, worker, staked, amount):
    worker.send(referee.withdraw(amount, worker.address))

    assert referee.balance_of(worker.address) == STAKED - amount
