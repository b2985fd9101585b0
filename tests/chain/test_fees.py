"""What is bid for gas: enough to be mined, never above the cap, and bumps that nodes accept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.chain.fees import DEFAULT_TIP, Fees, choose_fees
from modelward.errors import FeeTooHigh

wei = st.integers(min_value=0, max_value=10**15)


@given(wei, wei)
def test_a_bump_is_at_least_an_eighth_and_at_least_a_wei(max_fee, tip):
    before = Fees(max_fee=max_fee, tip=min(tip, max_fee))

    after = before.bumped()

    for old, new in ((before.max_fee, after.max_fee), (before.tip, after.tip)):
        assert 8 * new >= 9 * old
        assert new > old
        assert isinstance(new, int)
    assert after.tip <= after.max_fee


@given(wei)
def test_a_bump_above_the_cap_is_refused(max_fee):
    fees = Fees(max_fee=max_fee, tip=0)
    needed = fees.bumped().max_fee

    assert fees.bumped(cap=needed).max_fee == needed
    with pytest.raises(FeeTooHigh) as caught:
        fees.bumped(cap=needed - 1)
    assert (caught.value.needed, caught.value.cap) == (needed, needed - 1)


def test_a_bid_has_room_for_the_base_fee_to_double(chain):
    fees = choose_fees(chain)

    assert fees.max_fee >= 2 * chain.head().base_fee + fees.tip


def test_a_bid_never_exceeds_the_cap(chain, configured):
    base_fee = chain.head().base_fee

    fees = choose_fees(configured(chain, max_fee_per_gas=base_fee))

    assert fees.max_fee == base_fee
    assert fees.tip <= fees.max_fee


def test_a_base_fee_above_the_cap_is_refused_before_anything_is_sent(chain, configured, owner):
    cap = chain.head().base_fee - 1

    with pytest.raises(FeeTooHigh, match=f"above the cap of {cap} wei") as caught:
        choose_fees(configured(chain, max_fee_per_gas=cap))
    assert caught.value.exit_code == 3
    assert owner.nonce() == 0


def test_a_node_that_suggests_no_tip_is_bid_the_default(remote, endpoint):
    base_fee = remote.head().base_fee
    endpoint.faults = [None, {"code": -32601, "message": "method not found"}]

    assert choose_fees(remote) == Fees(max_fee=2 * base_fee + DEFAULT_TIP, tip=DEFAULT_TIP)
