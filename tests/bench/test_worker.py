"""The worker's figures: there, plausible, and of right answers only."""

from __future__ import annotations

import json

import pytest

from modelward.bench import worker as bench
from modelward.cli import main
from modelward.errors import CheckFailed


@pytest.fixture(scope="module")
def figures():
    return bench.measure(requests=6)


def test_rates_are_given_beside_that_of_empty_transactions(figures):
    single, bare = figures["one_by_one"], figures["bare_transactions_per_second"]
    assert single["fulfilled_per_second"] > 0
    assert figures["ratio_one_by_one"] == round(single["fulfilled_per_second"] / bare, 3)


def test_one_by_one_each_answer_has_its_transaction_and_its_gas(figures):
    assert figures["one_by_one"]["transactions"] == 6
    assert 40_000 < figures["one_by_one"]["gas_per_result"] < 120_000
    batched = figures["in_batches_of_64"]
    assert batched["gas_per_result"] <= figures["one_by_one"]["gas_per_result"]


def test_cpu_is_split_into_parts_that_all_took_some(figures):
    for way in ("one_by_one", "in_batches_of_64"):
        parts = figures[way]["cpu_ms_per_request"]
        assert list(parts) == ["chain", "signing", "inference", "database", "other"]
        assert all(parts[part] > 0 for part in ("chain", "signing", "inference", "database"))


def test_latency_is_told_in_blocks(figures):
    latency = figures["latency"]
    assert latency["requests"] == 6
    assert 1 <= latency["p50_blocks"] <= latency["p99_blocks"] < 60


def test_a_worker_too_slow_for_its_machine_fails_the_check(monkeypatch, capsys):
    slow = {"requests": 1, "ratio_one_by_one": 0.59}
    monkeypatch.setattr(bench, "measure", lambda **_: slow)
    assert main(["bench", "worker", "--check", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out) == slow
    assert "0.6 is demanded" in told.err


def test_time_within_counts_once():
    meter = bench.Meter()
    with meter.on("outer"), meter.on("inner"):
        sum(range(300_000))
    assert meter.seconds["inner"] > 10 * meter.seconds["outer"]


def test_a_wrong_answer_is_no_figure(monkeypatch):
    from modelward.drill.findings import Findings

    monkeypatch.setattr(bench, "audit", lambda *_: Findings(["it was paid for a wrong result"]))
    with pytest.raises(CheckFailed, match="paid for a wrong result"):
        bench.measure(requests=1)
