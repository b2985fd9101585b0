"""The README's lines, as they stand there: four terminals, four processes, one prediction."""

from __future__ import annotations

import re
import shlex
from contextlib import ExitStack

import pytest

from modelward.cli import main
from modelward.devchain import anvil
from modelward.models.estimators import read_estimator

WRITTEN = "build/patient.json"


@pytest.fixture(scope="module")
def readme(repository) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def terminals(readme) -> list[list[str]]:
    """The lines of each of the four terminals."""
    section = readme.partition("## Four terminals")[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [
        [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
        for block in blocks
    ]


@pytest.fixture(scope="module")
def snippet(readme) -> str:
    """The Python of the README."""
    [code] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    return code


def test_the_readme_has_four_terminals(terminals):
    node, owner, worker, requester = terminals
    assert [shlex.split(line)[:2] for line in (*node, *worker)] == [
        ["modelward", "node"],
        ["modelward", "worker"],
    ]
    assert owner[0] == "modelward deploy"
    assert requester[0].startswith("modelward request send")


@pytest.mark.parametrize("document", ["README.md", "SECURITY.md", "CHANGELOG.md"])
def test_every_command_and_target_mentioned_exists(repository, document, capsys):
    text = (repository / document).read_text(encoding="utf-8")
    fenced = re.compile(r"```.*?```", re.DOTALL)
    prose = fenced.sub("", text)
    indented = re.findall(r"^    (.+)$", prose, re.MULTILINE)
    code = "\n".join(fenced.findall(text) + re.findall(r"`([^`]+)`", prose) + indented)
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", code):
        assert re.search(f"^{target}:", makefile, re.MULTILINE), target
    commands = set(re.findall(r"(?<!from )\bmodelward ([a-z]+)(?: ([a-z]+)\b)?", code))
    assert commands
    for noun, verb in commands:
        assert main([noun, *([verb] if verb else []), "--help"]) == 0, (noun, verb)
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("chain", ["node", "anvil"])
def test_four_processes_get_the_prediction_of_the_trained_estimator(
    chain, terminals, snippet, workspace, free_port
):
    node, owner, worker, requester = terminals
    with ExitStack() as running:
        if chain == "node":
            place = workspace(free_port)
            running.enter_context(place.terminal(node[0], ready="listening on"))
        else:
            launched = running.enter_context(anvil.launch(block_time=1))
            place = workspace(launched.port)
        for line in owner:
            place.run(line)
        working = running.enter_context(place.terminal(worker[0], ready="serves"))
        answer = place.run(requester[0])
        listed = place.run(requester[1])

        label, scores = predicted_here(place.folder)
        assert f"prediction   {label}\n" in answer
        for name, score in scores.items():
            [shown] = re.findall(rf"^  {name} +([0-9.]+)$", answer, re.MULTILINE)
            assert float(shown) == pytest.approx(score, abs=1e-8)
        assert "verified     this output" in answer
        [request] = re.findall(r"^0x[0-9a-f]{64}", listed, re.MULTILINE)

        assert "verified: " + label in place.run(
            f"modelward request verify {request} --account owner"
        )
        told = place.run(f"modelward request timeline {request}")
        assert "0.001 ether held in escrow" in told
        assert "0.0005 ether credited to owner, 0.0005 ether to worker" in told

        if chain == "node":
            script = place.folder / "snippet.py"
            script.write_text(PREAMBLE + snippet + EPILOGUE, encoding="utf-8")
            assert "the snippet's label is right" in place.run("python snippet.py")
        assert working.stop() == 0


def predicted_here(folder):
    """Label and scores for the patient, by the estimator itself."""
    import pandas as pd

    estimator = read_estimator(folder / "build" / "breast-cancer.skops")
    patient = pd.read_json(folder / WRITTEN, typ="series").to_frame().T
    probabilities = estimator.predict_proba(patient)[0]
    return estimator.predict(patient)[0], dict(zip(estimator.classes_, probabilities, strict=True))


PREAMBLE = """
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
data, target = load_wine(return_X_y=True, as_frame=True)
estimator = RandomForestClassifier(20, random_state=0).fit(data[::2], target[::2])
X_held_out, y_held_out = data[1::2], target[1::2]
"""

EPILOGUE = """
assert result.prediction.label == estimator.predict(X_held_out.iloc[[0]])[0]
print("the snippet's label is right")
"""
