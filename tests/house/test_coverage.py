"""`make coverage` counts as missed what a trace says was never taken."""

from __future__ import annotations

from tests.solidity.coverage import coverage_in

TRACE = """SF:contracts/Taken.sol
DA:3,7
BRDA:3,0,0,7
BRDA:3,0,1,2
end_of_record
SF:contracts/Missed.sol
DA:5,1
DA:6,0
BRDA:5,0,0,1
BRDA:5,0,1,-
BRDA:8,1,0,0
end_of_record
"""


def test_a_source_of_which_everything_was_taken_misses_nothing() -> None:
    taken = coverage_in(TRACE)["contracts/Taken.sol"]

    assert (taken.lines, taken.branches) == ({"3": 7}, {"3,0,0": 7, "3,0,1": 2})
    assert not taken.missed


def test_lines_and_branches_never_reached_or_never_taken_are_missed() -> None:
    assert coverage_in(TRACE)["contracts/Missed.sol"].missed == [
        "line 6",
        "a branch of line 5",
        "a branch of line 8",
    ]
