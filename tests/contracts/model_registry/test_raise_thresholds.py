from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward.chain.events import ThresholdRaised
from modelward.errors import ContractRefused
from modelward.terms import Metric, VersionStatus
from tests.contracts.said import event, said
from tests.contracts.specimens import ACCURACY, LOG_LOSS, version_of
from tests.contracts.strategies import examples
from tests.contracts.unchecked import unchecked


def test_it_adds_thresholds_and_says_each(registry, owner, model_id):
    receipt = owner.send(registry.raise_thresholds(model_id, [LOG_LOSS, ACCURACY]))

    assert registry.thresholds_of(model_id) == (LOG_LOSS, ACCURACY)
    assert said(receipt, registry) == [
        event(
            ThresholdRaised,
            model_id=model_id,
            name=metric.name,
            higher_is_better=metric.higher_is_better,
            ppm=metric.ppm,
        )
        for metric in (LOG_LOSS, ACCURACY)
    ]


@pytest.mark.parametrize(
    ("current", "stricter"),
    [
        (ACCURACY, replace(ACCURACY, ppm=ACCURACY.ppm + 1)),
        (ACCURACY, replace(ACCURACY, ppm=2**63 - 1)),
        (LOG_LOSS, replace(LOG_LOSS, ppm=LOG_LOSS.ppm - 1)),
        (LOG_LOSS, replace(LOG_LOSS, ppm=-(2**63))),
        (ACCURACY, ACCURACY),
        (LOG_LOSS, LOG_LOSS),
    ],
    ids=str,
)
def test_one_of_the_same_name_takes_the_place_of_the_one_before(
    registry, owner, model_id, current, stricter
):
    owner.send(registry.raise_thresholds(model_id, [current, Metric("recall", True, 5)]))

    receipt = owner.send(registry.raise_thresholds(model_id, [stricter]))

    assert registry.thresholds_of(model_id) == (stricter, Metric("recall", True, 5))
    assert said(receipt, registry) == [
        event(
            ThresholdRaised,
            model_id=model_id,
            name=stricter.name,
            higher_is_better=stricter.higher_is_better,
            ppm=stricter.ppm,
        )
    ]


@pytest.mark.parametrize(
    ("current", "looser"),
    [
        (ACCURACY, replace(ACCURACY, ppm=ACCURACY.ppm - 1)),
        (LOG_LOSS, replace(LOG_LOSS, ppm=LOG_LOSS.ppm + 1)),
        (ACCURACY, replace(ACCURACY, higher_is_better=False)),
        (LOG_LOSS, replace(LOG_LOSS, higher_is_better=True)),
        (ACCURACY, Metric("accuracy", False, -1)),
    ],
    ids=str,
)
def test_a_looser_one_or_one_in_the_other_direction_is_refused(
    registry, owner, model_id, reverts, current, looser
):
    owner.send(registry.raise_thresholds(model_id, [current]))

    with reverts("ThresholdLowered", name=current.name, current=current.ppm, given=looser.ppm):
        owner.send(registry.raise_thresholds(model_id, [looser]))

    assert registry.thresholds_of(model_id) == (current,)


def test_one_call_may_raise_the_same_threshold_twice_but_not_lower_it(
    registry, owner, model_id, reverts
):
    stricter = replace(ACCURACY, ppm=ACCURACY.ppm + 1)

    owner.send(registry.raise_thresholds(model_id, [ACCURACY, stricter]))
    with reverts("ThresholdLowered", name="recall", current=2, given=1):
        recall = [Metric("recall", True, 2), Metric("recall", True, 1)]
        owner.send(registry.raise_thresholds(model_id, recall))

    assert registry.thresholds_of(model_id) == (stricter,)


def test_raising_by_nothing_says_nothing(registry, owner, model_id):
    receipt = owner.send(registry.raise_thresholds(model_id, []))

    assert receipt.logs == ()
    assert registry.thresholds_of(model_id) == ()


def test_a_model_has_eight_at_most(registry, owner, model_id, reverts):
    eight = tuple(Metric(f"metric_{number}", True, number) for number in range(8))
    owner.send(registry.raise_thresholds(model_id, eight))

    with reverts("TooManyMetrics", count=9, most=8):
        owner.send(registry.raise_thresholds(model_id, [ACCURACY]))
    owner.send(registry.raise_thresholds(model_id, [replace(eight[7], ppm=8)]))

    assert registry.thresholds_of(model_id) == (*eight[:7], replace(eight[7], ppm=8))


def test_one_without_a_name_is_refused(registry, owner, model_id, reverts):
    nameless = unchecked(ACCURACY, name="")
    with reverts("MetricsNotAscending", index=1):
        owner.send(registry.raise_thresholds(model_id, [ACCURACY, nameless]))


def test_they_bind_what_is_published_afterwards(registry, owner, model_id):
    before = version_of(model_id, owner.address, metrics=())
    after = version_of(model_id, owner.address, "second", metrics=())
    owner.send(registry.publish_version(before))
    owner.send(registry.raise_thresholds(model_id, [ACCURACY]))
    owner.send(registry.publish_version(after))

    for version, expected in (
        (before, VersionStatus.SERVABLE),
        (after, VersionStatus.REJECTED),
    ):
        state = registry.version_of(model_id, registry.version_id_of(version))
        assert state.status == expected


def test_only_the_owner_may(registry, owner, outsider, model_id, reverts):
    with reverts("NotOwner", modelId=model_id, owner=owner.address, caller=outsider.address):
        outsider.send(registry.raise_thresholds(model_id, [ACCURACY]))


def test_an_unknown_model_has_none(registry, owner, reverts):
    with reverts("UnknownModel", modelId=b"\x77" * 32):
        owner.send(registry.raise_thresholds(b"\x77" * 32, [ACCURACY]))


def test_a_retired_model_keeps_its_own(registry, owner, retired_model_id, reverts):
    with reverts("ModelIsRetired", modelId=retired_model_id):
        owner.send(registry.raise_thresholds(retired_model_id, [ACCURACY]))


metrics = st.builds(
    Metric,
    name=st.sampled_from(["accuracy", "auc", "log_loss"]),
    higher_is_better=st.booleans(),
    ppm=st.integers(-3, 3),
)


@given(batches=st.lists(st.lists(metrics, max_size=3), max_size=5))
@examples(25)
def test_whatever_is_tried_no_threshold_is_ever_loosened(
    registry, devchain, owner, model_id, batches
):
    snapshot = devchain.snapshot()
    expected: dict[str, Metric] = {}
    for batch in batches:
        raised = dict(expected)
        refusal: AbstractContextManager[object]
        for metric in batch:
            if metric.name in raised and not metric.reaches(raised[metric.name]):
                refusal = pytest.raises(ContractRefused, match="only rises")
                break
            raised[metric.name] = metric
        else:
            refusal, expected = nullcontext(), raised

        with refusal:
            owner.send(registry.raise_thresholds(model_id, batch))

        assert registry.thresholds_of(model_id) == tuple(expected.values())
    devchain.revert(snapshot)
