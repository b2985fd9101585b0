"""A source is compiled with all it imports, and its artifact is the same wherever that happens."""

import shutil
from pathlib import Path

import pytest

from modelward.errors import CompilationFailed
from modelward.solidity import Artifact
from modelward.solidity.build import compile_source
from modelward.solidity.sources import compiler_input

COUNTER = "tests/solidity_room/contracts/Counter.sol"


@pytest.fixture(scope="session")
def counter(compile_solidity) -> Artifact:
    return compile_solidity(COUNTER)["Counter"]


def test_imports_are_followed_and_comments_and_strings_are_not(repository):
    assert list(compiler_input(repository, COUNTER)["sources"]) == [
        "@openzeppelin/contracts/access/Ownable.sol",
        "@openzeppelin/contracts/utils/Context.sol",
        COUNTER,
        "tests/solidity_room/contracts/Step.sol",
    ]


def test_the_abi_holds_inherited_errors_and_the_contracts_own(counter):
    errors = {entry["name"] for entry in counter.abi if entry["type"] == "error"}
    assert errors == {"StepTooLarge", "OwnableInvalidOwner", "OwnableUnauthorizedAccount"}


def test_places_of_immutables_are_zeros_in_the_runtime_code(counter):
    assert counter.immutable_references
    for start, length in counter.immutable_references:
        assert counter.deployed_bytecode[start : start + length] == bytes(32)


def test_an_artifact_survives_its_own_json(counter):
    assert Artifact.from_json(counter.to_json()) == counter


def test_another_folder_gives_the_same_artifact(counter, repository, compiler, tmp_path):
    elsewhere = tmp_path / "another place"
    shutil.copytree(repository / Path(COUNTER).parent, elsewhere / Path(COUNTER).parent)
    (elsewhere / "node_modules").symlink_to(repository / "node_modules")
    assert compile_source(compiler, elsewhere, COUNTER) == [counter]


def test_a_missing_library_is_named_with_who_imports_it(repository, tmp_path):
    (tmp_path / "A.sol").write_text('import {Ownable} from "@openzeppelin/contracts/Ownable.sol";')
    with pytest.raises(CompilationFailed, match=r"@openzeppelin/.*Ownable.sol, which A.sol") as e:
        compiler_input(tmp_path, "A.sol")
    assert e.value.hint is not None
    assert "npm ci" in e.value.hint


def test_the_compilers_own_message_reaches_the_caller(compiler, tmp_path):
    (tmp_path / "Broken.sol").write_text("pragma solidity 0.8.37; contract Broken { uint x }")
    with pytest.raises(CompilationFailed, match="Expected ';'"):
        compile_source(compiler, tmp_path, "Broken.sol")
