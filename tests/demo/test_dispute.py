"""The demo of disputes: every check holds, and lying does not pay."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from modelward.demo import DemoCheck, DisputeReport, run_dispute_demo
from modelward.errors import CheckFailed


@pytest.fixture(scope="module")
def report() -> DisputeReport:
    return run_dispute_demo()


def test_every_check_holds(report):
    assert [check.what for check in report.checks if not check.holds] == []
    assert len(report.checks) == 8
    report.require()


def test_a_challenge_costs_what_its_bookkeeping_and_a_linear_program_do(report):
    assert 98_000 < report.challenge_gas < 170_000


def test_only_honesty_gains(report):
    honest, lying, itself = report.outcomes.values()
    assert 0 < honest < report.fee
    assert -1.1 * report.bond < lying <= -report.bond
    assert lying < itself <= -report.bond // 2


def test_a_check_that_fails_is_a_failure(report):
    broken = DisputeReport(**{**vars(report), "checks": (DemoCheck("one is two", 1, 2),)})
    with pytest.raises(CheckFailed, match="one is two"):
        broken.require()


def test_the_command_prints_one_document():
    done = subprocess.run(
        [sys.executable, "-m", "modelward", "demo", "--exact", "--json"],
        capture_output=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert all(check["holds"] for check in document["checks"])
    assert set(document["worker_gained"]) == {
        "answers honestly",
        "lies, and is challenged",
        "lies, and challenges itself",
    }
