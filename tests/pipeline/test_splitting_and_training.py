"""Held-out rows have no part in anything but the evaluation; selection follows the thresholds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelward.errors import DataNotClean, ThresholdNotMet
from modelward.models.bundle import fingerprint, write_bundle
from modelward.models.estimators import load_estimator
from modelward.models.manifest import Manifest
from modelward.pipeline.clean import clean
from modelward.pipeline.run import Finished, run_pipeline
from modelward.pipeline.split import split
from modelward.pipeline.train import Attempt, _preferred, train
from tests.pipeline.orchard import (
    NOTE_RULE,
    ROWS,
    apples,
    apples_with_notes,
    column_rule,
    rules,
)

LENIENT = "[thresholds]\naccuracy = 0.6\n"
NUMBERS_ALONE = (
    ('[columns.variety]\nkind = "category"\ncategories = ["Boskoop", "Elstar", "Gala"]\n', ""),
    ('[columns.picked]\nkind = "date"\n', ""),
    ('[columns.washed]\nkind = "boolean"\n', ""),
)


def run(
    folder: Path, table: pd.DataFrame, pipeline: Any, said: list[str] | None = None
) -> Finished:
    progress = (said if said is not None else []).append
    return run_pipeline(pipeline, base=folder, directory=folder, frame=table, progress=progress)


def test_classes_are_held_out_in_proportion() -> None:
    table = clean(apples(), rules()).table
    parts = split(table, rules())
    assert len(parts.held_out) == ROWS // 4
    assert not set(parts.training) & set(parts.held_out)
    assert sorted((*parts.training, *parts.held_out)) == table.index.tolist()
    shares = [
        (table.loc[list(rows), "grade"] == "juice").mean()
        for rows in (parts.training, parts.held_out)
    ]
    assert abs(shares[0] - shares[1]) < 0.03


def test_rows_of_a_group_stay_together() -> None:
    pipeline = rules(extra='[split]\ngroup = "picked"\n')
    table = clean(apples(), pipeline).table
    parts = split(table, pipeline)
    seen, unseen = (set(table.loc[list(p), "picked"]) for p in (parts.training, parts.held_out))
    assert unseen
    assert not seen & unseen


def test_the_last_rows_of_an_order_are_held_out() -> None:
    pipeline = rules(extra='[split]\norder = "picked"\nheld_out = 0.3\n')
    table = clean(apples(), pipeline).table
    parts = split(table, pipeline)
    last_seen = table.loc[list(parts.training), "picked"].max()
    assert table.loc[list(parts.held_out), "picked"].min() >= last_seen


def test_a_part_that_lacks_a_class_is_refused() -> None:
    pipeline = rules(extra='[split]\norder = "picked"\n')
    table = clean(apples(), pipeline).table.sort_values("picked")
    table["grade"] = ["juice"] * 130 + ["class one"] * 30
    with pytest.raises(DataNotClean, match=r"No (training|held-out) row is of the class"):
        split(table, pipeline)


def test_nothing_that_is_fitted_ever_sees_a_held_out_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imputing, scaling, encoding, selecting and fitting are watched while a search runs."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    table = apples()
    table["weight"] = [f"{100 + 3 * number**0.5:.9f}" for number in range(ROWS)]  # tells rows apart
    table.loc[list(range(1, ROWS, 20)), "weight"] = ""
    pipeline = rules(
        column_rule("weight", 'missing = "impute"'),
        *NUMBERS_ALONE,
        extra='[train]\nsearch = ["logistic"]\ncandidates = 4\n[thresholds]\naccuracy = 0.999\n',
    )
    seen: dict[type, list[np.ndarray]] = {}

    def watch(kind: type) -> None:
        fit = kind.fit  # type: ignore[attr-defined]

        def fit_and_note(self: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
            seen.setdefault(kind, []).append(np.asarray(inputs, dtype=float)[:, 0])
            return fit(self, inputs, *rest, **options)

        monkeypatch.setattr(kind, "fit", fit_and_note)

    for kind in (SimpleImputer, StandardScaler, LogisticRegression):
        watch(kind)
    with pytest.raises(ThresholdNotMet):
        run(tmp_path, table, pipeline)

    [folder] = tmp_path.glob("split-*")
    held_out = json.loads((folder / "split.json").read_bytes())["held_out"]
    cells = clean(table, pipeline).table.loc[held_out, "weight"].dropna().to_numpy()
    raw = np.concatenate(seen[SimpleImputer])
    assert len(seen) == 3
    assert len(seen[StandardScaler]) > 20
    assert not np.isin(cells, raw).any()
    assert not np.isin(cells, np.concatenate(seen[StandardScaler])).any()
    assert len(seen[LogisticRegression]) < 80, "the search is bounded"
    trained_on = ROWS - len(held_out)
    assert max(len(fitted) for fits in seen.values() for fitted in fits) == trained_on


def test_whatever_the_held_out_rows_hold_the_model_is_the_same(tmp_path: Path) -> None:
    """Every cell of theirs but the target is replaced, in columns of every kind."""
    pipeline = rules(
        ("minimum = 40\nmaximum = 400\n", ""),
        column_rule("weight", 'missing = "impute"'),
        column_rule("variety", 'missing = "impute"'),
        extra=NOTE_RULE + '[train]\nsearch = ["logistic", "tree"]\ncandidates = 3\n'
        "[thresholds]\nlog_loss = 0.01\n",
    )
    table = apples_with_notes()
    table.loc[list(range(1, ROWS, 20)), ["weight", "variety"]] = ""
    held_out = list(split(clean(table, pipeline).table, pipeline).held_out)
    other = table.copy()
    other.loc[held_out, "weight"] = [f"{200 + row / 7:.9f}" for row in held_out]
    other.loc[held_out, ["spots", "variety", "washed"]] = ["99", "Gala", "yes"]
    other.loc[held_out, "picked"] = [f"2025-09-{1 + row % 30:02d}" for row in held_out]
    other.loc[held_out, "note"] = "words that nobody else has written"

    ends, measured = [], []
    for name, each in (("one", table), ("other", other)):
        with pytest.raises(ThresholdNotMet):
            run(tmp_path / name, each, pipeline)
        [trained] = (tmp_path / name).glob("train-*")
        [evaluated] = (tmp_path / name).glob("evaluate-*")
        estimator = load_estimator((trained / "estimator.skops").read_bytes())
        manifest = Manifest.from_bytes((evaluated / "manifest.json").read_bytes())
        report = json.loads((trained / "report.json").read_bytes())
        ends.append(
            (report["attempts"], manifest.input, fingerprint(write_bundle(estimator, manifest)))
        )
        measured.append(manifest.metrics)
    assert ends[0] == ends[1]
    assert measured[0] != measured[1]


def test_missing_held_out_cells_are_filled_from_the_training_rows(tmp_path: Path) -> None:
    table = apples()
    table.loc[list(range(1, 60)), "weight"] = ""
    pipeline = rules(column_rule("weight", 'missing = "impute"'), *NUMBERS_ALONE, extra=LENIENT)
    finished = run(tmp_path, table, pipeline)
    clean_table = clean(table, pipeline).table
    parts = split(clean_table, pipeline)
    from modelward.models.bundle import open_bundle

    bundle = finished.packaged.bundle
    imputer = open_bundle(bundle.data, bundle.hash).estimator.steps[0][1]
    median = clean_table.loc[list(parts.training), "weight"].median()
    assert imputer.statistics_[0] == median


def test_every_row_may_lack_something(tmp_path: Path) -> None:
    table = apples()
    for position, column in enumerate(("weight", "spots")):
        table.loc[table.index % 2 == position, column] = ""
    imputed = [column_rule(name, 'missing = "impute"') for name in ("weight", "spots")]
    keep = '[clean]\nduplicates = "keep"\n'  # rows that hold little look alike
    finished = run(tmp_path, table, rules(*imputed, *NUMBERS_ALONE, extra=keep))
    assert finished.packaged.program is not None


def test_the_first_estimator_is_taken_when_it_is_good_enough(tmp_path: Path) -> None:
    said: list[str] = []
    finished = run(tmp_path, apples(), rules(*NUMBERS_ALONE, extra=LENIENT), said)
    report = finished.steps["train"].json("report.json")
    assert not report["searched"]
    assert report["chosen"]["exact"] == ""
    assert not any("searching" in words for words in said)


def test_a_rare_class_is_pointed_out(tmp_path: Path) -> None:
    table = apples()
    rare = table.index[table["grade"] == "juice"][:8]
    table["grade"] = "class one"
    table.loc[rare, "grade"] = "juice"
    said: list[str] = []
    run(tmp_path, table, rules(*NUMBERS_ALONE, extra="[train]\nfolds = 2\n"), said)
    assert any("'juice' is 5.0% of the rows: look at balanced_accuracy" in each for each in said)


def test_progress_is_told_by_the_fold_and_by_the_kind_searched(tmp_path: Path) -> None:
    said: list[str] = []
    extra = '[train]\nsearch = ["tree"]\ncandidates = 3\nfolds = 2\n[thresholds]\nlog_loss = 0.01\n'
    with pytest.raises(ThresholdNotMet):
        run(tmp_path, apples(), rules(*NUMBERS_ALONE, extra=extra), said)
    folds = [words for words in said if "fold " in words]
    assert len(folds) == 4
    assert all(re.search(r"fold [12] of 2: log_loss \d\.\d{4}", words) for words in folds)
    assert any("narrowing 3 candidates for sklearn.Pipeline(" in words for words in said)


def test_below_the_thresholds_others_are_tried_and_the_shortfall_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    pipeline = rules(
        *NUMBERS_ALONE,
        extra='[train]\nsearch = ["logistic", "tree"]\ncandidates = 4\n'
        "[thresholds]\naccuracy = 0.999\n",
    )
    with pytest.raises(ThresholdNotMet, match=r"accuracy is 0\.\d+, below 0\.999"):
        run(tmp_path, apples(), pipeline, said)
    assert any("below the thresholds: searching" in words for words in said)
    [folder] = tmp_path.glob("train-*")
    attempts = json.loads((folder / "report.json").read_bytes())["attempts"]
    assert len(attempts) == 3
    assert next(tmp_path.glob("evaluate-*/card.html")).stat().st_size > 10_000


def attempt(name: str, mean: float, exact: bool) -> tuple[str, Attempt]:
    return name, Attempt(name, {}, {"accuracy": (mean, 0.02)}, "" if exact else "too large")


@pytest.mark.parametrize(
    ("least", "tried", "preferred"),
    [
        (0.8, [attempt("plain", 0.91, True), attempt("large", 0.92, False)], "plain"),
        (0.8, [attempt("plain", 0.89, True), attempt("large", 0.92, False)], "large"),
        (0.915, [attempt("plain", 0.91, True), attempt("large", 0.92, False)], "large"),
        (0.95, [attempt("plain", 0.91, True), attempt("large", 0.92, False)], "plain"),
        (0.8, [attempt("plain", 0.91, True), attempt("other", 0.93, True)], "other"),
    ],
    ids=["as good", "worse by more than the error", "below the threshold", "none reaches", "best"],
)
def test_an_exact_estimator_is_preferred_within_one_standard_error(
    least: float, tried: list[tuple[str, Attempt]], preferred: str
) -> None:
    chosen, _ = _preferred(tried, rules(extra=f"[thresholds]\naccuracy = {least}\n"))
    assert chosen == preferred


def test_an_estimator_with_an_exact_program_is_preferred_where_it_is_as_good() -> None:
    """Categories have no exact program here, numbers have; a tree without is no better."""
    pipeline = rules(
        *NUMBERS_ALONE, extra='[train]\nsearch = ["tree"]\n[thresholds]\naccuracy = 1\n'
    )
    table = clean(apples(), pipeline).table
    trained = train(table, pipeline, pipeline.features, lambda _: None)
    best = max(attempt.scores["accuracy"][0] for attempt in trained.attempts)
    assert trained.searched
    assert trained.chosen.exact == ""
    error = max(attempt.scores["accuracy"][1] for attempt in trained.attempts)
    assert trained.chosen.scores["accuracy"][0] >= best - error


@pytest.mark.slow
def test_regressions_run_the_same_way(tmp_path: Path) -> None:
    table = apples()
    weight = table["weight"].astype(float)
    table["grade"] = (weight * 0.01 + table["spots"].astype(float) * 0.1).round(3).astype(str)
    pipeline = rules(
        ('task = "classification"\nclasses = ["class one", "juice"]', 'task = "regression"'),
        extra="[thresholds]\nrmse = 0.2\nr2 = 0.8\n",
    )
    finished = run(tmp_path, table, pipeline)
    assert {metric.name for metric in finished.packaged.metrics} == {"rmse", "r2", "mae"}
    page = finished.card.read_text("utf-8")
    assert "Residuals" in page
    assert "Learning curve" in page
    assert page.count("data:image/png;base64,") == 3


def test_a_regression_worse_than_a_constant_is_said_to_have_a_negative_r2(tmp_path: Path) -> None:
    table = apples()
    table["grade"] = np.random.default_rng(1).normal(size=ROWS).astype(str)
    pipeline = rules(
        ('task = "classification"\nclasses = ["class one", "juice"]', 'task = "regression"'),
        extra='[train]\nsearch = ["ridge"]\ncandidates = 2\n[thresholds]\nr2 = 0.5\nrmse = 9\n',
    )
    said: list[str] = []
    with pytest.raises(ThresholdNotMet):
        run(tmp_path, table, pipeline, said)
    assert any("r2 -0." in words for words in said)
    (card,) = tmp_path.glob("evaluate-*/card.html")
    assert re.search(r">-0\.\d{4} ± [\d.]+</td><td[^>]*>\d\.\d{4} ± ", card.read_text("utf-8"))
