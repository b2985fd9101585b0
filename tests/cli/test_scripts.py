"""The scripts and examples run as they stand, and say what went wrong as commands do."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
import skops.io

from modelward.sdk import Catalogue
from modelward.terms import Access
from tests.market import MODEL


@pytest.fixture
def script(repository, project, monkeypatch, capsys):
    """Run a script or an example of the repository; returns its exit code and what it printed."""

    def script(name, *arguments):
        path = repository / name
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        monkeypatch.syspath_prepend(str(path.parent))
        capsys.readouterr()
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
        else:
            code = 0
        return code, capsys.readouterr()

    return script


def test_every_script_is_run_here_or_in_a_test_of_its_own(repository):
    scripts = {path.name for path in (repository / "scripts").glob("*.py")}
    elsewhere = {"deploy.py", "run_worker.py"}
    here = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in scripts - elsewhere if f"scripts/{name}" not in here} == set()


def test_publish(script, project, breast_cancer):
    skops.io.dump(breast_cancer.estimator, project / "model.skops")
    table = breast_cancer.inputs.assign(target=breast_cancer.labels)
    table.to_csv(project / "rows.csv", index=False)
    code, printed = script("scripts/publish.py", "model.skops", "rows.csv", "other", "5 gwei")
    assert code == 0, printed.err
    *changes, reference = printed.out.splitlines()
    assert (changes[0], changes[-1]) == ("registered the model other", "published a version")
    assert reference.endswith("/other@1")


def test_grant_and_revoke(script, market, outsider):
    code, printed = script("scripts/grant_and_revoke.py", "grant", "outsider", "breast-cancer")
    assert code == 0, printed.err
    assert f"{outsider.address}  INFER  GRANTED" in printed.out
    assert outsider.quote(MODEL).access is Access.GRANTED
    code, printed = script("scripts/grant_and_revoke.py", "revoke", "outsider", "breast-cancer")
    assert f"{outsider.address}  INFER  REVOKED" in printed.out


def test_request(script, project, working, breast_cancer):
    row = breast_cancer.inputs.iloc[0].to_dict()
    (project / "row.json").write_text(json.dumps(row), encoding="utf-8")
    with working():
        code, printed = script("scripts/request.py", MODEL, "row.json")
    assert code == 0, printed.err
    assert ": malignant\n" in printed.out
    assert printed.out.count("\nok  ") == 6


def test_demo(script):
    code, printed = script("scripts/demo.py")
    assert code == 0, printed.err
    assert "malignant, committed to by 0x" in printed.out


@pytest.mark.parametrize(
    ("name", "arguments", "code", "sentence"),
    [
        ("scripts/publish.py", ("a", "b", "c", "1 gwei"), 2, "error: a cannot be read"),
        ("scripts/request.py", (MODEL, "absent.json"), 2, "error: absent.json cannot be read"),
        ("scripts/request.py", ("owner/other", "x"), 2, "error: owner has no model 'other'"),
        ("scripts/grant_and_revoke.py", ("grant", "nobody", MODEL), 2, "error: No account"),
    ],
)
def test_what_goes_wrong_is_one_sentence(script, name, arguments, code, sentence):
    ended, printed = script(name, *arguments)
    assert ended == code
    assert printed.err.startswith(sentence)


@pytest.mark.parametrize("name", ["publish", "grant_and_revoke", "request"])
def test_without_arguments_a_script_says_how_it_is_called(script, name):
    code, _ = script(f"scripts/{name}.py")
    assert f"python scripts/{name}.py " in str(code)


@pytest.mark.parametrize(
    ("example", "gives"),
    [("breast_cancer", "malignant"), ("wine", "barolo"), ("diabetes-progression", None)],
)
def test_examples_sell_a_prediction_on_the_embedded_chain(script, example, gives, project):
    before = {path for path in project.rglob("*") if path.is_file()}
    code, printed = script(f"examples/{example.partition('-')[0]}.py", "--network", "embedded")
    assert code == 0, printed.err
    [line] = [x for x in printed.out.splitlines() if x.startswith("predicted")]
    if gives is None:
        assert float(line.split()[1].rstrip(","))
    else:
        assert line == f"predicted  {gives}, and the data say {gives}"
    assert printed.out.count("\nverified") == 6
    assert {path for path in project.rglob("*") if path.is_file()} == before


def test_an_example_trades_on_a_deployed_network_too(script, market):
    code, printed = script("examples/wine.py", "--network", "local")
    assert code == 0, printed.err
    assert printed.out.count("\nverified") == 6
    assert Catalogue(market.connection()).version("owner/wine").number == 1


def test_the_example_writes_what_the_readme_publishes(script, project):
    code, _ = script("examples/breast_cancer.py", "--save", project / "build")
    assert code == 0
    assert sorted(path.name for path in (project / "build").iterdir()) == [
        "breast-cancer.skops",
        "held-out.csv",
        "patient.json",
    ]
