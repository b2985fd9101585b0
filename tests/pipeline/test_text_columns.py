"""A pipeline over numbers, categories and text: cleaned, trained, packaged, none of it public."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modelward.errors import DataNotClean, InvalidPipeline, ThresholdNotMet
from modelward.models.bundle import open_bundle
from modelward.models.runner import Runner
from modelward.pipeline.clean import clean
from modelward.pipeline.definition import JsonLinesSource
from modelward.pipeline.run import Finished, run_pipeline
from modelward.pipeline.sources import collect
from modelward.pipeline.tables import read_table, table_bytes
from tests.pipeline.orchard import NOTE_RULE, apples_with_notes, column_rule, rules

LENIENT = "[thresholds]\naccuracy = 0.6\n"


def noted(cell: str | None) -> pd.DataFrame:
    """Apples, with something else written about the third one."""
    table = apples_with_notes()
    table.loc[3, "note"] = cell
    return table


def text_rule(*lines: str) -> str:
    return NOTE_RULE + "".join(f"{line}\n" for line in lines)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("notes")
    pipeline = rules(extra=NOTE_RULE + LENIENT)
    return run_pipeline(pipeline, base=folder, directory=folder, frame=noted("a capybara ate it"))


def test_the_packaged_model_takes_the_text(finished: Finished) -> None:
    manifest = finished.packaged.manifest
    note = manifest.input.columns[-1]
    assert (note.kind, note.maximum) == ("text", 200)
    bundle = finished.packaged.bundle
    runner = Runner(open_bundle(bundle.data, bundle.hash))
    row: dict[str, Any] = {
        "weight": 165.0,
        "spots": 9,
        "variety": "Gala",
        "picked": 20_350,
        "washed": True,
    }
    kind, unkind = (
        manifest.input.row({**row, "note": note})
        for note in ("crisp and shiny", "wormy and bruised")
    )
    first, second = runner.predict([kind, unkind])
    assert first != second
    assert finished.packaged.without_program == (
        "'note' is a text, which exact programs do not take."
    )


def test_no_word_of_the_texts_is_published(finished: Finished) -> None:
    bundle = finished.packaged.bundle
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as members:
        published = [finished.card.read_bytes(), *map(members.read, members.namelist())]
        with zipfile.ZipFile(io.BytesIO(members.read("estimator.skops"))) as parts:
            published += map(parts.read, parts.namelist())
    for word in (b"capybara", b"wormy", b"shiny"):
        assert not any(word in data for data in published)


def test_a_search_leaves_out_what_takes_no_text(tmp_path: Path) -> None:
    said: list[str] = []
    pipeline = rules(
        extra=NOTE_RULE
        + '[train]\nsearch = ["tree"]\ncandidates = 2\n[thresholds]\nlog_loss = 0.01\n'
    )
    with pytest.raises(ThresholdNotMet, match="log_loss"):
        run_pipeline(
            pipeline,
            base=tmp_path,
            directory=tmp_path,
            frame=apples_with_notes(),
            progress=said.append,
        )
    with pytest.raises(InvalidPipeline, match=r"train\.search: boosting takes no text"):
        rules(extra=NOTE_RULE + '[train]\nsearch = ["tree", "boosting"]\n')
    with pytest.raises(InvalidPipeline, match=r"train\.estimator: boosting takes no text"):
        rules(extra=NOTE_RULE + '[train]\nestimator = "boosting"\n')


# --- cleaning ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["none", "?", "a\u2028b", "a\x85b", "\U0001f34e", 'say "hi"'])
def test_any_text_stays_as_it_is(cell: str) -> None:
    cleaned = clean(noted(cell), rules(extra=NOTE_RULE)).table
    assert cleaned.at[3, "note"] == cell
    assert read_table(table_bytes(cleaned)).at[3, "note"] == cell


def test_half_a_surrogate_pair_is_no_text() -> None:
    table = noted("\ud800")
    with pytest.raises(DataNotClean, match="note is not readable in row 3"):
        clean(read_table(table_bytes(table)), rules(extra=NOTE_RULE))


def test_a_text_that_is_too_long_is_refused_cut_or_dropped() -> None:
    table = noted("ä" * 101)
    with pytest.raises(DataNotClean, match="note is not in range in row 3"):
        clean(table, rules(extra=NOTE_RULE))
    cut = clean(table, rules(extra=text_rule('outside = "clip"'))).table
    assert cut.at[3, "note"] == "ä" * 100
    assert 3 not in clean(table, rules(extra=text_rule('outside = "drop"'))).table.index


def test_a_text_that_is_missing_is_refused_or_filled() -> None:
    with pytest.raises(DataNotClean, match="note is not present in row 3"):
        clean(noted("  "), rules(extra=NOTE_RULE))
    filled = clean(noted(None), rules(extra=text_rule('missing = "fill"', 'value = "no note"')))
    assert filled.table.at[3, "note"] == "no note"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['missing = "impute"'], "is not imputed"),
        (['missing = "fill"', "value = 3"], "a `value` of text"),
        (["minimum = 3"], "a maximum only"),
        (['categories = ["a"]'], "a maximum only"),
    ],
)
def test_rules_that_a_text_cannot_have_are_refused(lines: list[str], words: str) -> None:
    with pytest.raises(InvalidPipeline, match=words):
        rules(extra=text_rule(*lines))


@pytest.mark.parametrize("maximum", ["0", "1.5", "70_000"])
def test_a_length_that_a_text_cannot_have_is_refused(maximum: str) -> None:
    with pytest.raises(InvalidPipeline, match="a whole number of bytes from 1 to 65536"):
        rules(extra=NOTE_RULE.replace("200", maximum))


def test_json_lines_may_hold_any_separator_of_unicode(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"note": "a\u2028b\x85c"}\r\n{"note": ["nested"]}\n')
    found = collect(JsonLinesSource(kind="jsonl", path="a.jsonl"), tmp_path).table
    assert found["note"].tolist() == ["a\u2028b\x85c", ["nested"]]
    assert read_table(table_bytes(found))["note"].tolist() == found["note"].tolist()


def test_private_training_takes_no_text() -> None:
    with pytest.raises(InvalidPipeline, match="private training is over numbers"):
        rules(column_rule("weight"), extra=NOTE_RULE + "[train.privacy]\nepsilon = 4\n")
