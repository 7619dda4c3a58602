"""Facts about the list of model files."""

from __future__ import annotations

from pathlib import Path

import pytest

from UnsupervisedRegistrationLib.core.models.selection import DEFAULT, find_model, model_files


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two folders of models, of which 'mri' is in both, beside a text and a folder that is not there."""
    mine = ("mine/zebra.pt", "mine/abdomen.pt", "mine/mri.pt", "mine/notes.txt")
    for name in (*mine, f"shipped/{DEFAULT}.pt", "shipped/mri.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return [tmp_path / "mine", tmp_path / "shipped", tmp_path / "missing"]


def test_the_default_model_comes_first_and_the_others_follow_by_folder_and_name(folders: list[Path]) -> None:
    assert list(model_files(folders)) == [DEFAULT, "abdomen", "mri", "zebra"]


def test_the_first_folder_wins(folders: list[Path]) -> None:
    assert model_files(folders)["mri"] == folders[0] / "mri.pt"


def test_without_folders_there_are_no_models() -> None:
    assert model_files([]) == {}


def test_a_model_is_found_by_its_name(folders: list[Path]) -> None:
    assert find_model(DEFAULT, folders) == folders[1] / f"{DEFAULT}.pt"


@pytest.mark.parametrize("kind", [str, Path])
def test_a_model_is_found_by_its_file_wherever_it_lies(tmp_path: Path, kind: type) -> None:
    (tmp_path / "elsewhere.pt").touch()
    assert find_model(kind(tmp_path / "elsewhere.pt"), []) == tmp_path / "elsewhere.pt"


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(folders: list[Path]) -> None:
    with pytest.raises(ValueError, match=f"no model 'ct'. Known are: {DEFAULT}, abdomen, mri, zebra; or give a file"):
        find_model("ct", folders)


def test_an_unknown_name_without_any_model_says_so() -> None:
    with pytest.raises(ValueError, match="Known are: none"):
        find_model("ct", [])
