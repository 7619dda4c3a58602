"""The lists of evaluation pairs follow their rules, and are read as pairs with subjects."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from training.__main__ import main
from training.benchmark.pair_lists import LISTS, write_lists
from training.data.labelled_pairs import find_pairs

Rows = list[dict[str, str]]


def rows_of(path: Path) -> Rows:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))


def heart(folder: Path, phase: str, pixels: list[int]) -> None:
    """A volume of three slices; slice ``k`` shows labels 1 and 2 well and ``pixels[k]`` pixels of label 3."""
    labels = np.zeros((3, 20, 20), np.int16)
    labels[:, 0:2], labels[:, 2:4] = 1, 2
    for one, count in zip(labels, pixels, strict=True):
        one[4:].flat[:count] = 3
    write(folder / f"patient1_{phase}.nii.gz", labels * 100)
    write(folder / f"patient1_{phase}_labels.nii.gz", labels)


def test_brain_pairs_are_all_ordered_pairs_of_subjects_at_nine_levels(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        for part in ("T1w", "labels"):
            write(tmp_path / f"data/brain_t1/dev/sub-{number}_{part}.nii.gz", np.zeros((2, 2, 2), np.int16))
    assert write_lists(tmp_path / "data", tmp_path) == {"brain": 3 * 2 * 9}
    rows = rows_of(tmp_path / "brain.csv")
    assert {int(row["slice"]) for row in rows} == {46, 54, 62, 70, 78, 86, 94, 102, 110}
    assert {(row["fixed_subject"], row["moving_subject"]) for row in rows} == {
        (f"sub-{first}", f"sub-{second}") for first in (1, 2, 3) for second in (1, 2, 3) if first != second
    }
    assert rows[0]["fixed_labels"] == "brain_t1/dev/sub-1_labels.nii.gz"


def test_heart_slices_need_twenty_pixels_of_every_label_in_both_phases(tmp_path: Path) -> None:
    heart(tmp_path / "data/cardiac_volumes/dev", "ED", [20, 40, 19])
    heart(tmp_path / "data/cardiac_volumes/dev", "ES", [19, 20, 40])
    assert write_lists(tmp_path / "data", tmp_path) == {"heart": 2}
    first, second = rows_of(tmp_path / "heart.csv")
    assert first["slice"] == second["slice"] == "1"
    assert (first["fixed"], first["moving"]) == (second["moving"], second["fixed"])
    assert first["fixed"].endswith("patient1_ED.nii.gz")
    pair = next(find_pairs(tmp_path / "heart.csv", [0], data=tmp_path / "data"))
    assert (pair.fixed_subject, pair.moving_subject) == ("patient1", "patient1")
    assert pair.fixed_labels is not None
    assert int((pair.fixed_labels == 3).sum()) == 40


def test_liver_pairs_name_both_subjects(tmp_path: Path) -> None:
    for side in ("fixed", "moving"):
        for end in ("", "_liver"):
            write(tmp_path / f"data/liver_ct/dev_pairs/p1_from_p2_{side}{end}.png", np.zeros((4, 4), np.uint8))
    write_lists(tmp_path / "data", tmp_path)
    (row,) = rows_of(tmp_path / "liver.csv")
    assert (row["fixed_subject"], row["moving_subject"]) == ("p1", "p2")
    assert row["moving_labels"] == "liver_ct/dev_pairs/p1_from_p2_moving_liver.png"


def test_sections_of_one_block_are_one_subject(tmp_path: Path) -> None:
    for stain in ("He", "Cc10-5", "Ki67"):
        write(tmp_path / f"data/histology/dev/29-041-Izd2-{stain}.jpg", np.zeros((4, 4), np.uint8))
    write_lists(tmp_path / "data", tmp_path)
    rows = rows_of(tmp_path / "histology.csv")
    assert len(rows) == 3 * 2
    assert {row["fixed_subject"] for row in rows} == {"29-041"}
    assert rows[0]["fixed_landmarks"] == "histology/dev/29-041-Izd2-Cc10-5.csv"


def test_a_folder_without_the_data_is_refused_with_what_was_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pairs", "--data", str(tmp_path), "--output", str(tmp_path)]) == 1
    assert "holds none of the folders brain_t1/dev, cardiac_volumes/dev" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "count", "subjects"), [("brain", 108, 4), ("heart", 128, 10), ("liver", 100, 20), ("histology", 20, 1)]
)
def test_the_stored_lists_have_at_least_a_hundred_different_pairs_an_organ(
    name: str, count: int, subjects: int
) -> None:
    rows = rows_of(LISTS / f"{name}.csv")
    assert len({tuple(row.values()) for row in rows}) == len(rows) == count
    assert len({row["fixed_subject"] for row in rows} | {row["moving_subject"] for row in rows}) == subjects
    assert not any(row["fixed"].startswith("/") or "\\" in row["fixed"] for row in rows)


@pytest.mark.skipif(not Path("../shared/data").is_dir(), reason="the development images are not here")
def test_the_stored_lists_are_those_of_the_development_images(tmp_path: Path) -> None:
    for name in write_lists(Path("../shared/data"), tmp_path):
        assert (tmp_path / f"{name}.csv").read_bytes() == (LISTS / f"{name}.csv").read_bytes()
