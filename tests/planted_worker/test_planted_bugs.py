"""Planted bugs keep up with the worker; `make planted-worker` shows that the drill finds them."""

from __future__ import annotations

import ast

import pytest

from modelward.drill.rows import rows
from tests.drill.unit_rows import UNIT_ROWS
from tests.planted_worker.bugs import copy_of_the_code, planted_bugs

BUGS = planted_bugs()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return copy_of_the_code(tmp_path_factory.mktemp("tree"))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_patch_applies_to_the_worker_as_it_is(tree, bug):
    module = tree / bug.module
    before = module.read_bytes()
    try:
        bug.plant(tree)
        assert module.read_bytes() != before
        ast.parse(module.read_text("utf-8"))
    finally:
        module.write_bytes(before)


def test_a_patch_that_does_not_apply_is_said_to(tree):
    module = tree / BUGS[0].module
    before = module.read_bytes()
    module.write_text("# another module\n", "utf-8")
    try:
        with pytest.raises(ValueError, match=f"{BUGS[0].name} does not apply"):
            BUGS[0].plant(tree)
    finally:
        module.write_bytes(before)


def test_every_row_has_a_bug_and_there_are_twenty_at_least():
    quick = {row.name for row in rows(1) if row.quick}
    assert {bug.row for bug in BUGS} >= quick | UNIT_ROWS.keys()
    assert len(BUGS) >= 20
