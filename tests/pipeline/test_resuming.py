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
from modelward.models.exact.compile import compile_program
from modelward.pipeline.definition import parse_pipeline
from modelward.pipeline.lineage import LINKS
from modelward.pipeline.run import STEPS, Finished, run_pipeline
from tests.pipeline.orchard import RULES, apples, rules

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
    return run(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("step", STEPS)
def test_killed_in_the_middle_of_a_step_the_next_run_ends_the_same(
    tmp_path: Path, step: str, uninterrupted: Finished
) -> None:
    child = subprocess.run(
        [sys.executable, str(CHILD), str(tmp_path), step],
        env={**os.environ, "PYTHONPATH": str(CHILD.parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    before = STEPS[: STEPS.index(step)]
    said: list[str] = []
    finished = run(tmp_path, said)
    assert [name for name in STEPS if f"{name}: done before" in said] == list(before)
    assert f"{step}: finished" in said
    assert not list(tmp_path.glob(".*-*")), "a draft was left behind"
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


def test_a_resumed_run_has_the_same_exact_program(tmp_path: Path) -> None:
    numbers_alone = RULES.partition("[columns.variety]")[0]
    pipeline = parse_pipeline(numbers_alone + EXTRA, Path("pipeline.toml"))
    programs = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        finished = run_pipeline(pipeline, base=folder, directory=folder, frame=apples())
        bundle = finished.packaged.bundle
        opened = open_bundle(bundle.data, bundle.hash)
        manifest = opened.manifest
        programs.append(compile_program(opened.estimator, manifest.input, manifest.output).data)
    assert programs[0] == programs[1]
