"""What a dispute about an exact model may cost, and that it ends as the program says."""

import pytest

from modelward.bench import exact
from modelward.bench.exact_speed import measure_speed

LIMITS = {"linear": 60_000, "mlp": 120_000, "forest": 160_000}


@pytest.fixture(scope="module")
def subjects():
    return tuple(exact.subjects())


@pytest.fixture(scope="module")
def gas(subjects):
    return exact.measure_gas(subjects)


@pytest.mark.parametrize("name", LIMITS)
def test_running_a_stored_program_costs_no_more_than_its_limit(gas, name):
    assert gas[name]["run"] <= LIMITS[name]


@pytest.mark.parametrize("name", LIMITS)
def test_what_comes_on_top_of_a_run_does_not_depend_on_the_program(gas, name):
    assert gas[name]["challenge"] > gas[name]["run"]
    assert gas[name]["bookkeeping"] == pytest.approx(gas["linear"]["bookkeeping"], abs=500)


@pytest.mark.parametrize("name", LIMITS)
def test_storing_costs_in_proportion_to_the_program(gas, name):
    assert 200 < gas[name]["store"] / gas[name]["program_bytes"] < 1_000


def test_the_models_are_what_they_are_called(subjects):
    linear, network, forest = (subject.program for subject in subjects)
    assert linear.features == network.features == forest.features == 30
    assert [len(layer.biases) for layer in network.layers] == [exact.HIDDEN_NEURONS, 1]
    assert len(forest.trees) == exact.FOREST_TREES


def test_programs_are_fast_beside_their_estimators(subjects):
    """Half of what holds on an idle machine: this one may be busy."""
    for name, figures in measure_speed(subjects).items():
        assert figures["single_ratio"] > 10, name
        assert figures["batch_ratio"] > (0.25 if name == "forest" else 0.5), name
