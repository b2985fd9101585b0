"""What an operator types: status, jobs, retry, drain; beside a worker that runs, or after it."""

from __future__ import annotations

import json
from io import StringIO

import pytest

from modelward.chain.accounts import Account
from modelward.journal import Checkpoint, State
from modelward.worker import Worker, open_journal
from modelward.worker.admission import Waiting
from tests.market import MODEL


@pytest.fixture
def row(breast_cancer):
    return breast_cancer.inputs.iloc[0].to_dict()


def open_usual(market):
    """The worker's usual journal."""
    connection = market.connection("worker")
    return open_journal(
        connection.chain,
        connection.deployment,
        Account.development("worker"),
        directory=connection.config.journal_directory,
    )


@pytest.fixture
def employed(market, sandbox, project):
    """A worker on its usual journal, stepped by hand."""
    connection = market.connection("worker")
    with (
        open_usual(market) as journal,
        Worker(
            connection.chain,
            connection.deployment,
            Account.development("worker"),
            connection.store,
            journal,
            sandbox=sandbox,
        ) as worker,
    ):
        yield worker


def test_status_of_an_account_that_never_worked_says_what_to_do(run):
    outcome = run("worker", "status", "--account", "outsider")
    assert outcome.code == 4
    assert "There is no journal" in outcome.err
    assert "modelward worker run" in outcome.err


def test_status_can_be_asked_beside_a_worker_that_runs(run, employed, requester, row):
    requester.send(MODEL, row)
    employed.step()
    shown = run("worker", "status")
    assert shown.code == 0, shown.err
    assert Account.development("worker").address in shown.out
    assert "1 final" in shown.out
    assert "0 blocks behind" in shown.out
    assert "no transaction" in shown.out
    assert "sandbox" in shown.out
    assert "ALARM" not in shown.out


def test_status_tells_what_was_earned_and_spent(run, employed, requester, row):
    placed = requester.send(MODEL, row)
    employed.drain()
    employed.drain()
    document = json.loads(run("worker", "status", "--json").out)
    job = employed.journal.job(placed.id)
    assert document["earned"] == {job.offer.token: str(job.offer.worker_share)}
    assert int(document["gasSpent"]) > 0
    assert "spent" in run("worker", "status").out


def test_status_tells_programs_the_same_and_raises_alarms(run, employed):
    employed.step()
    document = json.loads(run("worker", "status", "--json", "--low-balance", "1000000 ether").out)
    assert document["account"] == Account.development("worker").address
    assert document["lagBlocks"] == 0
    assert document["head"] == document["cursor"]
    assert set(document["sandbox"]) == {"network", "files"}
    assert list(document["alarms"]) == ["low_balance"]


def test_jobs_lists_what_waits_and_why(run, employed, requester, row):
    placed = requester.send(MODEL, row)
    wait_for_a_reason(employed, placed.id)
    listed = run("worker", "jobs")
    assert listed.code == 0
    assert f"0x{placed.id.hex()}" in listed.out
    assert "a reason that can pass" in listed.out
    [document] = json.loads(run("worker", "jobs", "--json", "--state", "confirmed").out)
    assert document["id"] == f"0x{placed.id.hex()}"
    assert document["reason"] == "a reason that can pass"
    assert run("worker", "jobs", "--state", "final").out.splitlines()[1:] == []


def test_a_state_there_is_not_is_bad_input(run, employed):
    refused = run("worker", "jobs", "--state", "bored")
    assert refused.code == 2
    assert "confirmed" in refused.err


def test_a_waiting_request_can_be_retried_while_its_worker_runs(run, employed, requester, row):
    placed = requester.send(MODEL, row)
    wait_for_a_reason(employed, placed.id)
    assert employed.step().idle

    retried = run("worker", "retry", f"0x{placed.id.hex()[:10]}")

    assert retried.code == 0, retried.err
    assert "a reason that can pass" in retried.out
    employed.step()
    job = employed.journal.job(placed.id)
    assert job is not None
    assert job.state is State.FINAL


def test_what_waits_for_nothing_cannot_be_retried(run, employed, requester, row):
    placed = requester.send(MODEL, row)
    employed.step()
    refused = run("worker", "retry", f"0x{placed.id.hex()}")
    assert refused.code == 2
    assert "final" in refused.err
    assert run("worker", "retry", "0x00").code == 2


def test_draining_beside_a_worker_that_runs_says_how_to(run, employed):
    refused = run("worker", "drain")
    assert refused.code == 4
    assert "SIGTERM" in refused.err


def test_draining_takes_nothing_new(run, employed, requester, row):
    placed = requester.send(MODEL, row)
    employed.close()
    employed.journal.close()
    drained = run("worker", "drain")
    assert drained.code == 0, drained.err
    assert "drained" in drained.out
    assert run("worker", "jobs", "--state", "confirmed").out.count(placed.id.hex()) == 1


def wait_for_a_reason(worker, request_id):
    """Let the worker read a request, and put it off for an hour."""
    worker._taking = False
    worker.step()
    worker._taking = True
    worker._wait(worker.journal.job(request_id), Waiting("a reason that can pass", 3600))


def test_a_halted_worker_is_resumed_once_somebody_has_looked(run, market, project, monkeypatch):
    with open_usual(market) as journal:
        journal.advance(0, Checkpoint(0, market.connection("worker").chain.block(0).hash, 0))
        journal.advance(1, Checkpoint(1, b"\1" * 32, 1))
        journal.halt("It went too deep.")

    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    declined = run("worker", "resume")
    assert declined.code != 0
    assert "It went too deep." in declined.out
    assert "after 0, 1 blocks back" in declined.out

    resumed = run("worker", "resume", "--yes")
    assert resumed.code == 0, resumed.err
    with open_usual(market) as journal:
        assert journal.halted() is None
        assert journal.cursor().number == 0


def test_there_is_nothing_to_resume_for_a_worker_that_is_not_halted(run, market, project):
    with open_usual(market):
        pass
    refused = run("worker", "resume", "--yes")
    assert refused.code == 2
    assert "not halted" in refused.err


def test_a_worker_that_runs_is_not_resumed(run, employed):
    refused = run("worker", "resume", "--yes")
    assert refused.code == 4
    assert "in use" in refused.err
