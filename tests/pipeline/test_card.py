"""The model card: of what will answer, and without a cell of the data."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelward.pipeline.card import classification_figures
from modelward.pipeline.definition import Pipeline, parse_pipeline
from modelward.pipeline.exact import ExactPart, exact_part
from modelward.pipeline.run import Finished, run_pipeline
from tests.pipeline.orchard import ROWS, RULES, apples, column_rule, rules

LENIENT = "[thresholds]\naccuracy = 0.6\n"
GROUPED = '[evaluate]\ngroups = ["variety"]\n'
WEIGHT_WITHOUT_RANGE = ("minimum = 40\nmaximum = 400\n", 'invalid = "drop"\n')


def finished(folder: Path, pipeline: Pipeline, **cells: dict[int, str]) -> Finished:
    table = apples()
    for column, changed in cells.items():
        for row, cell in changed.items():
            table.loc[row, column] = cell
    return run_pipeline(pipeline, base=folder, directory=folder, frame=table)


def test_groups_are_measured_apart_and_shown(tmp_path: Path) -> None:
    ended = finished(tmp_path, rules(extra=LENIENT + GROUPED))
    groups = ended.steps["evaluate"].json("evaluation.json")["groups"]
    assert [group["value"] for group in groups] == ["Boskoop", "Elstar", "Gala"]
    assert sum(group["rows"] for group in groups) == ROWS // 4
    assert b"variety = Gala" in ended.card.read_bytes()


def test_the_card_is_one_page_that_escapes_what_it_quotes(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    pipeline = rules(column_rule("spots", f'rename = "{name}"'), extra=LENIENT)
    page = finished(tmp_path, pipeline).card.read_text("utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page
    assert "constant guess" in page


def test_nothing_that_is_published_holds_a_cell(tmp_path: Path) -> None:
    """Marked cells are dropped, filled, left alone, and the greatest of all in their column."""
    pipeline = rules(
        WEIGHT_WITHOUT_RANGE,
        column_rule("spots", 'invalid = "missing"', 'missing = "fill"', "value = 3"),
        column_rule("washed", "use = false"),
        extra=LENIENT + GROUPED + '[columns.tag]\nkind = "category"\ncategories = ["zibeline"]\n'
        'aliases = { quagga = "zibeline" }\nuse = false\n',
    )
    table = apples().assign(tag="zibeline")
    table.loc[3, "spots"] = "ocelot"
    table.loc[9, "weight"] = "caracal"
    table.loc[11, "tag"] = "quagga"
    for row in (21, 22, 23, 24, 25, 26):  # whatever is held out, some are trained on
        table.loc[row, "weight"] = f"311.{row}7283"
    said: list[str] = []
    ended = run_pipeline(
        pipeline, base=tmp_path, directory=tmp_path, frame=table, progress=said.append
    )
    assert any("'ocelot'" in words for words in said), "the one who runs it is told"
    bundle = ended.packaged.bundle
    published = [ended.card.read_bytes(), bundle.manifest_bytes, bundle.data]
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as members:
        published += map(members.read, members.namelist())
        with zipfile.ZipFile(io.BytesIO(members.read("estimator.skops"))) as parts:
            published += map(parts.read, parts.namelist())
    assert b"weight not readable in 1 row: dropped" in published[0]
    for row in (21, 22, 23, 24, 25, 26):
        marks = (f"311.{row}7283".encode(), struct.pack("<d", float(f"311.{row}7283")))
        assert not any(mark in data for mark in marks for data in published)
    for mark in (b"ocelot", b"caracal", b"quagga"):
        assert not any(mark in data for data in published)


def test_a_learned_range_has_room_and_is_round(tmp_path: Path) -> None:
    ended = finished(tmp_path, rules(WEIGHT_WITHOUT_RANGE, extra=LENIENT), weight={7: "299.9137"})
    weight = ended.packaged.manifest.input.columns[0]
    assert weight.minimum is not None
    assert weight.maximum is not None
    assert weight.minimum % 100 == weight.maximum % 100 == 0
    assert weight.maximum > 400


def test_the_card_of_a_private_model_tells_nothing_of_cleaning(tmp_path: Path) -> None:
    text = RULES.partition("[columns.variety]")[0].replace(
        "maximum = 100", 'maximum = 100\ninvalid = "drop"'
    )
    pipeline = parse_pipeline(text + "[train.privacy]\nepsilon = 9\n", Path("pipeline.toml"))
    page = finished(tmp_path, pipeline, spots={3: "ocelot"}).card.read_text("utf-8")
    assert "spots not readable" not in page
    assert "What cleaning did is not told" in page


class _Contrary:
    """A program that answers the opposite of what it was compiled from."""

    def __init__(self, part: ExactPart) -> None:
        self._estimator = part.estimator

    def predict(self, table: Any) -> Any:
        labels = self._estimator.predict(table)
        return np.where(labels == "juice", "class one", "juice")

    def predict_proba(self, table: Any) -> Any:
        return self._estimator.predict_proba(table)[:, ::-1]


def test_every_figure_is_of_what_will_answer_which_is_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, drawn = [], []

    def contrary(*arguments: Any) -> ExactPart:
        compiled.append(exact_part(*arguments))
        return replace(compiled[-1], estimator=_Contrary(compiled[-1]))  # type: ignore[arg-type]

    def noted(*arguments: Any) -> Any:
        drawn.append(arguments)
        return classification_figures(*arguments)

    monkeypatch.setattr("modelward.pipeline.package.exact_part", contrary)
    monkeypatch.setattr("modelward.pipeline.run.classification_figures", noted)
    numbers = RULES.partition("[columns.variety]")[0] + '[columns.washed]\nkind = "boolean"\n'
    text = numbers + '[evaluate]\ngroups = ["washed"]\n'
    ended = finished(tmp_path, parse_pipeline(text, Path("pipeline.toml")))
    assert len(compiled) == 1

    accuracy = ended.packaged.metrics[0].ppm / 1e6
    record = ended.steps["evaluate"].json("evaluation.json")
    assert accuracy < 0.5
    weighted = sum(group["rows"] * group["metrics"][0]["ppm"] for group in record["groups"])
    assert weighted / 1e6 / (ROWS // 4) == pytest.approx(accuracy, abs=1e-5)
    assert record["calibration"]["brier"] > 0.5
    [(predicted, probabilities, labels, classes, _)] = drawn
    assert np.mean([one == other for one, other in zip(predicted, labels, strict=True)]) < 0.5
    likeliest = [classes[index] for index in probabilities.argmax(axis=1)]
    assert likeliest == predicted
