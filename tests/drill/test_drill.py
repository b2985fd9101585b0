"""`modelward drill`: rows by name, reproducible by seed, exit code 1 for what does not hold."""

from __future__ import annotations

import json

import pytest

from modelward.cli import main
from modelward.drill import drill
from modelward.drill.drill import RowResult, Violation, recorded_seeds, run_drill
from modelward.drill.findings import Findings
from modelward.drill.rows import rows
from modelward.errors import BadInput, CheckFailed


def test_a_row_runs_from_the_seed_and_says_what_it_found(capsys):
    assert main(["drill", "--faults", "events", "--seed", "3", "--runs", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (row,) = document["rows"]
    assert (document["seed"], row["row"], row["runs"]) == (3, "events", 2)
    assert row["violations"] == []
    assert row["found"]["requests"] == row["found"]["fulfilled"] > 0


def test_what_does_not_hold_is_named_with_its_seed(monkeypatch, capsys):
    row = rows(1)[0]
    result = RowResult(row, 1, 1.0, Findings(["it broke"]), [Violation(17, "it broke")])
    report = drill.DrillReport(17, False, 1.0, (result,))
    monkeypatch.setattr(drill, "run_drill", lambda *_, **__: report)
    assert main(["drill"]) == 1
    told = capsys.readouterr()
    assert f"{row.name}, seed 17: it broke" in told.out
    assert f"modelward drill --faults {row.name} --seed 17 --runs 1" in told.err


def test_an_unknown_row_is_bad_input():
    with pytest.raises(BadInput, match="no row 'nothing'"):
        run_drill(["nothing"])


def test_a_report_without_violations_requires_nothing():
    drill.DrillReport(0, False, 0.0, (RowResult(rows(1)[0]),)).require()
    with pytest.raises(CheckFailed):
        drill.DrillReport(
            0, False, 0.0, (RowResult(rows(1)[0], violations=[Violation(0, "x")]),)
        ).require()


def test_recorded_seeds_belong_to_rows():
    assert recorded_seeds().keys() <= {row.name for row in rows(1)}


def test_every_row_has_more_runs_in_full():
    for row in rows(1):
        assert row.full >= row.quick
        assert row.full >= 1
