from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelward import commitments
from modelward.chain.events import VersionPublished
from modelward.terms import (
    ZERO_HASH,
    Metric,
    VersionState,
    VersionStatus,
)
from tests.contracts.said import event, said
from tests.contracts.specimens import ACCURACY, LOG_LOSS, NAME, TERMS, version_of
from tests.contracts.strategies import examples
from tests.contracts.unchecked import unchecked


def test_it_records_number_status_time_and_verifier(registry, devchain, owner, model_id, sponsor):
    version = version_of(model_id, owner.address, verifier=sponsor.address)

    owner.send(registry.publish_version(version))

    assert registry.version_of(model_id, commitments.version_id(version)) == VersionState(
        status=VersionStatus.SERVABLE,
        number=1,
        published_at=devchain.time,
        verifier=sponsor.address,
    )
    assert registry.model_of(model_id).versions == 1


def test_it_says_every_field_of_the_version(registry, owner, model_id, sponsor):
    version = version_of(
        model_id,
        owner.address,
        program_hash=b"\x01" * 32,
        verifier=sponsor.address,
        verifier_settings=b"\x02" * 32,
        uri="https://store.example/" + "b" * 80,
    )

    receipt = owner.send(registry.publish_version(version))

    assert said(receipt, registry) == [
        event(
            VersionPublished,
            model_id=model_id,
            version_id=commitments.version_id(version),
            number=1,
            status=VersionStatus.SERVABLE,
            version=version,
        )
    ]


def test_it_returns_id_and_status(registry, owner, model_id):
    owner.send(registry.raise_thresholds(model_id, [ACCURACY]))

    for metrics, expected in (
        ((ACCURACY,), VersionStatus.SERVABLE),
        ((LOG_LOSS,), VersionStatus.REJECTED),
    ):
        version = version_of(model_id, owner.address, metrics=metrics)
        returned = registry.view("publishVersion", version, b"", sender=owner.address)
        assert returned == (commitments.version_id(version), expected)


def test_versions_are_numbered_from_1_rejected_ones_included(registry, owner, model_id):
    perfect = Metric("accuracy", True, 10**6)
    versions = [
        version_of(model_id, owner.address, "servable"),
        version_of(model_id, owner.address, "rejected"),
        version_of(model_id, owner.address, "servable again", metrics=(perfect,)),
    ]
    owner.send(registry.publish_version(versions[0]))
    owner.send(registry.raise_thresholds(model_id, [perfect]))
    owner.send(registry.publish_version(versions[1]))
    owner.send(registry.publish_version(versions[2]))

    states = [
        registry.version_of(model_id, commitments.version_id(version)) for version in versions
    ]
    assert [(state.number, state.status) for state in states] == [
        (1, VersionStatus.SERVABLE),
        (2, VersionStatus.REJECTED),
        (3, VersionStatus.SERVABLE),
    ]
    assert registry.model_of(model_id).versions == 3


def test_each_model_numbers_its_own(registry, owner, model_id):
    owner.send(registry.register_model("other", TERMS))
    other = commitments.model_id(owner.address, "other")
    for each in (model_id, other):
        version = version_of(each, owner.address)
        owner.send(registry.publish_version(version))
        assert registry.version_of(each, commitments.version_id(version)).number == 1


class TestTheGate:
    @pytest.mark.parametrize(
        ("threshold", "figure", "status"),
        [
            (ACCURACY, ACCURACY, VersionStatus.SERVABLE),
            (ACCURACY, replace(ACCURACY, ppm=ACCURACY.ppm + 1), VersionStatus.SERVABLE),
            (ACCURACY, replace(ACCURACY, ppm=ACCURACY.ppm - 1), VersionStatus.REJECTED),
            (LOG_LOSS, LOG_LOSS, VersionStatus.SERVABLE),
            (LOG_LOSS, replace(LOG_LOSS, ppm=LOG_LOSS.ppm - 1), VersionStatus.SERVABLE),
            (LOG_LOSS, replace(LOG_LOSS, ppm=LOG_LOSS.ppm + 1), VersionStatus.REJECTED),
            (ACCURACY, Metric("accuracy", False, 10**6), VersionStatus.REJECTED),
            (LOG_LOSS, Metric("log_loss", True, 0), VersionStatus.REJECTED),
            (ACCURACY, Metric("accuracy_", True, 10**6), VersionStatus.REJECTED),
            (ACCURACY, LOG_LOSS, VersionStatus.REJECTED),
            (Metric("r2", True, -500_000), Metric("r2", True, -400_000), VersionStatus.SERVABLE),
            (Metric("r2", True, -500_000), Metric("r2", True, -600_000), VersionStatus.REJECTED),
        ],
        ids=str,
    )
    def test_a_figure_must_reach_its_threshold_in_the_same_direction(
        self, registry, owner, model_id, threshold, figure, status
    ):
        owner.send(registry.raise_thresholds(model_id, [threshold]))
        version = version_of(model_id, owner.address, metrics=(figure,))

        receipt = owner.send(registry.publish_version(version))

        assert registry.version_of(model_id, commitments.version_id(version)).status == status
        [(_, fields)] = said(receipt, registry)
        assert fields["status"] == status

    def test_without_thresholds_every_version_passes(self, registry, owner, model_id):
        version = version_of(model_id, owner.address, metrics=())

        owner.send(registry.publish_version(version))

        state = registry.version_of(model_id, commitments.version_id(version))
        assert state.status == VersionStatus.SERVABLE

    def test_a_missing_figure_reaches_no_threshold(self, registry, owner, model_id):
        owner.send(registry.raise_thresholds(model_id, [ACCURACY, LOG_LOSS]))
        version = version_of(model_id, owner.address, metrics=(ACCURACY,))

        owner.send(registry.publish_version(version))

        state = registry.version_of(model_id, commitments.version_id(version))
        assert state.status == VersionStatus.REJECTED

    def test_another_models_thresholds_do_not_count(self, registry, owner, model_id):
        impossible = Metric("impossible", True, 2**63 - 1)
        owner.send(registry.register_model("strict", TERMS, [impossible]))
        version = version_of(model_id, owner.address)

        owner.send(registry.publish_version(version))

        state = registry.version_of(model_id, commitments.version_id(version))
        assert state.status == VersionStatus.SERVABLE

    @given(
        thresholds=st.lists(
            st.builds(
                Metric,
                name=st.sampled_from(["a", "b", "c"]),
                higher_is_better=st.booleans(),
                ppm=st.integers(-2, 2),
            ),
            unique_by=lambda metric: metric.name,
        ),
        figures=st.lists(
            st.builds(
                Metric,
                name=st.sampled_from(["a", "b", "c", "d"]),
                higher_is_better=st.booleans(),
                ppm=st.integers(-2, 2),
            ),
            unique_by=lambda metric: metric.name,
        ).map(lambda metrics: sorted(metrics, key=lambda metric: metric.name)),
    )
    @examples(25)
    def test_it_judges_as_clients_do(self, registry, devchain, owner, thresholds, figures):
        snapshot = devchain.snapshot()
        model_id = commitments.model_id(owner.address, NAME)
        owner.send(registry.register_model(NAME, TERMS, thresholds))
        version = version_of(model_id, owner.address, metrics=tuple(figures))

        owner.send(registry.publish_version(version))

        servable = all(
            any(figure.reaches(threshold) for figure in figures) for threshold in thresholds
        )
        state = registry.version_of(model_id, commitments.version_id(version))
        assert state.status == (VersionStatus.SERVABLE if servable else VersionStatus.REJECTED)
        devchain.revert(snapshot)


class TestRefusals:
    def test_only_the_owner_may(self, registry, owner, outsider, model_id, reverts):
        with reverts("NotOwner", modelId=model_id, owner=owner.address, caller=outsider.address):
            outsider.send(registry.publish_version(version_of(model_id, outsider.address)))

    def test_an_unknown_model_has_no_versions(self, registry, owner, reverts):
        with reverts("UnknownModel", modelId=b"\x77" * 32):
            owner.send(registry.publish_version(version_of(b"\x77" * 32, owner.address)))

    def test_a_retired_model_has_no_new_ones(self, registry, owner, retired_model_id, reverts):
        with reverts("ModelIsRetired", modelId=retired_model_id):
            owner.send(registry.publish_version(version_of(retired_model_id, owner.address)))

    @pytest.mark.parametrize("missing", ["bundle_hash", "content_hash", "manifest_hash"])
    def test_a_zero_hash_pins_nothing(self, registry, owner, model_id, reverts, missing):
        version = unchecked(version_of(model_id, owner.address), **{missing: ZERO_HASH})
        with reverts("HashIsZero"):
            owner.send(registry.publish_version(version))

    def test_program_and_evaluation_hash_may_be_zero(self, registry, owner, model_id):
        version = version_of(
            model_id, owner.address, program_hash=ZERO_HASH, evaluation_hash=ZERO_HASH
        )

        owner.send(registry.publish_version(version))

        state = registry.version_of(model_id, commitments.version_id(version))
        assert state.status == VersionStatus.SERVABLE

    @pytest.mark.parametrize(
        ("names", "index"),
        [
            (["b", "a"], 1),
            (["a", "a"], 1),
            (["a", "c", "b"], 2),
            (["ab", "a"], 1),
            ([""], 0),
            (["a", ""], 1),
        ],
        ids=str,
    )
    def test_metrics_must_ascend(self, registry, owner, model_id, reverts, names, index):
        metrics = tuple(unchecked(ACCURACY, name=name) for name in names)
        with reverts("MetricsNotAscending", index=index):
            owner.send(
                registry.publish_version(version_of(model_id, owner.address, metrics=metrics))
            )

    def test_sixteen_metrics_are_the_most(self, registry, owner, model_id, reverts):
        metrics = tuple(Metric(f"metric_{number:02}", True, number) for number in range(17))
        owner.send(
            registry.publish_version(version_of(model_id, owner.address, metrics=metrics[:16]))
        )

        with reverts("TooManyMetrics", count=17, most=16):
            owner.send(
                registry.publish_version(version_of(model_id, owner.address, metrics=metrics))
            )

    def test_the_same_version_is_not_published_twice(self, registry, owner, model_id, reverts):
        version = version_of(model_id, owner.address)
        owner.send(registry.publish_version(version))

        with reverts(
            "VersionExists",
            versionId=commitments.version_id(version),
            status=VersionStatus.SERVABLE,
        ):
            owner.send(registry.publish_version(version))
        assert registry.model_of(model_id).versions == 1

    def test_a_rejected_version_gets_no_second_chance(self, registry, owner, model_id, reverts):
        owner.send(registry.raise_thresholds(model_id, [ACCURACY]))
        version = version_of(model_id, owner.address, metrics=())
        owner.send(registry.publish_version(version))

        with reverts(
            "VersionExists",
            versionId=commitments.version_id(version),
            status=VersionStatus.REJECTED,
        ):
            owner.send(registry.publish_version(version))

    def test_a_retired_version_does_not_come_back(self, registry, owner, model_id, reverts):
        version = version_of(model_id, owner.address)
        owner.send(registry.publish_version(version))
        owner.send(registry.retire_version(model_id, commitments.version_id(version)))

        with reverts(
            "VersionExists",
            versionId=commitments.version_id(version),
            status=VersionStatus.RETIRED,
        ):
            owner.send(registry.publish_version(version))
