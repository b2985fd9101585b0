"""`modelward init`, `deploy` and `account`, as typed at a terminal."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from modelward.chain.accounts import Keystore
from modelward.cli import main
from modelward.config import starter
from modelward.devchain import DevChain, serve

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """An empty working directory, and a home of its own."""
    for name in ("NETWORK", "ACCOUNT", "PASSWORD", "PASSWORD_FILE", "CONFIG"):
        monkeypatch.delenv(f"MODELWARD_{name}", raising=False)
    monkeypatch.setenv("MODELWARD_HOME", str(tmp_path / "home"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def light(monkeypatch):
    """Keystores that are quick to open."""
    monkeypatch.setitem(Keystore.__init__.__kwdefaults__, "work_factor", 1 << 10)


@pytest.fixture
def node(directory) -> Iterator[DevChain]:
    """A chain on loopback, which deploy.toml calls local and production."""
    devchain = DevChain()
    with serve(devchain) as server:
        text = starter().replace("http://127.0.0.1:8545", server.url)
        text += f'\n[networks.production]\nurl = "{server.url}"\nchain_id = 31337\n'
        text += f'\n[networks.elsewhere]\nurl = "{server.url}"\nchain_id = 1\n'
        (directory / "deploy.toml").write_text(text)
        yield devchain


def rows(output):
    return [line.split() for line in output.splitlines() if re.match(r"\w+ +(deploy|keep)", line)]


# --- init ----------------------------------------------------------------------------------------


def test_init_writes_the_starter_and_says_what_is_next(directory, capsys):
    assert main(["init"]) == 0

    assert (directory / "deploy.toml").read_text() == starter()
    assert "modelward deploy" in capsys.readouterr().out


def test_init_writes_over_nothing(directory, capsys):
    (directory / "deploy.toml").write_text("mine")

    assert main(["init"]) == 2

    assert (directory / "deploy.toml").read_text() == "mine"
    assert "is not written over" in capsys.readouterr().err


def test_init_makes_the_directory_it_is_given(directory):
    assert main(["init", "new/project"]) == 0

    assert (directory / "new" / "project" / "deploy.toml").exists()


def test_init_says_when_it_cannot_write(directory, capsys):
    (directory / "file").write_text("")

    assert main(["init", "file"]) == 2
    assert "cannot be written" in capsys.readouterr().err


# --- deploy --------------------------------------------------------------------------------------


def test_deploy_shows_what_it_did_and_a_second_run_that_nothing_is_left(node, directory, capsys):
    assert main(["deploy", "--network", "local"]) == 0
    first = capsys.readouterr().out
    assert [row[:2] for row in rows(first)] == [
        ["DataShare", "deploy"],
        ["ModelRegistry", "deploy"],
        ["ExactPrograms", "deploy"],
        ["PrivacyLedger", "deploy"],
        ["InferenceEscrow", "deploy"],
        ["ExactReferee", "deploy"],
    ]
    assert all(re.fullmatch(r"0x[0-9a-fA-F]{40}", row[2]) for row in rows(first))
    assert all(int(row[3].replace(",", "")) > 200_000 for row in rows(first))
    assert "spent 0.0" in first
    (record,) = (directory / "deployments" / "development").glob("31337-*.json")
    assert str(record) in first

    assert main(["deploy", "--network", "local"]) == 0
    second = capsys.readouterr().out
    assert [row[1] for row in rows(second)] == 6 * ["keep"]
    assert [row[2] for row in rows(second)] == [row[2] for row in rows(first)]
    assert "Everything is up to date." in second


def test_deploy_plan_shows_gas_and_sends_nothing(node, directory, capsys):
    assert main(["deploy", "--plan"]) == 0

    output = capsys.readouterr().out
    assert [row[1] for row in rows(output)] == 6 * ["deploy"]
    assert all(int(row[2].replace(",", "")) > 200_000 for row in rows(output))
    assert node.block_number == 0
    assert not (directory / "deployments").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--network", "lokal"], 2, "hint: Did you mean 'local'?"),
        (["--network", "embedded"], 2, "lives inside a process"),
        (["--network", "elsewhere"], 2, "serves chain 31337, but"),
        (["--network", "sepolia"], 2, "SEPOLIA_RPC_URL is not set"),
        (["--network", "production", "--account", "owner"], 2, "whose key everybody knows"),
        (["--network", "production"], 2, "No account was named"),
        (["--account", "nobody"], 2, "There is no account 'nobody'"),
        (["--config", "missing.toml"], 2, "There is no file"),
    ],
)
def test_deploy_refuses_in_one_sentence(node, capsys, arguments, code, words):
    assert main(["deploy", *arguments]) == code

    said = capsys.readouterr().err
    assert words in said
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    assert node.block_number == 0


def test_deploy_says_when_nothing_listens(directory, capsys):
    text = starter().replace("8545", "9")
    (directory / "deploy.toml").write_text(text)

    assert main(["deploy"]) == 4

    said = capsys.readouterr().err
    assert "http://127.0.0.1:9" in said
    assert "modelward node" in said


def test_deploy_says_when_the_account_has_no_money(node, light, monkeypatch, capsys):
    monkeypatch.setenv("MODELWARD_PASSWORD", PASSWORD)
    assert main(["account", "new", "pauper"]) == 0

    assert main(["deploy", "--network", "production", "--account", "pauper"]) == 3
    assert "it has 0 wei and needs" in capsys.readouterr().err


def test_the_script_does_what_the_command_does(node, repository, directory):
    script = [sys.executable, str(repository / "scripts" / "deploy.py")]

    done = subprocess.run([*script, "local"], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "DataShare",
        "ModelRegistry",
        "ExactPrograms",
        "PrivacyLedger",
        "InferenceEscrow",
        "ExactReferee",
    ]

    failed = subprocess.run([*script, "lokal"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: No network 'lokal'")
    assert "Traceback" not in failed.stderr


# --- account -------------------------------------------------------------------------------------


def test_a_new_account_is_listed_and_can_be_used(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MODELWARD_PASSWORD", PASSWORD)

    assert main(["account", "new", "alice"]) == 0
    stored = json.loads((tmp_path / "home" / "keystore" / "alice.json").read_text())
    assert main(["account", "list"]) == 0

    listed = capsys.readouterr().out
    assert stored["address"].lower() in listed.lower()
    assert "deployer" in listed
    assert stored["crypto"]["kdfparams"]["n"] == 1 << 18


def test_an_account_needs_a_password_from_somewhere(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: PTH123, SIM115

    assert main(["account", "new", "alice"]) == 2

    assert "MODELWARD_PASSWORD_FILE" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


@pytest.fixture
def typed(light, monkeypatch):
    """Answer the questions asked at the terminal, one after the other."""

    def answer(*answers):
        remaining = list(answers)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("typer.prompt", lambda *_, **__: remaining.pop(0))
        return remaining

    return answer


def test_a_password_is_asked_for_twice(typed, capsys):
    left = typed(PASSWORD, PASSWORD)

    assert main(["account", "new", "alice"]) == 0
    assert left == []


@pytest.mark.parametrize(("answers", "words"), [(["a", "b"], "differ"), ([""], "empty")])
def test_a_password_mistyped_or_empty_stores_nothing(typed, tmp_path, capsys, answers, words):
    typed(*answers)

    assert main(["account", "new", "alice"]) == 2
    assert words in capsys.readouterr().err
    assert not list((tmp_path / "home").rglob("*.json"))


def test_a_taken_name_is_refused_before_a_password_is_asked_for(typed, capsys):
    typed(PASSWORD, PASSWORD)
    assert main(["account", "new", "alice"]) == 0

    assert main(["account", "new", "alice"]) == 2
    assert "There is an account 'alice'" in capsys.readouterr().err


def test_a_private_key_is_imported_from_the_terminal_or_a_file(typed, directory, capsys):
    typed(62 * "0" + "07", PASSWORD, PASSWORD)
    assert main(["account", "import", "alice"]) == 0
    assert "alice is 0x" in capsys.readouterr().out

    (directory / "key").write_text("0x" + 62 * "0" + "08\n")
    typed(PASSWORD, PASSWORD)
    assert main(["account", "import", "bob", "--key-file", "key"]) == 0


def test_a_keystore_of_another_program_is_imported_with_its_password(
    typed, tmp_path, directory, monkeypatch, capsys
):
    monkeypatch.setenv("MODELWARD_PASSWORD", PASSWORD)
    assert main(["account", "new", "alice"]) == 0
    (tmp_path / "home" / "keystore" / "alice.json").rename(directory / "theirs.json")
    monkeypatch.delenv("MODELWARD_PASSWORD")

    typed("wrong")
    assert main(["account", "import", "bob", "--keystore", "theirs.json"]) == 2
    assert "does not open" in capsys.readouterr().err
    typed(PASSWORD)
    assert main(["account", "import", "bob", "--keystore", "theirs.json"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--key-file", "missing"], "No private key can be read"),
        (["--keystore", "missing"], "cannot be read"),
        (["--keystore", "a", "--key-file", "b"], "not from both"),
    ],
)
def test_an_import_that_cannot_work_is_refused(typed, capsys, arguments, words):
    typed(PASSWORD)

    assert main(["account", "import", "alice", *arguments]) == 2
    assert words in capsys.readouterr().err
