"""Whatever the parties do or leave undone, in whatever order, no coin is lost or made or stuck."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logistics.application import HOUR, LegStatus, Stages

from modelward.errors import ContractRefused
from tests.examples.logistics.conftest import DEPOSIT

ACTIONS = ("deposit", "hand over", "predict", "claim", "contest", "conclude", "lapse", "abandon")
HELD = (LegStatus.DEPOSITED, LegStatus.UNDERWAY, LegStatus.ARRIVED)

steps = st.lists(
    st.tuples(st.sampled_from((*ACTIONS, "settle")), st.integers(0, 1), st.integers(1, 800 * HOUR)),
    max_size=9,
)


def act(yard, shipment, action, leg, secret):
    """Try an action out; whether it was allowed."""
    try:
        match action:
            case "deposit":
                yard.deposit(shipment, leg)
            case "hand over":
                yard.hand_over(shipment, secret=secret)
            case "predict":
                yard.predict(shipment, leg, secret, hours=30)
            case "claim":
                yard.do("claim", shipment, yard.devchain.time, by=yard.carriers[leg])
            case "contest":
                yard.do("contest", shipment, by=yard.parties[leg + 2])
            case "settle":
                yard.do("settle", shipment, leg)
            case _:
                yard.do(action, shipment)
    except ContractRefused:
        return False
    return True


def deposits_held(yard, shipment):
    return sum(DEPOSIT for leg in range(2) if yard.status(shipment, leg) in HELD)


def end(yard, shipment):
    """Let time alone, and somebody who has no part in it, bring the shipment to its end."""
    for _ in range(2):
        yard.pass_time(800 * HOUR)
        for action in ("abandon", "lapse", "conclude"):
            act(yard, shipment, action, 0, None)
    for leg in range(2):
        act(yard, shipment, "settle", leg, None)


@pytest.mark.slow
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deposited=st.booleans(), begun=st.booleans(), steps=steps)
def test_what_was_deposited_is_held_or_owed_and_time_frees_all_of_it(
    yard, devchain, secret, deposited, begun, steps
):
    snapshot = devchain.snapshot()
    shipment = yard.ready() if deposited else yard.open()
    if deposited and begun:
        yard.hand_over(shipment, secret=secret)
    for action, leg, seconds in steps:
        act(yard, shipment, action, leg, secret)
        balance = yard.token.view("balanceOf", yard.contract.address)
        assert balance == deposits_held(yard, shipment) + sum(yard.owed())
        yard.pass_time(seconds if seconds % 3 == 0 else 60)

    end(yard, shipment)

    assert yard.stage(shipment) is Stages.OVER
    assert deposits_held(yard, shipment) == 0
    balance = yard.token.view("balanceOf", yard.contract.address)
    assert balance == sum(yard.owed())
    for party in yard.parties:
        if yard.contract.view("feesOf", yard.token.address, party.address):
            party.send(yard.contract.call("withdrawFees", yard.token.address, party.address))
    assert yard.token.view("balanceOf", yard.contract.address) == 0
    devchain.revert(snapshot)
