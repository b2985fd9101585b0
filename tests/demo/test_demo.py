"""The demo runs everything for real, checks it, leaves nothing behind, and can fail."""

from __future__ import annotations

import dataclasses
import json
import tempfile

import pytest

from modelward.cli import main
from modelward.demo import DemoReport, run_demo
from modelward.errors import CheckFailed
from modelward.terms import ETHER


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def report(told, tmp_path_factory) -> DemoReport:
    """One run of the demo, with its temporary files in a folder of its own."""
    folder = tmp_path_factory.mktemp("temporary")
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        report = run_demo(told.append)
    finally:
        tempfile.tempdir = before
    assert list(folder.iterdir()) == [], "the demo leaves no file behind"
    return report


def test_every_check_holds(report):
    assert report.failed == ()
    report.require()


def test_the_fee_is_shared_to_the_wei(report):
    escrow, fee = report.escrow, report.result.fee
    assert fee == ETHER // 1000
    assert escrow.payee_share + escrow.worker_share == fee
    assert escrow.fees_in == fee + escrow.refunded
    assert escrow.left == 0


def test_every_account_adds_up(report):
    assert {each.name for each in report.statements} == {
        "owner",
        "requester",
        "worker",
        "outsider",
    }
    assert all(each.adds_up for each in report.statements)
    outsider = next(each for each in report.statements if each.name == "outsider")
    assert (outsider.deposited, outsider.withdrawn) == (0, 0)
    assert outsider.gas > 0


def test_the_timeline_tells_the_story_in_the_order_of_the_chain(report):
    assert [step.words for step in report.steps] == [
        "deployed DataShare",
        "deployed ModelRegistry",
        "deployed ExactPrograms",
        "deployed PrivacyLedger",
        "deployed InferenceEscrow",
        "deployed ExactReferee",
        "registered encryption key 1",
        "registered the model breast-cancer",
        "set the service key of epoch 1",
        "published version 1",
        "granted INFER to requester",
        "granted SERVE to worker",
        "requested a prediction",
        "answered",
        "was refused a request: AccessDenied",
        "requested a prediction",
        "had the fee refunded: nobody answered in time",
        "withdrew",
        "withdrew",
        "withdrew",
    ]
    blocks = [step.block for step in report.steps]
    assert blocks == sorted(blocks)
    assert all(step.gas > 21_000 for step in report.steps)


def test_it_says_what_it_is_doing(report, told):
    assert told[0] == "starting an embedded chain and deploying the contracts"
    assert told[-1] == "withdrawing what everybody is owed"


def test_a_check_that_fails_is_named(report):
    wrong = dataclasses.replace(report.checks[0], found="something else")
    failed = dataclasses.replace(report, checks=(wrong, *report.checks[1:]))
    assert failed.failed == (wrong,)
    with pytest.raises(CheckFailed, match=f"1 of {len(report.checks)} checks failed: {wrong.what}"):
        failed.require()


def test_an_account_does_not_add_up_when_a_wei_is_missing(report):
    richer = dataclasses.replace(report.statements[0], after=report.statements[0].after + 1)
    assert not richer.adds_up


@pytest.fixture
def shown(report, monkeypatch, capsys):
    """Run the command on the report that is there already; returns its exit code and output."""

    def shown(*arguments, report=report):
        monkeypatch.setattr("modelward.demo.run_demo", lambda _: report)
        code = main(["demo", *arguments])
        return code, capsys.readouterr()

    return shown


def test_the_command_prints_the_tables_and_exits_with_0(shown, report):
    code, printed = shown()
    assert (code, printed.err) == (0, "")
    assert f"class        {report.result.prediction.label}" in printed.out
    assert f"commitment   0x{report.result.commitment.hex()}" in printed.out
    assert printed.out.count("\nok  ") == len(report.checks)
    assert "2,000,000,000,000,000  500,000,000,000,000  500,000,000,000,000" in printed.out


def test_the_command_exits_with_1_if_any_check_fails(shown, report):
    wrong = dataclasses.replace(report.checks[0], found="something else")
    code, printed = shown(report=dataclasses.replace(report, checks=(wrong,)))
    assert code == 1
    assert f"FAILED  {wrong.what}" in printed.out
    assert "error: 1 of 1 checks failed" in printed.err


def test_the_command_as_json(shown, report):
    code, printed = shown("--json")
    assert code == 0
    document = json.loads(printed.out)
    assert document["prediction"]["label"] == report.result.prediction.label
    assert document["escrow"]["left"] == "0"
    assert all(check["holds"] for check in document["checks"])
    assert len(document["timeline"]) == len(report.steps)


def test_a_statement_counts_what_a_reverted_transaction_cost_and_not_its_value(report):
    refused = next(step for step in report.steps if "AccessDenied" in step.words)
    outsider = next(each for each in report.statements if each.name == "outsider")
    assert refused.actor == outsider.address
    assert outsider.before - outsider.after == outsider.gas
