"""An interrupted run goes on where it was; a finished step is never repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelward.errors import RecordUnavailable
from modelward.models.bundle import fingerprint, open_bundle
from modelward.models.runner import runner_for
from modelward.pipeline.lineage import LINKS
from modelward.pipeline.run import STEPS, Finished, run_pipeline
from tests.pipeline.orchard import apples, numbers_alone, rules

EXTRA = "[thresholds]\naccuracy = 0.6\n"
CHILD = Path(__file__).with_name("dying_pipeline.py")


def run(folder: Path, said: list[str] | None = None, extra: str = EXTRA) -> Finished:
    return run_pipeline(
        rules(extra=extra),
        base=folder,
        directory=folder,
        frame=apples(),
        progress=(said if said is not None else []).append,
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("whole")
    return run_pipeline(numbers_alone(), base=folder, directory=folder, frame=apples())


def answers(finished: Finished) -> list[bytes]:
    """What the published program would answer for every row there is."""
    bundle = finished.packaged.bundle
    opened = open_bundle(bundle.data, bundle.hash)
    rows = opened.manifest.input.rows(
        apples()[["weight", "spots"]].astype(float).itertuples(index=False, name=None)
    )
    runner = runner_for(opened)
    inputs = [runner.decode(opened.manifest.canonical_input(row)) for row in rows]
    return [answer for answer in runner.predict_each(inputs) if isinstance(answer, bytes)]


@pytest.mark.parametrize(
    ("step", "moment"),
    [
        *((step, "half written") for step in STEPS),
        ("train", "fold 2 of 5"),
        ("package", "not on record"),
    ],
)
def test_killed_in_the_middle_of_a_step_the_next_run_ends_the_same(
    tmp_path: Path, step: str, moment: str, uninterrupted: Finished
) -> None:
    child = subprocess.run(
        [sys.executable, str(CHILD), str(tmp_path), step, moment],
        env={**os.environ, "PYTHONPATH": str(CHILD.parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    before = STEPS[: STEPS.index(step)]
    assert list(tmp_path.glob(f".{step}-*")), "it was not killed in the middle"
    said: list[str] = []
    finished = run_pipeline(
        numbers_alone(), base=tmp_path, directory=tmp_path, frame=apples(), progress=said.append
    )
    assert [name for name in STEPS if f"{name}: done before" in said] == list(before)
    assert f"{step}: finished" in said
    assert not list(tmp_path.glob(".*-*")), "a draft was left behind"
    assert answers(finished) == answers(uninterrupted)
    assert len(answers(finished)) == len(apples())
    program, expected = (ended.packaged.manifest.program for ended in (finished, uninterrupted))
    assert program is not None
    assert program == expected
    assert fingerprint(finished.packaged.bundle) == fingerprint(uninterrupted.packaged.bundle)
    assert finished.packaged.metrics == uninterrupted.packaged.metrics
    for name in set(LINKS) - {"training"}:  # skops never writes one estimator the same way twice
        assert finished.lineage.contents[name] == uninterrupted.lineage.contents[name]


def test_a_second_run_repeats_nothing_and_gives_the_same_bundle(tmp_path: Path) -> None:
    first = run(tmp_path)
    said: list[str] = []
    second = run(tmp_path, said)
    assert said == [f"{name}: done before" for name in STEPS]
    assert second.packaged.bundle.hash == first.packaged.bundle.hash
    assert second.packaged == first.packaged


def test_a_changed_rule_repeats_only_what_depends_on_it(tmp_path: Path) -> None:
    run(tmp_path)
    said: list[str] = []
    run(tmp_path, said, EXTRA + '[evaluate]\ngroups = ["variety"]\n')
    assert [name for name in STEPS if f"{name}: done before" in said] == list(STEPS[:4])


def test_changed_data_repeat_everything(tmp_path: Path) -> None:
    run(tmp_path)
    said: list[str] = []
    other = apples()
    other.loc[1, "weight"] = "171.0"
    run_pipeline(
        rules(extra=EXTRA), base=tmp_path, directory=tmp_path, frame=other, progress=said.append
    )
    assert [name for name in STEPS if f"{name}: finished" in said] == list(STEPS)


def test_two_runs_never_share_a_directory(tmp_path: Path) -> None:
    def start_another(words: str) -> None:
        if words == "split: started":
            with pytest.raises(RecordUnavailable, match="Another run is at work"):
                run(tmp_path)

    pipeline = rules(extra=EXTRA)
    run_pipeline(
        pipeline, base=tmp_path, directory=tmp_path, frame=apples(), progress=start_another
    )


@pytest.mark.parametrize("file", ["clean-*/table.jsonl", "train-*/estimator.skops"])
def test_a_damaged_step_is_made_anew(tmp_path: Path, file: str) -> None:
    run(tmp_path)
    [damaged] = tmp_path.glob(file)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    said: list[str] = []
    run(tmp_path, said)
    step = file.partition("-")[0]
    assert f"{step}: damaged, made anew" in said
    assert f"{step}: finished" in said
