"""Pairs of equal grid go through the network together, and get what they get alone."""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from phantom_cohort import writeCohort
from UnsupervisedRegistrationLib.core.registration import pair_batch
from UnsupervisedRegistrationLib.headless.__main__ import main

OPTIONS = ("--device", "cpu", "--threads", "1", "--preset", "fast", "--model", "any-contrast")
PX = 1e-3  # The order of sums differs.
SHARE = 1e-3
MEASURED = ("similarity_before", "similarity_after", "folding", "dice_after", "tre_after_mm")


def run(*arguments: object) -> int:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return main(["cohort", *map(str, arguments), *OPTIONS])


def rowsOf(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[int]]:
    """The folders of six pairs that were registered alone, and five at a time; and the sizes of the batches."""
    folder, sizes = tmp_path_factory.mktemp("batches"), []
    table = writeCohort(folder / "in", 6)
    (folder / "in" / "04_moving.nrrd").write_text("no image")
    original = pair_batch.run

    def counted(images, *rest):
        sizes.append(len(images.fixed))
        return original(images, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_batch, "run", counted)
        assert run(table, folder / "together", "--together", 5) == 0
    assert run(table, folder / "alone") == 0
    return folder / "alone", folder / "together", sizes


def test_the_pairs_of_a_batch_go_through_in_one_run(both):
    assert both[2] == [4]  # Of the first five one is broken; the sixth is alone.


def test_the_rows_are_those_of_single_pairs(both):
    alone, together = (rowsOf(folder) for folder in both[:2])
    for one, other in zip(alone, together, strict=True):
        for name in ("pair", "quality_check", "model", "message"):
            assert one[name] == other[name]
        for name in MEASURED:
            assert one[name] == other[name] == "" or float(other[name]) == pytest.approx(float(one[name]), abs=0.02)
    assert [row["quality_check"] == "failed" for row in alone] == [False, False, False, False, True, False]


def test_transforms_and_images_are_those_of_single_pairs(both):
    names = [row["pair"] for row in rowsOf(both[0]) if row["quality_check"] != "failed"]
    for name in names:
        images = [sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name / "warped.nrrd"))) for folder in both[:2]]
        np.testing.assert_allclose(images[1], images[0], atol=SHARE * np.ptp(images[0]))
        transforms = [sitk.ReadTransform(str(folder / name / "transform.h5")) for folder in both[:2]]
        grid = sitk.ReadImage(str(both[0] / name / "warped.nrrd"))
        for index in np.random.default_rng(0).integers(5, 60, (20, 2)).tolist():
            point = grid.TransformIndexToPhysicalPoint((*index, 0))
            first, second = (transform.TransformPoint(point) for transform in transforms)
            np.testing.assert_allclose(second, first, atol=PX * max(grid.GetSpacing()))


@pytest.mark.parametrize("options", [("--workers", "2"), ("--scheduler", "slurm"), ("--model", "auto")])
def test_what_needs_each_pair_alone_is_refused(tmp_path, capsys, options):
    assert main(["cohort", "pairs.csv", str(tmp_path / "out"), *OPTIONS, "--together", "4", *options]) == 2
    assert "--together registers pairs in one process with one model" in capsys.readouterr().err
