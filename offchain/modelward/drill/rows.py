"""The drill's table: what goes wrong, how often it is tried, and what is demanded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelward.drill.findings import Findings
from modelward.drill.processes import POINTS
from modelward.drill.scenarios import (
    clocks,
    deaths,
    endpoints,
    reorganisations,
    rivals,
    soak,
    transactions,
)
from modelward.drill.site import Site

Scenario = Callable[[Site, int], Findings]

QUICK_REQUESTS: Final = 40
FULL_REQUESTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of fault. `quick` and `full` are how many runs the two profiles make of it."""

    name: str
    fault: str
    demanded: str
    scenario: Scenario
    quick: int
    full: int


def rows(requests: int, queue: str | None = None) -> tuple[Row, ...]:
    """All rows, those that take longest first; the soak has so many requests.

    Workers share a queue in the PostgreSQL server `queue`, and nowhere without one.
    """
    shared = (
        Row(
            "one-queue",
            "two workers on one queue",
            "one fulfilment each",
            rivals.share_a_queue(queue),
            3,
            25,
        )
        if queue
        else None
    )
    table = (
        Row(
            "soak",
            f"all faults at 20 %, {requests:,} requests",
            "0 lost, 0 double, memory flat",
            soak.soak(requests),
            1,
            1,
        ),
        Row(
            "kills",
            f"SIGKILL at {len(POINTS)} named points, four a run",
            "one fulfilment each, identical result, 0 lost",
            deaths.kill,
            len(POINTS) // 4,
            75,
        ),
        Row(
            "rpc-chance",
            "10 kinds of RPC fault, 20 % of all calls",
            "no crash, no wrong value, recovers within 60 s",
            endpoints.fail_by_chance,
            4,
            200,
        ),
        Row(
            "rpc-two",
            "two endpoints, either of them down, then both at 20 % of all calls",
            "no crash, no wrong value, recovers within 60 s",
            endpoints.fail_by_chance_at_two,
            4,
            50,
        ),
        Row(
            "rpc",
            "10 kinds of RPC fault, at every method used",
            "no crash, no wrong value, recovers within 60 s",
            endpoints.fail_once_at_every_method,
            10,
            10,
        ),
        Row(
            "rpc-pairs",
            "each kind of RPC fault at each method, alone",
            "no crash, no wrong value, recovers within 60 s",
            endpoints.fail_once_at_one_method,
            0,
            140,
        ),
        Row(
            "rpc-batches",
            f"{len(endpoints.BATCHED_FAULTS)} kinds of RPC fault, at one call of a batch",
            "no crash, no wrong value, recovers within 60 s",
            endpoints.fail_within_batches,
            len(endpoints.BATCHED_FAULTS),
            10 * len(endpoints.BATCHED_FAULTS),
        ),
        Row(
            "reorgs",
            "mining and reorganising at random, 20 steps a run",
            "0 payments for a wrong input, 0 lost",
            reorganisations.reorganise_at_random,
            16,
            500,
        ),
        Row(
            "deep-reorgs",
            "a reorganisation deeper than the window",
            "halts, says so, sends nothing",
            reorganisations.reorganise_too_deep,
            2,
            20,
        ),
        Row(
            "transactions",
            "dropped, underpriced, base fee x 10, key used elsewhere, nonce gaps, lost reply",
            "mined before the deadline or given up, bump of 12.5 %",
            transactions.mishap,
            2 * len(transactions.MISHAPS),
            25 * len(transactions.MISHAPS),
        ),
        Row(
            "lagging",
            "an endpoint that lags and answers []",
            "0 missed",
            endpoints.lag_behind,
            4,
            50,
        ),
        Row(
            "events",
            "duplicated, out-of-order, removed events",
            "exactly once",
            endpoints.falsify_events,
            8,
            200,
        ),
        Row("one-key", "two workers on one key", "one fulfilment each", rivals.share_a_key, 3, 25),
        Row(
            "two-keys",
            "two workers for one model",
            "one fulfilment each",
            rivals.share_a_model,
            3,
            25,
        ),
        Row(
            "clock",
            "the clock off by an hour either way",
            "no late fulfilment, no early refusal",
            clocks.set_the_clock_wrong,
            2,
            10,
        ),
    )
    return table if shared is None else (*table, shared)
