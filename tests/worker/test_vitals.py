"""What a worker tells those who look after it: metrics, health, alarms, log lines."""

from __future__ import annotations

import json
import logging
import re
import time
import urllib.error
import urllib.request
from contextlib import ExitStack

import pytest

from modelward.errors import ConfigurationError
from modelward.terms import ETH, ETHER
from modelward.worker.logs import JsonLines
from modelward.worker.metrics import serve_metrics
from modelward.worker.vitals import Alarm, Thresholds, look

from .test_running import run_in_background
from .trading import FEE, PAYEE_BPS, unreachable


def get(port, path):
    """The status and the text of an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def serving():
    """Serve a worker's metrics; gives the port."""
    with ExitStack() as stack:
        yield lambda worker: stack.enter_context(
            serve_metrics(worker.vitals, worker.journal.identity, 0)
        )


def test_metrics_count_what_was_done(market, model, trained, make_worker, serving):
    working = make_worker()
    port = serving(working)
    market.place(model, trained.row)
    market.place(model, b"")
    working.step()
    status, text = get(port, "/metrics")
    assert status == 200
    for line in (
        'modelward_milestones_total{milestone="sent"} 2.0',
        'modelward_outcomes_total{outcome="fulfilment"} 1.0',
        'modelward_outcomes_total{outcome="refusal"} 1.0',
        'modelward_requests{state="final"} 1.0',
        'modelward_requests{state="refused"} 1.0',
        'modelward_alarm{alarm="halted"} 0.0',
        "modelward_lag_blocks 0.0",
    ):
        assert line in text.splitlines()
    earned = re.search(rf'(?m)^modelward_fees_earned{{token="{ETH}"}} (\S+)$', text)
    assert earned is not None
    assert float(earned[1]) == FEE - FEE * PAYEE_BPS // 10_000


def test_the_guide_lists_exactly_the_metrics_there_are(make_worker, serving, repository):
    working = make_worker()
    working.step()
    _, text = get(serving(working), "/metrics")
    exported = {
        (name.removesuffix("_total").removesuffix("_info"), kind.replace("info", "gauge"))
        for name, kind in re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text)
    }
    guide = (repository / "docs" / "worker.md").read_text("utf-8")
    listed = set(
        re.findall(r"(?m)^\| `(modelward_\w+?)(?:_total|_info)?(?:\{\w+\})?` \| (\w+) ", guide)
    )
    assert listed == exported


def test_health_and_readiness_tell_a_worker_from_a_dead_one(make_worker, serving):
    working = make_worker()
    port = serving(working)
    assert get(port, "/healthz")[0] == 200
    assert get(port, "/readyz")[0] == 503  # it has not looked around yet
    working.step()
    assert get(port, "/readyz")[0] == 200
    working.vitals.halted("too deep")
    assert get(port, "/readyz") == (503, "NOT: requests are answered\nhalted: too deep\n")
    working.vitals.turned_at -= 1_000
    assert get(port, "/healthz")[0] == 503
    assert get(port, "/elsewhere")[0] == 404


def test_a_port_in_use_is_one_sentence(make_worker, serving):
    working = make_worker()
    taken = serving(working)
    with (
        pytest.raises(ConfigurationError, match=f"port {taken}"),
        serve_metrics(working.vitals, working.journal.identity, taken),
    ):
        pass


def test_an_outage_raises_an_alarm_and_its_end_takes_it_back(
    make_worker, endpoint, monkeypatch, caplog
):
    monkeypatch.setattr("modelward.chain.connection._FIRST_PAUSE", 0)
    monkeypatch.setattr("modelward.worker.service._FIRST_PAUSE", 0.01)
    caplog.set_level(logging.INFO)
    working = make_worker(network={"poll_interval": 0.01})
    endpoint.faults["*"] = unreachable
    stop, thread = run_in_background(working)
    try:
        wait_until(lambda: Alarm.RPC_DOWN in working.vitals.alarms)
        endpoint.faults.clear()
        wait_until(lambda: not working.vitals.alarms)
    finally:
        stop.set()
        thread.join(60)
    assert "alarm rpc_down:" in caplog.text
    assert "alarm rpc_down is over" in caplog.text


def test_a_low_balance_and_a_lag_are_alarms(make_worker, worker, chain, devchain):
    working = make_worker()
    working.step()
    standing = look(working.journal, chain, worker.address)
    assert standing.alarms(Thresholds()) == {}
    assert set(standing.alarms(Thresholds(low_balance=10**9 * ETHER))) == {Alarm.LOW_BALANCE}
    devchain.set_next_timestamp(chain.head().timestamp + 301)
    devchain.mine()
    standing = look(working.journal, chain, worker.address)
    assert set(standing.alarms(Thresholds())) == {Alarm.STALLED}


def test_a_log_line_is_one_json_object_without_inputs_or_secrets(
    market, model, trained, make_worker, caplog, worker
):
    caplog.set_level(logging.DEBUG)
    placed = market.place(model, trained.row)
    make_worker().step()
    lines = [JsonLines().format(record) for record in caplog.records if "modelward" in record.name]
    documents = [json.loads(line) for line in lines]
    assert all("\n" not in line for line in lines)
    mine = [d for d in documents if d.get("request") == f"0x{placed.id.hex()}"]
    assert [d["event"] for d in mine] == ["seen", "computed", "sent", "mined", "ended"]
    text = "".join(lines)
    for secret in (placed.secret, trained.row, worker.account.private_key):
        assert secret.hex() not in text


def wait_until(so, seconds=60):
    give_up = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < give_up
        time.sleep(0.02)
