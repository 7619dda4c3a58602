"""What ships: the lists of CMake, the metadata that the Extensions Index reads, the size of the files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULE = ROOT / "UnsupervisedRegistration"


def listed(variable: str) -> set[str]:
    """Entries of a ``set(VARIABLE ..)`` in the module's CMakeLists."""
    text = (MODULE / "CMakeLists.txt").read_text().replace("${MODULE_NAME}", "UnsupervisedRegistration")
    match = re.search(rf"set\({variable}\s+(.*?)\)", text, re.DOTALL)
    assert match, variable
    return set(match[1].split())


def test_cmake_lists_every_script() -> None:
    onDisk = {path.relative_to(MODULE).as_posix() for path in MODULE.rglob("*.py") if "__pycache__" not in path.parts}
    assert listed("MODULE_PYTHON_SCRIPTS") == onDisk


def test_cmake_lists_every_resource() -> None:
    onDisk = {path.relative_to(MODULE).as_posix() for path in (MODULE / "Resources").rglob("*") if path.is_file()}
    assert listed("MODULE_PYTHON_RESOURCES") == onDisk


@pytest.mark.parametrize("name", ["HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"])
def test_the_extension_describes_itself(name: str) -> None:
    assert re.search(rf'set\(EXTENSION_{name} "[^"]+"\)', (ROOT / "CMakeLists.txt").read_text())


@pytest.mark.parametrize("variable", ["ICONURL", "SCREENSHOTURLS"])
def test_pictures_named_for_the_index_are_in_the_repository(variable: str) -> None:
    match = re.search(rf'set\(EXTENSION_{variable} "([^"]+)"\)', (ROOT / "CMakeLists.txt").read_text())
    assert match
    for url in match[1].split():
        assert (ROOT / url.split("/main/")[1]).is_file(), url


def test_the_module_folder_holds_one_python_file() -> None:
    assert [path.name for path in MODULE.glob("*.py")] == ["UnsupervisedRegistration.py"]


def test_the_models_stay_under_5_mb_together() -> None:
    sizes = [path.stat().st_size for path in (MODULE / "Resources" / "Models").glob("*.pt")]
    assert 0 < sum(sizes) < 5e6


def test_no_file_but_a_model_is_larger_than_500_kb() -> None:
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("The size of the files is checked in a git repository.")
    paths = [ROOT / name for name in tracked.stdout.split("\0") if name]
    large = [path for path in paths if path.is_file() and path.stat().st_size > 500 * 1024]
    assert [path for path in large if path.parent != MODULE / "Resources" / "Models"] == []


def test_a_quality_report_names_the_version_of_the_module() -> None:
    from UnsupervisedRegistrationLib.scene.reporting.quality_report import MODULE_VERSION

    assert f'\nversion = "{MODULE_VERSION}"\n' in (ROOT / "pyproject.toml").read_text()
