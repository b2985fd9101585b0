"""A pipeline.toml is checked whole before anything runs, and every error names its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelward.errors import InvalidPipeline
from modelward.pipeline.definition import line_of, parse_pipeline, read_pipeline
from tests.pipeline.orchard import RULES

FAULTS = {
    "an unknown kind": ('kind = "integer"', 'kind = "whole"', "columns.spots.kind"),
    "a range upside down": ("minimum = 40", "minimum = 500", "columns.weight"),
    "a range of a category": (
        'kind = "category"',
        'kind = "category"\nminimum = 1',
        "columns.variety",
    ),
    "a category that lists none": (
        'categories = ["Boskoop", "Elstar", "Gala"]',
        "categories = []",
        "columns.variety",
    ),
    "a key that is not known": ('kind = "boolean"', 'kind = "boolean"\nkid = 1', "washed.kid"),
    "a column without a kind": ('kind = "date"', "unique = true", "columns.picked.kind"),
    "a single class": ('["class one", "juice"]', '["juice"]', "target"),
    "a delimiter of two signs": (
        'kind = "frame"',
        'kind = "csv"\npath = "a"\ndelimiter = "::"',
        "source.delimiter",
    ),
    "an unknown source": ('kind = "frame"', 'kind = "excel"', "source"),
    "rules for the target": (
        "[columns.weight]",
        "[columns.grade]",
        "columns.grade: this is the target",
    ),
    "text for a number": ("maximum = 400", 'maximum = "400"', "columns.weight.maximum"),
}

MORE_FAULTS = {
    "a metric of another task": ("[thresholds]\nrmse = 1", "thresholds.rmse"),
    "a threshold that is no number": ('[thresholds]\naccuracy = "high"', "thresholds.accuracy"),
    "an unknown estimator": ('[train]\nestimator = "oracle"', "train.estimator"),
    "an unknown estimator to search": ('[train]\nsearch = ["ridge"]', "train.search"),
    "a group whose values are private": ('[evaluate]\ngroups = ["spots"]', "evaluate.groups"),
    "a group that is no column": ('[evaluate]\ngroups = ["farm"]', "evaluate.groups"),
    "a split by two columns": ('[split]\ngroup = "variety"\norder = "picked"', "split"),
    "everything held out": ("[split]\nheld_out = 1.0", "split.held_out"),
    "a price that is none": ('[publish]\nprice = "cheap"', "publish.price"),
    "a delay that is none": ('[publish]\nprice = "1 gwei"\nmax_delay = "soon"', "max_delay"),
    "no price": ("[publish]\nopen = true", "publish.price"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_line(fault: str) -> None:
    old, new, named = FAULTS[fault]
    text = RULES.replace(old, new)
    with pytest.raises(InvalidPipeline, match=named.replace(".", r"\.")) as refused:
        parse_pipeline(text, Path("pipeline.toml"))
    line = text.splitlines()[(refused.value.line or 0) - 1]
    assert any(word in line for word in (*named.split("."), "source", "columns", "name"))


@pytest.mark.parametrize("fault", MORE_FAULTS)
def test_a_fault_in_a_later_section_is_named_with_its_line(fault: str) -> None:
    section, named = MORE_FAULTS[fault]
    text = f"{RULES}\n{section}\n"
    with pytest.raises(InvalidPipeline, match=named.replace(".", r"\.")) as refused:
        parse_pipeline(text, Path("pipeline.toml"))
    assert (refused.value.line or 0) > len(RULES.splitlines())


def test_what_is_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidPipeline, match="not valid TOML") as refused:
        parse_pipeline('name = "a"\nb = = 1', Path("pipeline.toml"))
    assert refused.value.line == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidPipeline, match="There is no file"):
        read_pipeline(tmp_path / "pipeline.toml")
    (tmp_path / "pipeline.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidPipeline, match="UTF-8"):
        read_pipeline(tmp_path / "pipeline.toml")


def test_the_line_of_a_key_is_found_in_any_way_of_writing_it() -> None:
    text = 'a.b = 1\n[c."d e"]\nf = 2\n[[g]]\n'
    assert line_of(text, ["a", "b"]) == 1
    assert line_of(text, ["c", "d e"]) == 2
    assert line_of(text, ["c", "d e", "f"]) == 3
    assert line_of(text, ["g", "0", "h"]) == 4
    assert line_of(text, ["nowhere"]) == 1


def test_the_pipelines_of_the_examples_are_valid(repository: Path) -> None:
    files = sorted(repository.glob("examples/*/pipeline.toml"))
    assert files
    for file in files:
        assert read_pipeline(file).publish is not None
