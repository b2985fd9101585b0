"""`request accept`, `request challenge` and `keeper watch`, as typed."""

from __future__ import annotations

import pytest

from tests.exact_market import *  # noqa: F403
from tests.exact_market import one_more


@pytest.fixture
def request_id(placed):
    return f"0x{placed.id.hex()}"


def test_a_right_answer_is_accepted(run, request_id, placed, post):
    post(placed)
    assert "bit for bit" in run("request", "verify", request_id).out
    accepted = run("request", "accept", request_id)
    assert "is paid and has its bond back" in accepted.out, accepted.err


def test_a_wrong_answer_is_told_apart_and_challenged(run, refused, request_id, placed, post):
    post(placed, one_more)
    refused(1, "the score of 'benign' is", "request", "verify", request_id)
    refused(1, "it was not accepted", "request", "accept", request_id)
    challenge = ("request", "challenge", request_id, "--account", "outsider")
    outcome = run(*challenge, "--yes")
    assert "publishes the input for good" in outcome.err
    assert "corrected in block" in outcome.out, outcome.err


def test_the_watchtower_says_what_it_expects_and_does(run, placed, post):
    post(placed, one_more)
    watched = run("keeper", "watch", "--once", "--account", "outsider")
    assert "is wrong and being challenged; expected profit:" in watched.out, watched.err
    assert "was wrong and is corrected" in watched.out
    assert "publishes the request's input" in watched.err


def test_a_worker_deposits_what_it_stakes_and_takes_it_out_again(run, refused):
    bond = ("account", "bond")
    assert "0.05 ether can be staked" in run(*bond, "deposit", "0.05 ether").out
    assert "free at the referee  0.05 ether" in run("account", "balance", "worker").out
    refused(3, "has 0.05 ether at the referee", *bond, "withdraw", "0.06 ether")
    assert (
        "0.02 ether paid out to outsider"
        in run(*bond, "withdraw", "0.02 ether", "--to", "outsider").out
    )
    assert "0.03 ether paid out to worker" in run(*bond, "withdraw").out
    refused(2, "nothing at the referee", *bond, "withdraw")
    refused(2, "more than nothing", *bond, "deposit", "0 ether")
