"""Private training costs the accuracy it is said to, keeps no seed, and looks at nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelward.bench.privacy import measure, plot
from modelward.errors import InvalidPipeline, InvalidTerms
from modelward.models.bundle import open_bundle
from modelward.pipeline.definition import Pipeline, parse_pipeline
from modelward.pipeline.private import _perturbation, train_privately
from modelward.pipeline.run import run_pipeline
from tests.pipeline.orchard import NUMBERS, apples

PRIVATE = "[train.privacy]\nepsilon = 4\n"
RECORDED = 'owner = "owner"\nkey = "orchard"\n'


def private(extra: str = "") -> Pipeline:
    return parse_pipeline(NUMBERS + PRIVATE + extra, Path("pipeline.toml"))


def fitted(**changes: Any) -> Any:
    table = apples()
    inputs = table[["weight", "spots"]].astype(float)
    terms: dict[str, Any] = {
        "classes": ("class one", "juice"),
        "ranges": {"weight": (40.0, 400.0), "spots": (0.0, 100.0)},
        "epsilon": 4.0,
        "strength": 0.01,
        "norm": 1.5,
    }
    return train_privately(inputs, table["grade"].tolist(), **{**terms, **changes})


def test_epsilon_one_and_five_cost_no_more_than_they_are_said_to(tmp_path: Path) -> None:
    cost = measure(epsilons=(1.0, 5.0))
    assert cost.runs == 20
    assert cost.without - cost.means[0] < 0.10
    assert cost.without - cost.means[1] < 0.05
    plot(cost, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")


def test_two_runs_on_the_same_rows_differ() -> None:
    assert not np.array_equal(fitted().coef_, fitted().coef_)


def test_much_epsilon_comes_close_to_no_noise_and_little_does_not() -> None:
    def spread(epsilon: float) -> float:
        return float(np.std([fitted(epsilon=epsilon).coef_ for _ in range(12)], axis=0).max())

    assert spread(1000.0) < spread(1.0) / 20


def test_the_noise_has_the_length_that_the_theorem_demands() -> None:
    """Its length is gamma-distributed with shape d and scale 2 / epsilon'."""
    count, width, epsilon, strength = 400, 11, 2.0, 0.01
    left = epsilon - math.log(1 + 2 * 0.25 / (count * strength) + 0.25**2 / (count * strength) ** 2)
    lengths = [
        np.linalg.norm(_perturbation(count, width, epsilon, strength)[0]) for _ in range(4000)
    ]
    assert np.mean(lengths) == pytest.approx(width * 2 / left, rel=0.03)
    assert np.var(lengths) == pytest.approx(width * (2 / left) ** 2, rel=0.12)


def test_where_the_regularisation_is_too_weak_for_the_epsilon_it_is_raised() -> None:
    noise, weight = _perturbation(100, 3, 0.1, 1e-4)
    assert weight == pytest.approx(0.25 / (100 * (math.exp(0.1 / 4) - 1)))
    assert len(noise) == 3


def test_values_outside_the_stated_range_count_as_its_ends() -> None:
    table = apples()[["weight", "spots"]].astype(float)
    beyond = table.assign(weight=1e9)
    end = table.assign(weight=400.0)
    labels = apples()["grade"].tolist()
    terms: dict[str, Any] = {
        "classes": ("class one", "juice"),
        "ranges": {"weight": (40.0, 400.0), "spots": (0.0, 100.0)},
        "epsilon": 1e9,
        "strength": 0.01,
        "norm": 1.5,
    }
    one, other = (train_privately(rows, labels, **terms) for rows in (beyond, end))
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ("a", "b", "c")}, "two classes"),
        ({"ranges": {"weight": (40.0, 400.0)}}, "range of 'spots'"),
        ({"ranges": {"weight": (40.0, 400.0), "spots": (3.0, 3.0)}}, "range of 'spots'"),
        ({"epsilon": 0.0}, "epsilon must be a positive"),
        ({"strength": -1.0}, "strength must be a positive"),
        ({"norm": math.inf}, "norm must be a positive"),
    ],
)
def test_terms_that_protect_nothing_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTerms, match=words):
        fitted(**changes)


def test_a_private_pipeline_keeps_no_seed_and_shows_no_other_look_at_its_rows(
    tmp_path: Path,
) -> None:
    finished = run_pipeline(private(), base=tmp_path, directory=tmp_path, frame=apples())
    report = finished.steps["train"].json("report.json")
    assert report["seed"] is None
    assert report["chosen"]["scores"] == {}
    page = finished.card.read_text("utf-8")
    assert "differentially private" in page
    assert "Learning curve" not in page
    bundle = finished.packaged.bundle
    estimator = open_bundle(bundle.data, bundle.hash).estimator
    assert type(estimator).__name__ == "LogisticRegression"
    assert finished.packaged.program is not None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (NUMBERS.replace("maximum = 100\n", "") + PRIVATE, r"columns\.spots"),
        (NUMBERS.replace("maximum = 100", 'maximum = 100\nmissing = "impute"') + PRIVATE, "spots"),
        (NUMBERS + PRIVATE + 'owner = "owner"\n', r"train\.privacy"),
        (NUMBERS + "[train.privacy]\nepsilon = 0\n", r"train\.privacy\.epsilon"),
        (NUMBERS.replace('"juice"]', '"juice", "cider"]') + PRIVATE, r"train\.privacy"),
    ],
)
def test_rules_that_would_learn_from_private_rows_are_refused(text: str, key: str) -> None:
    with pytest.raises(InvalidPipeline, match=key):
        parse_pipeline(text, Path("pipeline.toml"))


def test_a_run_is_recorded_once_before_it_begins(tmp_path: Path) -> None:
    spent: list[tuple[str, str, float]] = []

    def spend(owner: str, key: str, epsilon: float, run: bytes) -> None:
        assert not list(tmp_path.glob("train-*"))
        assert len(run) == 32
        spent.append((owner, key, epsilon))

    for _ in range(2):
        run_pipeline(
            private(RECORDED), base=tmp_path, directory=tmp_path, frame=apples(), spend=spend
        )
    assert spent == [("owner", "orchard", 4.0)]
    folder = tmp_path / "other"
    with pytest.raises(InvalidTerms, match="on record"):
        run_pipeline(private(RECORDED), base=folder, directory=folder, frame=apples())


def test_a_refused_run_leaves_nothing_trained(tmp_path: Path) -> None:
    def refuse(owner: str, key: str, epsilon: float, run: bytes) -> None:
        raise InvalidTerms("nothing is left")

    with pytest.raises(InvalidTerms, match="nothing is left"):
        run_pipeline(
            private(RECORDED), base=tmp_path, directory=tmp_path, frame=apples(), spend=refuse
        )
    assert not list(tmp_path.glob("train-*"))
    assert json.loads(next(tmp_path.glob("split-*/split.json")).read_bytes())["constant"] == []


def test_the_frame_is_left_as_it_was() -> None:
    table = apples()
    before = table.copy()
    fitted()
    pd.testing.assert_frame_equal(table, before)
