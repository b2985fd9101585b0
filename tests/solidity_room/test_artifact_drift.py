"""`modelward compile` writes artifacts that `--check` compares with the sources, byte for byte."""

import json
import shutil
from pathlib import Path

import pytest

from modelward.cli import main
from modelward.errors import ArtifactDrift, CompilationFailed, UnknownContract
from modelward.solidity import artifact_names, load_artifact, standard_input
from modelward.solidity import build as building
from modelward.solidity.build import artifacts_folder, check_sources, source_hash
from modelward.solidity.sources import SETTINGS, deployable_sources

CONTRACTS = Path(__file__).with_name("contracts")


@pytest.fixture(scope="module")
def compiled(repository, tmp_path_factory) -> Path:
    """A small checkout, compiled once."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(CONTRACTS, root / "contracts", ignore=shutil.ignore_patterns("Step.sol"))
    (root / "contracts" / "libraries").mkdir()
    shutil.copy(CONTRACTS / "Step.sol", root / "contracts" / "libraries")
    counter = root / "contracts" / "Counter.sol"
    counter.write_text(counter.read_text().replace("./Step.sol", "./libraries/Step.sol"))
    (root / "node_modules").symlink_to(repository / "node_modules")
    assert main(["compile", "--project", str(root)]) == 0
    return root


@pytest.fixture
def checkout(compiled, tmp_path) -> Path:
    """A copy of the compiled checkout that a test may change."""
    return shutil.copytree(compiled, tmp_path / "checkout", symlinks=True)


def check(root: Path) -> int:
    return main(["compile", "--check", "--project", str(root)])


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class TestTheCommittedArtifacts:
    def test_were_compiled_from_these_sources(self):
        check_sources()

    def test_are_there_for_every_deployable_contract(self, repository):
        sources = {load_artifact(name).source_name for name in artifact_names()}
        assert sources == set(deployable_sources(repository))

    @pytest.mark.parametrize("name", artifact_names())
    def test_hold_the_hash_of_the_input_that_is_saved_for_block_explorers(self, name):
        assert load_artifact(name).source_hash == source_hash(standard_input(name))

    def test_have_no_entry_for_an_unknown_name(self):
        with pytest.raises(UnknownContract, match="'Nothing'"):
            load_artifact("Nothing")


class TestCompileCheck:
    def test_passes_on_what_was_just_compiled(self, checkout, capsys):
        assert check(checkout) == 0
        assert "of 24,576 bytes" in capsys.readouterr().out

    def test_names_the_artifact_and_what_differs_in_it(self, checkout, capsys):
        path = artifacts_folder(checkout) / "Counter.json"
        artifact = json.loads(path.read_text())
        edit(path, artifact["bytecode"], artifact["bytecode"] + "00")
        assert check(checkout) == 1
        error = capsys.readouterr().err
        assert "Counter.json differs (bytecode)" in error
        assert "modelward compile" in error

    def test_sees_a_changed_source(self, checkout, capsys):
        edit(checkout / "contracts" / "Counter.sol", "+=", "-=")
        assert check(checkout) == 1
        assert "Counter.json differs (sourceHash, bytecode" in capsys.readouterr().err

    def test_writes_nothing(self, checkout):
        edit(checkout / "contracts" / "Counter.sol", "+=", "-=")
        path = artifacts_folder(checkout) / "Counter.json"
        before = path.read_bytes()
        check(checkout)
        assert path.read_bytes() == before


class TestCompile:
    def test_removes_the_artifacts_of_a_contract_that_is_gone(self, checkout):
        (checkout / "contracts" / "Counter.sol").unlink()
        assert check(checkout) == 1
        assert main(["compile", "--project", str(checkout)]) == 0
        assert list(artifacts_folder(checkout).rglob("*.json")) == []

    def test_refuses_a_folder_without_contracts(self, tmp_path, capsys):
        assert main(["compile", "--project", str(tmp_path)]) == 2
        assert "no checkout of modelward" in capsys.readouterr().err

    def test_refuses_a_contract_that_is_not_named_after_its_file(self, checkout, compiler):
        contracts = checkout / "contracts"
        (contracts / "Counter.sol").rename(contracts / "Tally.sol")
        with pytest.raises(CompilationFailed, match=r"one deployable contract, Tally.*: Counter"):
            building.build(checkout, compiler)

    def test_refuses_a_contract_too_large_to_deploy(self, checkout, compiler, monkeypatch):
        monkeypatch.setattr(building, "CODE_SIZE_LIMIT", 100)
        with pytest.raises(CompilationFailed, match=r"Counter is [\d,]+ bytes over the code size"):
            building.build(checkout, compiler)


class TestComparingSourcesWithoutACompiler:
    def test_passes_on_what_was_just_compiled(self, checkout):
        check_sources(checkout)

    def test_needs_no_libraries(self, checkout):
        (checkout / "node_modules").unlink()
        check_sources(checkout)

    @pytest.mark.parametrize("source", ["contracts/Counter.sol", "contracts/libraries/Step.sol"])
    def test_sees_a_changed_source(self, checkout, source):
        with (checkout / source).open("a") as file:
            file.write("// one more line\n")
        with pytest.raises(ArtifactDrift, match=f"{source} has changed since Counter was compiled"):
            check_sources(checkout)

    def test_sees_a_changed_library(self, checkout):
        modules = checkout / "node_modules"
        real = modules.resolve()
        modules.unlink()
        library = Path("@openzeppelin/contracts/utils/Context.sol")
        (modules / library).parent.mkdir(parents=True)
        (modules / library).write_text((real / library).read_text() + "// one more line\n")
        with pytest.raises(ArtifactDrift, match=f"{library} has changed"):
            check_sources(checkout)

    def test_sees_a_removed_source(self, checkout):
        (checkout / "contracts" / "libraries" / "Step.sol").unlink()
        with pytest.raises(ArtifactDrift, match=r"Step\.sol has changed"):
            check_sources(checkout)

    def test_sees_a_contract_without_an_artifact(self, checkout):
        (checkout / "contracts" / "New.sol").write_text("contract New {}")
        with pytest.raises(ArtifactDrift, match=r"contracts/New\.sol has no artifact"):
            check_sources(checkout)

    def test_sees_an_artifact_without_a_contract(self, checkout):
        (checkout / "contracts" / "Counter.sol").unlink()
        with pytest.raises(ArtifactDrift, match=r"Counter\.json has no source"):
            check_sources(checkout)

    def test_sees_a_missing_saved_input(self, checkout):
        (artifacts_folder(checkout) / "inputs" / "Counter.json").unlink()
        with pytest.raises(ArtifactDrift, match=r"inputs/Counter\.json is missing"):
            check_sources(checkout)

    def test_sees_other_settings(self, checkout):
        runs = f'"runs": {SETTINGS["optimizer"]["runs"]}'
        edit(artifacts_folder(checkout) / "inputs" / "Counter.json", runs, '"runs": 1')
        with pytest.raises(ArtifactDrift, match="Counter was compiled with other settings"):
            check_sources(checkout)
