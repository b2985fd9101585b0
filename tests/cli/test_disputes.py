"""`request accept`, `request challenge` and `keeper watch`, as typed."""

from __future__ import annotations

import json

import pytest

from tests.exact_market import *  # noqa: F403
from tests.exact_market import BOND, WINDOW, one_more
from tests.market import MODEL


@pytest.fixture
def request_id(placed):
    return f"0x{placed.id.hex()}"


def test_a_right_answer_is_accepted(run, request_id, placed, post):
    post(placed)
    assert "bit for bit" in run("request", "verify", request_id).out
    accepted = run("request", "accept", request_id)
    assert "is paid and has its bond back" in accepted.out, accepted.err


@pytest.fixture
def row_file(breast_cancer, tmp_path):
    path = tmp_path / "row.csv"
    breast_cancer.inputs.iloc[[0]].to_csv(path, index=False)
    return path


@pytest.fixture
def staked_worker(published, market, working):
    """A worker that serves the exact model, with a bond."""
    worker = market.connection("worker")
    worker.send(worker.deployment.referee.deposit(BOND))
    with working():
        yield worker


def test_an_answer_is_shown_as_soon_as_the_program_confirms_it(
    run, published, row_file, staked_worker, connection
):
    sent = run("request", "send", published.reference, "--input", row_file, "--json")
    result = json.loads(sent.out)
    assert result["verified"], sent.err
    left = result["pending_until"] - connection.now()
    assert 0 < left <= WINDOW
    shown = run("request", "show", "--wait", result["id"])
    assert "the program on chain gives the same, bit for bit" in shown.out, shown.err
    assert f"accept it now with `modelward request accept {result['id']}`" in shown.out
    assert "is paid" in run("request", "accept", result["id"]).out


def test_it_is_accepted_at_once_if_that_is_wanted(
    run, published, row_file, staked_worker, connection, referee
):
    sent = run("request", "send", published.reference, "--input", row_file, "--accept", "--json")
    result = json.loads(sent.out)
    assert result["pending_until"] is None, sent.err
    assert staked_worker.escrow.credit_of(staked_worker.address) > 0
    assert referee.balance_of(staked_worker.address) == BOND


def test_a_wrong_answer_is_no_result(run, refused, request_id, placed, post):
    post(placed, one_more)
    assert f"request show --wait {request_id}` checks" in run("request", "show", request_id).out
    refused(1, "does not give the answer that was posted", "request", "show", "--wait", request_id)


def test_what_cannot_be_accepted_is_said_before_anything_is_sent(refused, published, row_file):
    send = ("request", "send", published.reference, "--input", row_file, "--accept")
    refused(2, "must be waited for", *send, "--no-wait")
    refused(2, "stand at once", "request", "send", MODEL, "--input", row_file, "--accept")


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
