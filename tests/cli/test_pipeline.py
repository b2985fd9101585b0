"""`modelward pipeline run` and `modelward model lineage`, as a person uses them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome
from tests.pipeline.orchard import NUMBERS_FROM_A_FILE, apples

PUBLISHED = '\n[thresholds]\naccuracy = {}\n\n[publish]\nprice = "0.001 ether"\n'
SEARCHING_LITTLE = '\n[train]\nsearch = ["logistic"]\ncandidates = 2\n'

Run = Callable[..., Outcome]


@pytest.fixture
def orchard(project: Path) -> Path:
    """The folder with the data, and two files of rules."""
    folder = project / "orchard"
    folder.mkdir()
    apples().to_csv(folder / "apples.csv", index=False)
    for name, least in (("good", 0.6), ("best", 0.999)):
        text = NUMBERS_FROM_A_FILE + PUBLISHED.format(least) + SEARCHING_LITTLE
        (folder / f"{name}.toml").write_text(text)
    return folder


def test_a_pipeline_ends_with_a_servable_version_whose_lineage_holds(
    run: Run, orchard: Path
) -> None:
    ended = run("pipeline", "run", orchard / "good.toml", "--publish", "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out[ended.out.index("{") :])
    assert document["version"].endswith("/apples@1")
    assert Path(document["card"]).exists()
    assert run("model", "show", document["version"]).code == 0
    read = run("model", "card", document["version"], "-o", "card.html")
    assert read.code == 0, read.err
    assert Path("card.html").read_bytes() == Path(document["card"]).read_bytes()
    assert run("model", "card", document["version"], "-o", "card.html").code == 2
    traced = run("model", "lineage", "owner/apples@1")
    assert traced.code == 0, traced.err
    assert "BROKEN" not in traced.out
    assert traced.out.count("holds") == 12

    again = run("pipeline", "run", orchard / "good.toml", "--publish")
    assert again.code == 0
    assert "it was published before; nothing was sent" in again.out

    (orchard / "apples.csv").write_text((orchard / "apples.csv").read_text() + "\n")
    broken = run("model", "lineage", "owner/apples@1")
    assert broken.code == 1
    assert "is broken at source" in broken.err


def test_below_the_thresholds_nothing_is_published_and_the_shortfall_is_told(
    run: Run, orchard: Path
) -> None:
    ended = run("pipeline", "run", orchard / "best.toml", "--publish")
    assert ended.code == 3
    assert re.search(r"accuracy is (0\.\d+), below 0\.999 by 0\.\d+\.", ended.err)
    assert "Nothing was published" in ended.err
    assert run("model", "show", "owner/apples").code == 2


def test_data_that_cannot_be_made_clean_publish_nothing(run: Run, orchard: Path) -> None:
    text = (orchard / "apples.csv").read_text().replace("\n", "\nheavy,", 1)
    (orchard / "apples.csv").write_text(text.replace("heavy,", "heavy", 1))
    ended = run("pipeline", "run", orchard / "good.toml", "--publish")
    assert ended.code == 3
    assert "weight is not readable in row 1" in ended.err


def test_a_faulty_file_is_refused_with_its_line(run: Run, orchard: Path) -> None:
    file = orchard / "good.toml"
    file.write_text(file.read_text().replace("accuracy", "acuracy"))
    ended = run("pipeline", "run", file)
    assert ended.code == 2
    assert "line" in ended.err
    assert "thresholds.acuracy" in ended.err


def test_without_terms_nothing_can_be_published(run: Run, orchard: Path) -> None:
    file = orchard / "good.toml"
    file.write_text(NUMBERS_FROM_A_FILE)
    assert run("pipeline", "run", file, "--publish").code == 2


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_shared_data_are_fetched_with_the_callers_grant_or_not_at_all(
    run: Run, orchard: Path, kind: str
) -> None:
    file = orchard / f"shared.{kind}"
    match kind:
        case "csv":
            apples().to_csv(file, index=False)
        case "jsonl":
            apples().to_json(file, orient="records", lines=True)
        case "parquet":
            apples().to_parquet(file)
    own = 'kind = "csv"\npath = "apples.csv"'
    shared = f'kind = "shared"\nowner = "owner"\nkey = "orchard"\nformat = "{kind}"'
    assert own in NUMBERS_FROM_A_FILE
    text = NUMBERS_FROM_A_FILE.replace(own, shared) + PUBLISHED.format(0.6)
    (orchard / "shared.toml").write_text(text)
    published = run("data", "publish", file, "--key", "orchard", "--account", "owner")
    assert published.code == 0, published.err
    command = ("pipeline", "run", orchard / "shared.toml", "--account", "requester", "--publish")

    refused = run(*command)
    assert refused.code == 3
    assert not list(orchard.glob(".modelward/apples/collect-*"))

    assert run("key", "register", "--account", "requester").code == 0
    granted = run("grant", "add", "requester", "--data", "orchard", "--account", "owner")
    assert granted.code == 0, granted.err
    ended = run(*command)
    assert ended.code == 0, ended.err
    traced = run("model", "lineage", "requester/apples@1", "--account", "requester")
    assert traced.code == 0, traced.err
    assert traced.out.count("holds") == 12


def test_private_runs_are_recorded_against_a_budget_and_refused_beyond_it(
    run: Run, orchard: Path
) -> None:
    privacy = '\n[train.privacy]\nepsilon = {}\nowner = "owner"\nkey = "orchard"\n'
    for name, epsilon in (("first", 2), ("second", 1.5)):
        text = NUMBERS_FROM_A_FILE.replace('"apples"', f'"{name}"') + privacy.format(epsilon)
        (orchard / f"{name}.toml").write_text(text)
    shown = run("data", "budget", "orchard", "requester", "--epsilon", "3")
    assert shown.code == 0, shown.err
    first = run("pipeline", "run", orchard / "first.toml", "--account", "requester")
    assert first.code == 0, first.err
    assert "recorded epsilon 2 on owner's orchard" in first.err
    refused = run("pipeline", "run", orchard / "second.toml", "--account", "requester")
    assert refused.code == 3
    assert "would spend 1500000 millionths of an epsilon, and 1000000 are left" in refused.err
    left = run("data", "budget", "orchard", "requester")
    assert "spent   2 in 1 runs" in left.out
    assert "left    1" in left.out
