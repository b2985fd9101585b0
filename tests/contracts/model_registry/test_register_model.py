from dataclasses import replace

import pytest

from modelward import commitments
from modelward.chain.events import ModelRegistered, TermsSet, ThresholdRaised
from modelward.terms import GWEI, MAX_FEE, Metric, ModelState
from tests.contracts.said import event, said
from tests.contracts.specimens import ACCURACY, LOG_LOSS, NAME, TERMS
from tests.contracts.unchecked import unchecked


def test_it_records_the_model(registry, owner):
    owner.send(registry.register_model(NAME, TERMS, [ACCURACY, LOG_LOSS]))

    model_id = commitments.model_id(owner.address, NAME)
    assert registry.model_of(model_id) == ModelState(
        owner.address, TERMS, retired=False, versions=0
    )
    assert registry.thresholds_of(model_id) == (ACCURACY, LOG_LOSS)


def test_it_returns_the_models_id(registry, owner):
    returned = registry.view("registerModel", NAME, TERMS, (), sender=owner.address)

    assert returned == commitments.model_id(owner.address, NAME)


def test_it_says_name_terms_and_each_threshold(registry, owner):
    receipt = owner.send(registry.register_model(NAME, TERMS, [LOG_LOSS, ACCURACY]))

    model_id = commitments.model_id(owner.address, NAME)
    assert said(receipt, registry) == [
        event(ModelRegistered, model_id=model_id, owner=owner.address, name=NAME),
        event(TermsSet, model_id=model_id, terms=TERMS),
        event(
            ThresholdRaised,
            model_id=model_id,
            name="log_loss",
            higher_is_better=False,
            ppm=LOG_LOSS.ppm,
        ),
        event(
            ThresholdRaised,
            model_id=model_id,
            name="accuracy",
            higher_is_better=True,
            ppm=ACCURACY.ppm,
        ),
    ]


def test_no_one_can_take_a_name_from_anyone_else(registry, owner, outsider):
    outsider.send(registry.register_model(NAME, replace(TERMS, fee=0)))
    owner.send(registry.register_model(NAME, TERMS))

    squatted = registry.model_of(commitments.model_id(outsider.address, NAME))
    registered = registry.model_of(commitments.model_id(owner.address, NAME))
    assert (squatted.owner, squatted.terms.fee) == (outsider.address, 0)
    assert (registered.owner, registered.terms) == (owner.address, TERMS)


def test_an_owner_may_have_several_models(registry, owner):
    for name in ("a", "b"):
        owner.send(registry.register_model(name, TERMS))
        assert registry.model_of(commitments.model_id(owner.address, name)).terms == TERMS


@pytest.mark.parametrize("name", ["n", "n" * 64, "\N{GREEK SMALL LETTER MU}" * 32])
def test_a_name_has_1_to_64_bytes(registry, owner, name):
    owner.send(registry.register_model(name, TERMS))

    assert registry.model_of(commitments.model_id(owner.address, name)).owner == owner.address


@pytest.mark.parametrize("name", ["", "n" * 65, "\N{GREEK SMALL LETTER MU}" * 33])
def test_any_other_name_is_refused(registry, owner, reverts, name):
    with reverts("InvalidName", length=len(name.encode()), most=64):
        owner.send(registry.register_model(name, TERMS))


def test_a_second_model_of_the_same_name_is_refused(registry, owner, model_id, reverts):
    with reverts("ModelExists", modelId=model_id):
        owner.send(registry.register_model(NAME, replace(TERMS, fee=0)))


def test_the_name_of_a_retired_model_stays_taken(registry, owner, retired_model_id, reverts):
    with reverts("ModelExists", modelId=retired_model_id):
        owner.send(registry.register_model("retired", TERMS))


def test_invalid_terms_are_refused_as_by_set_terms(registry, owner, reverts):
    fee = GWEI + 1
    with reverts("InvalidFee", fee=fee, unit=GWEI, most=MAX_FEE):
        owner.send(registry.register_model(NAME, unchecked(TERMS, fee=fee)))


def test_invalid_thresholds_are_refused_as_by_raise_thresholds(registry, owner, reverts):
    thresholds = [Metric(f"metric_{number}", True, 0) for number in range(9)]
    with reverts("TooManyMetrics", count=9, most=8):
        owner.send(registry.register_model(NAME, TERMS, thresholds))


def test_what_was_refused_leaves_nothing(registry, owner, reverts):
    with reverts("MetricsNotAscending", index=1):
        nameless = unchecked(ACCURACY, name="")
        owner.send(registry.register_model(NAME, TERMS, [ACCURACY, nameless]))

    model_id = commitments.model_id(owner.address, NAME)
    with reverts("UnknownModel", modelId=model_id):
        registry.model_of(model_id)
    assert registry.thresholds_of(model_id) == ()
