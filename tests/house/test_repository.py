"""What holds of every file of the repository."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement

from modelward.cli import NOUNS

REGISTRY_HOSTS = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|yarnpkg\.com|debian\.org|anaconda\.org|ghcr\.io"
)
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:home|root|work|Users|tmp/[a-z])\b")


@pytest.fixture(scope="module")
def texts(repository) -> dict[str, str]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True
    )
    names = [name for name in listing.stdout.split("\0") if (repository / name).is_file()]
    return {name: (repository / name).read_text("utf-8", "replace") for name in names}


@pytest.mark.parametrize("pattern", [REGISTRY_HOSTS, MACHINE_PATHS], ids=["registry", "machine"])
def test_no_file_names_a_registry_or_a_path_of_a_machine(texts, pattern):
    found = {name: match[0] for name, text in texts.items() if (match := pattern.search(text))}
    assert found == {}


def test_the_patterns_find_what_they_are_meant_to_find():
    assert REGISTRY_HOSTS.search("--index-url https://" + "pypi" + ".org/simple")
    for path in ("/".join(["", "home", "ada", "x"]), '"' + "/".join(["", "root"]) + '"'):
        assert MACHINE_PATHS.search(path)
    assert not MACHINE_PATHS.search("https://example.test/home")


@pytest.mark.parametrize("lock", ["runtime", "dev", "slither", "halmos"])
def test_every_locked_package_is_pinned_and_has_a_hash(texts, lock):
    entries = re.split(
        r"\n(?=[a-z])", re.sub(r"(?m)^ *#.*\n", "", texts[f"requirements/{lock}.lock"])
    )
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("lock", ["runtime", "dev"])
def test_the_lock_satisfies_the_ranges_in_pyproject(repository, texts, lock):
    project = tomllib.loads(texts["pyproject.toml"])
    wanted = list(project["project"]["dependencies"])
    if lock == "dev":
        wanted += project["dependency-groups"]["dev"]
    pinned: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"(?m)^([a-z0-9-]+)==(\S+)", texts[f"requirements/{lock}.lock"]
    ):
        pinned.setdefault(name, set()).add(version)
    for requirement in map(Requirement, wanted):
        versions = pinned.get(requirement.name, set())
        assert versions, f"{requirement.name} is not locked; run `make lock`"
        for version in versions:
            assert requirement.specifier.contains(version, prereleases=True), requirement


def test_npms_lock_names_no_address(texts):
    assert "://" not in texts["package-lock.json"]


def test_the_commands_in_the_readme_exist(texts):
    targets = set(re.findall(r"(?m)^([a-z-]+):", texts["Makefile"]))
    told = set(re.findall(r"(?m)`make ([a-z-]+)`|^ *make ([a-z-]+)", texts["README.md"]))
    made = {name for names in told for name in names if name}
    assert {"demo", "test"} <= made <= targets

    nouns = set(re.findall(r"(?m)(?:`|^ +|^\$ )modelward ([a-z]+)", texts["README.md"]))
    assert "demo" in nouns
    assert nouns <= NOUNS.keys()


def test_an_old_python_is_refused_in_one_sentence(repository, tmp_path):
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for needed in ("Makefile", "pyproject.toml", "requirements/dev.lock"):
        copy = tmp_path / needed
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((repository / needed).read_bytes())
    result = subprocess.run(
        ["make", "demo", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode != 0
    assert result.stderr.startswith("error: modelward needs Python 3.11 or newer")
    assert not (tmp_path / ".venv").exists()


def test_errors_that_a_caller_cannot_tell_apart_name_their_arguments_alike(texts):
    sources = "\n".join(text for name, text in texts.items() if name.endswith(".sol"))
    names: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for error, inputs in re.findall(r"(?m)^\s*error (\w+)\(([^)]*)\)", sources):
        parts = [part.split() for part in inputs.split(",") if part.strip()]
        signature = (error, *(part[0] for part in parts))
        names.setdefault(signature, set()).add(tuple(part[-1] for part in parts))

    assert len(names) > 50
    assert {signature: found for signature, found in names.items() if len(found) > 1} == {}
