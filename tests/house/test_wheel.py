"""The wheel holds the package and nothing else, and works with its runtime dependencies alone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modelward import __version__

DIST_INFO = f"modelward-{__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(repository, wheel, tmp_path_factory) -> Path:
    """An otherwise empty virtual environment outside the repository that holds the wheel."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", f"--python={folder / 'bin' / 'python'}", "install"]
    lock = repository / "requirements" / "runtime.lock"
    subprocess.run([*pip, "--quiet", "--require-hashes", "--requirement", lock], check=True)
    subprocess.run([*pip, "--quiet", "--no-deps", wheel], check=True)
    subprocess.run([*pip[:-1], "check"], check=True)
    return folder


def run(environment: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in an empty home and folder, with nothing else on PATH."""
    home = environment.parent
    return subprocess.run(
        [environment / "bin" / "modelward", *arguments],
        cwd=home,
        env={"PATH": os.defpath, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(repository, wheel):
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "offchain/modelward"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    package = {name.removeprefix("offchain/") for name in listing.stdout.splitlines()}
    metadata = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == package | {f"{DIST_INFO}/{name}" for name in metadata}


@pytest.mark.slow
def test_the_installed_wheel_tells_its_version(environment):
    result = run(environment, "--version")
    assert (result.returncode, result.stdout) == (0, f"modelward {__version__}\n")


@pytest.mark.slow
def test_the_installed_wheel_has_nothing_to_compile_and_says_so(environment):
    result = run(environment, "compile")
    assert result.returncode == 2
    assert result.stderr.startswith("error: There is nothing to compile: ")


@pytest.mark.slow
def test_the_installed_wheel_runs_the_demo(environment):
    result = run(environment, "demo")
    assert result.returncode == 0, result.stdout + result.stderr
