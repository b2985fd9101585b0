"""The most that each call may cost."""

import pytest

from modelward.bench.market import COIN

LIMITS = {
    "request": 78_000,
    "request_320": 86_000,
    "request_erc20": 128_000,
    "request_for": 89_000,
    "fulfil": 63_000,
    "fulfil_288": 66_000,
    "fulfil_many_64": 15_000,
    "fulfil_many_64_288": 23_000,
    "refund": 40_000,
    "refuse": 52_000,
    "grant": 57_000,
    "revoke": 28_000,
    "revoke_all": 31_000,
    "publish_version": 80_000,
    "request_plus_fulfil": 141_000,
    "answer_exact_288": 95_000,
    "settle_exact": 80_000,
    "accept_exact": 80_000,
    "challenge_bookkeeping": 100_000,
}


@pytest.mark.parametrize("key", LIMITS)
def test_a_call_costs_no_more_than_its_limit(measured, key):
    assert measured[key] <= LIMITS[key]


def test_the_token_is_compiled_from_its_source(compile_solidity, repository):
    committed = repository / "offchain" / "modelward" / "bench" / COIN

    compiled = compile_solidity("tests/solidity/actors/Coin.sol")["Coin"].to_json()

    assert committed.read_text("utf-8") == compiled
