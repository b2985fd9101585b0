"""`modelOf`, `versionOf` and `thresholdsOf` where there is nothing to tell."""

from modelward.terms import ZERO_ADDRESS, VersionState, VersionStatus


def test_an_unknown_model_has_no_state(registry, reverts):
    with reverts("UnknownModel", modelId=b"\x77" * 32):
        registry.model_of(b"\x77" * 32)


def test_an_unknown_version_has_the_status_none(registry, model_id):
    nothing = VersionState(VersionStatus.NONE, number=0, published_at=0, verifier=ZERO_ADDRESS)

    assert registry.version_of(model_id, b"\x55" * 32) == nothing
    assert registry.version_of(b"\x77" * 32, b"\x55" * 32) == nothing


def test_a_model_has_no_thresholds_unless_they_were_set(registry, model_id):
    assert registry.thresholds_of(model_id) == ()
    assert registry.thresholds_of(b"\x77" * 32) == ()
