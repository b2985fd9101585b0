"""A crew comes to an end, or says what keeps it from one."""

from __future__ import annotations

from modelward.drill.faults import Fault


def test_a_crew_that_came_to_an_end_has_nothing_left(site, random, crew):
    site.place(random)
    assert crew.finish()
    assert crew.left == "nothing, and it did not come to rest"


def test_a_crew_that_did_not_says_which_requests_are_left_and_why(site, random, crew):
    placed = site.place(random)
    with site.bundle_hidden():
        assert not crew.finish(seconds=0.5)
    assert f"request {placed.id.hex()[:8]} is confirmed (" in crew.without_end
    assert "does not hold" in crew.without_end


def test_a_crew_that_reads_nothing_says_how_the_last_step_failed(site, random, crew):
    crew.step()
    site.plan.by_chance(1.0, [Fault.UNAVAILABLE])
    assert not crew.finish(seconds=0.1)
    assert "limiting requests" in crew.without_end
