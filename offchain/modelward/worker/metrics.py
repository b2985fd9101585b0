"""What a worker exports for Prometheus, and its answers to health checks, on loopback.

`/metrics` gives the metrics, `/healthz` says whether the loop turns, `/readyz` whether requests are
being answered. docs/worker.md lists the metrics.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from modelward import __version__
from modelward.errors import ConfigurationError
from modelward.journal import Identity, State
from modelward.terms import ETH
from modelward.worker.lanes import LaneName
from modelward.worker.milestones import Milestone
from modelward.worker.vitals import OUTCOMES, STOPS_WORK, Alarm, Vitals

LOOPBACK = "127.0.0.1"
LONGEST_TURN = 300.0
"""Seconds the loop may take for one turn before it counts as dead."""


class WorkerCollector(Collector):
    """Reads a worker's vitals whenever they are asked for."""

    def __init__(self, vitals: Vitals, identity: Identity) -> None:
        self._vitals = vitals
        self._identity = identity

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        vitals, identity = self._vitals, self._identity
        yield InfoMetricFamily(
            "modelward_worker",
            "Which worker this is.",
            {
                "version": __version__,
                "account": identity.account,
                "escrow": identity.escrow,
                "chain_id": str(identity.chain_id),
            },
        )
        yield _labelled(
            CounterMetricFamily("modelward_milestones", "Requests that passed a milestone."),
            "milestone",
            {point: vitals.milestones[point] for point in Milestone},
        )
        yield _labelled(
            CounterMetricFamily("modelward_outcomes", "What came of requests in batches."),
            "outcome",
            {outcome: vitals.answers[outcome] for outcome in OUTCOMES},
        )
        yield _labelled(
            CounterMetricFamily("modelward_batches", "Batches run."),
            "lane",
            {lane: vitals.batches[lane] for lane in LaneName},
        )
        yield _labelled(
            CounterMetricFamily("modelward_batch_seconds", "Seconds spent on batches."),
            "lane",
            {lane: vitals.batch_seconds.get(lane, 0.0) for lane in LaneName},
        )
        yield CounterMetricFamily(
            "modelward_batch_cpu_seconds",
            "Seconds of processor time that batches took, outside the sandbox.",
            vitals.batch_cpu_seconds,
        )
        yield _labelled(
            CounterMetricFamily("modelward_sandbox_deaths", "Processes that broke, predicting."),
            "cause",
            {cause: vitals.deaths[cause] for cause in ("time", "memory", "crash")},
        )
        yield CounterMetricFamily(
            "modelward_failed_steps",
            "Steps that failed because the chain could not be reached.",
            vitals.failed_steps,
        )
        yield _labelled(
            GaugeMetricFamily("modelward_alarm", "1 while somebody should look at it."),
            "alarm",
            {alarm: int(alarm in vitals.alarms) for alarm in Alarm},
        )
        yield GaugeMetricFamily(
            "modelward_last_turn_timestamp_seconds",
            "When the loop last came round, by the host's clock.",
            vitals.turned_at,
        )
        isolation = vitals.isolation
        yield _labelled(
            GaugeMetricFamily("modelward_sandbox_isolated", "1 if models are cut off from it."),
            "from",
            {
                "network": int(isolation is not None and isolation.network),
                "files": int(isolation is not None and isolation.files),
            },
        )
        yield from self._standing()

    def _standing(self) -> Iterator[Metric]:
        standing = self._vitals.standing
        if standing is None:
            return
        yield _labelled(
            GaugeMetricFamily("modelward_requests", "Requests in the journal."),
            "state",
            {state: standing.counts.get(state, 0) for state in State},
        )
        yield _labelled(
            GaugeMetricFamily(
                "modelward_fees_earned", "By answers that are final, in units of the token."
            ),
            "token",
            {ETH: 0, **standing.money.earned},
        )
        cursor = standing.cursor.number if standing.cursor else 0
        for name, meaning, value in (
            ("transactions_in_flight", "Signed, and in no block.", len(standing.in_flight)),
            ("gas_spent_wei", "What mined transactions cost.", standing.money.spent),
            ("balance_wei", "What the account has for gas.", standing.balance),
            ("head_block", "The chain's newest block.", standing.head.number),
            ("cursor_block", "The block read last.", cursor),
            ("lag_blocks", "Confirmed blocks that have not been read.", standing.lag_blocks),
            ("lag_seconds", "Age of the block read last.", standing.lag_seconds),
        ):
            yield GaugeMetricFamily(f"modelward_{name}", meaning, value)


@contextmanager
def serve_metrics(vitals: Vitals, identity: Identity, port: int) -> Iterator[int]:
    """Serve metrics and health on loopback; yields the port, which is a free one for 0.

    Raises `ConfigurationError` when the port cannot be had.
    """
    registry = CollectorRegistry()
    registry.register(WorkerCollector(vitals, identity))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._reply(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                case "/healthz":
                    self._say(time.time() - vitals.turned_at < LONGEST_TURN, "the loop turns")
                case "/readyz":
                    self._say(
                        vitals.standing is not None and not STOPS_WORK & vitals.alarms.keys(),
                        "requests are answered",
                    )
                case _:
                    self._reply(404, "text/plain", b"not found\n")

        def _say(self, so: bool, what: str) -> None:
            alarms = "".join(f"{alarm}: {why}\n" for alarm, why in vitals.alarms.items())
            text = f"{'ok' if so else 'NOT'}: {what}\n{alarms}"
            self._reply(200 if so else 503, "text/plain; charset=utf-8", text.encode())

        def _reply(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep health checks out of the log."""

    try:
        server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    except OSError as error:
        raise ConfigurationError(
            f"Metrics cannot be served on port {port}: {error.strerror}."
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _labelled(family: Any, label: str, values: dict[Any, float]) -> Metric:
    metric = type(family)(family.name, family.documentation, labels=[label])
    for value, amount in values.items():
        metric.add_metric([str(value)], amount)
    result: Metric = metric
    return result
