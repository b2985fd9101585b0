"""Planted bugs keep up with the contracts; `make planted` shows that the suite catches them."""

import pytest

from tests.planted.bugs import CLASSES, planted_bugs


@pytest.mark.parametrize("bug", planted_bugs(), ids=lambda bug: bug.name)
def test_a_patch_applies_to_the_contracts_as_they_are(repository, bug):
    content = (repository / bug.source).read_bytes()
    assert bug.applied_to(content) != content


def test_a_patch_that_does_not_apply_is_said_to():
    bug = planted_bugs()[0]
    with pytest.raises(ValueError, match=f"{bug.name} does not apply"):
        bug.applied_to(b"contract Another {}")


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_of_bugs_has_one_planted(kind):
    assert kind in {bug.kind for bug in planted_bugs()}


def test_there_are_twenty_at_least():
    assert len(planted_bugs()) >= 20
