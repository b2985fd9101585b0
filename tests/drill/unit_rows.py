"""Rows of the drill's table that need no chain: their tests, which the drill's table lists too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UnitRow:
    """What goes wrong, what is demanded, and the tests that see to it."""

    fault: str
    demanded: str
    tests: tuple[str, ...]


UNIT_ROWS = {
    "malformed": UnitRow(
        "malformed requests",
        "0 crashes, nobody else is held up, each with a recorded reason",
        ("tests/worker/test_malformed_requests.py", "tests/worker/test_refusals.py"),
    ),
    "bundles": UnitRow(
        "hostile bundles",
        "0 code run, memory within the cap",
        (
            "tests/models/test_bundle.py",
            "tests/models/test_hostile_bundles.py",
            "tests/models/test_sandbox.py",
        ),
    ),
}
