"""The root of the command line: quick to start, one sentence for every error, an exit code each."""

import io
import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest
import typer

from modelward import cli
from modelward.errors import (
    BadInput,
    CheckFailed,
    ModelwardError,
    ModelwardWarning,
    Refused,
    Unavailable,
)

HEAVY = {"web3", "eth_account", "eth_tester", "sklearn", "skops", "pandas", "numpy", "solcx"}


@pytest.fixture
def noun(monkeypatch):
    """Register a function as the noun `probe` for one test."""

    def register(target):
        monkeypatch.setitem(sys.modules, "probing", SimpleNamespace(target=target))
        monkeypatch.setitem(cli.NOUNS, "probe", cli.Noun("probing:target", "Probe."))

    return register


def fails_with(error):
    def command() -> None:
        raise error

    return command


def cpu_seconds(*command):
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_help_takes_at_most_a_quarter_of_a_second_of_cpu():
    help_command = (sys.executable, "-m", "modelward", "--help")
    assert min(cpu_seconds(*help_command) for _ in range(3)) <= 0.25


@pytest.mark.parametrize("arguments", [[], *([noun] for noun in cli.NOUNS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments):
    program = (
        "import sys; from modelward.cli import main; "
        f"code = main({[*arguments, '--help']!r}); "
        f"print('imported:', *sorted({HEAVY!r} & sys.modules.keys())); sys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "imported:"


def test_importing_the_package_and_its_command_line_raises_no_warning():
    modules = {"modelward", *(noun.target.partition(":")[0] for noun in cli.NOUNS.values())}
    subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {', '.join(sorted(modules))}"], check=True
    )


def test_help_lists_every_noun_with_its_summary(capsys):
    assert cli.main(["--help"]) == 0
    listed = capsys.readouterr().out
    for name, noun in cli.NOUNS.items():
        assert f"  {name} " in listed
        assert noun.summary in " ".join(listed.split())


@pytest.mark.parametrize(("family", "code"), [
    (CheckFailed, 1),
    (BadInput, 2),
    (Refused, 3),
    (Unavailable, 4),
])  # fmt: skip
def test_an_error_is_a_sentence_a_hint_and_the_exit_code_of_its_family(noun, capsys, family, code):
    noun(fails_with(family("The moon is missing.", hint="Look up.")))
    assert cli.main(["probe"]) == code
    captured = capsys.readouterr()
    assert captured.err == "error: The moon is missing.\nhint: Look up.\n"
    assert captured.out == ""


def test_a_defect_is_a_sentence_too_and_exits_with_4(noun, capsys):
    noun(fails_with(ZeroDivisionError("division by zero")))
    assert cli.main(["probe"]) == 4
    error = capsys.readouterr().err
    assert error.startswith("error: ZeroDivisionError: division by zero\nhint: ")
    assert "Traceback" not in error


def test_what_the_operating_system_refuses_is_named(noun, capsys, tmp_path):
    def command() -> None:
        (tmp_path / "nowhere" / "file").write_text("")

    noun(command)
    assert cli.main(["probe"]) == 4
    expected = f"error: No such file or directory: {tmp_path / 'nowhere' / 'file'}.\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("error", [ModelwardError("No."), ZeroDivisionError("no")], ids=repr)
def test_debug_shows_the_traceback(noun, capsys, monkeypatch, error):
    noun(fails_with(error))
    cli.main(["--debug", "probe"])
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("MODELWARD_DEBUG", "1")
    cli.main(["probe"])
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_exits_with_130(noun, capsys):
    noun(fails_with(KeyboardInterrupt()))
    assert cli.main(["probe"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_question_nobody_can_answer_is_bad_input(noun, capsys, monkeypatch):
    def command() -> None:
        typer.prompt("Password", hide_input=False)

    noun(command)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert cli.main(["probe"]) == 2
    assert "Standard input ended" in capsys.readouterr().err


def test_a_commands_own_exit_code_is_kept(noun):
    noun(fails_with(typer.Exit(3)))
    assert cli.main(["probe"]) == 3


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line_without_a_place_in_the_code(noun, capsys):
    def command() -> None:
        warnings.warn("The lamp is dim.", ModelwardWarning, stacklevel=1)

    noun(command)
    assert cli.main(["probe"]) == 0
    assert capsys.readouterr().err == "warning: The lamp is dim.\n"


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["frobnicate"], "No such command 'frobnicate'."),
    (["--frobnicate"], "No such option: --frobnicate"),
    (["compile", "--frobnicate"], "No such option: --frobnicate"),
    (["compile", "--solc"], "Option '--solc' requires an argument."),
])  # fmt: skip
def test_a_usage_error_is_a_sentence_and_exits_with_2(capsys, arguments, sentence):
    assert cli.main(arguments) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"error: {sentence}"
    assert "--help" in hint


def test_no_arguments_give_the_help_and_exit_with_2(capsys):
    assert cli.main([]) == 2
    assert "Usage: modelward" in capsys.readouterr().err
