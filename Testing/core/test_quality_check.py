"""Facts about the quality check: every item has the value, unit, tolerance and grade that are known beforehand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.evaluation.metrics import SurfaceDistance, dice, surface_distance
from UnsupervisedRegistrationLib.core.evaluation.quality_check import (
    GRADES,
    Grade,
    QualityCheck,
    QualityItem,
    expected_error_item,
    folded_share,
    folding_item,
    inverse_consistency_item,
    similarity_item,
    structure_items,
    tre_items,
)
from UnsupervisedRegistrationLib.core.models.model_file import load_model
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import ImagePair, run
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

MODEL = Path(__file__).parents[2] / "UnsupervisedRegistration" / "Resources" / "Models" / "any-contrast.pt"


@pytest.mark.parametrize(
    ("before", "after", "grade"),
    [
        (0.5, 0.47, "do not use"),
        (0.5, 0.49, "check"),
        (0.2, 0.21, "check"),
        (0.2, 0.3, None),
        (0.8, 0.79, None),
        (0.5, math.nan, "do not use"),
    ],
)
def test_similarity_is_a_problem_if_it_falls_and_no_evidence_if_it_rises(
    before: float, after: float, grade: Grade | None
) -> None:
    item = similarity_item(before, after)
    assert (item.grade, item.unit, item.before) == (grade, "", before)


@pytest.mark.parametrize(("share", "grade"), [(0.0, "good"), (0.001, "check"), (0.02, "do not use")])
def test_folding_is_graded_by_its_share(share: float, grade: Grade) -> None:
    assert folding_item(share) == QualityItem("folding", share, "", 0.0005, grade)


def folded_row() -> Tensor:
    """Row 5 of 20 x 20 pixels goes back behind row 4, so that the 19 cells between them fold."""
    displacement = torch.zeros(1, 2, 20, 20)
    displacement[:, 0, 5:] = -1.5
    return displacement


def test_a_folded_row_of_cells_is_a_nineteenth_of_the_area() -> None:
    assert folded_share(folded_row(), torch.ones(20, 20, dtype=torch.bool)) == pytest.approx(1 / 19)


def test_folds_outside_the_outline_do_not_count() -> None:
    outline = torch.zeros(20, 20, dtype=torch.bool)
    outline[8:16, 3:12] = True
    assert folded_share(folded_row(), outline) == 0
    outline[4:16, 3:12] = True
    assert folded_share(folded_row(), outline) == pytest.approx(1 / 12)


@pytest.mark.parametrize("region", [torch.zeros(20, 20, dtype=torch.bool), torch.ones(19, 20, dtype=torch.bool)])
def test_an_outline_that_is_empty_or_of_another_shape_is_an_error(region: Tensor) -> None:
    with pytest.raises(ValueError, match="A region of the shape"):
        folded_share(folded_row(), region)


@pytest.mark.parametrize(("millimetres", "grade"), [(1.0, "good"), (2.0, "check"), (4.0, "do not use")])
def test_inverse_consistency_is_graded_by_the_largest_voxel_dimension(millimetres: float, grade: Grade) -> None:
    item = inverse_consistency_item(torch.full((8, 9), millimetres), 1.2)
    assert item == QualityItem("inverse consistency", pytest.approx(millimetres), "mm", 1.2, grade)


def test_inverse_consistency_is_the_95th_percentile() -> None:
    assert inverse_consistency_item(torch.arange(101.0), 1.0).value == pytest.approx(95)


@pytest.mark.parametrize(("millimetres", "grade"), [(1.0, "good"), (3.0, "check"), (6.0, "do not use")])
def test_the_expected_error_is_the_median(millimetres: float, grade: Grade) -> None:
    errors = torch.tensor([0.0, 0.1, millimetres, 20.0, 30.0])
    assert expected_error_item(errors) == QualityItem("expected error", pytest.approx(millimetres), "mm", 2.0, grade)


def test_an_empty_region_is_an_error() -> None:
    with pytest.raises(ValueError, match="region of the quality check is empty"):
        expected_error_item(torch.zeros(0))


@pytest.mark.parametrize(
    ("after", "voxel", "tolerance", "grade"),
    [
        ([1.0, 2.0], 1.0, 2.0, "good"),
        ([3.0, 4.0], 1.0, 2.0, "check"),
        ([3.0, 4.0], 4.0, 4.0, "good"),
        ([9.0, 11.0], 1.0, 2.0, "do not use"),
    ],
)
def test_the_mean_tre_is_graded_by_the_voxel_but_at_least_by_two_mm(
    after: list[float], voxel: float, tolerance: float, grade: Grade
) -> None:
    mean, most = tre_items(torch.tensor([4.0, 6.0]), torch.tensor(after), voxel)
    assert mean == QualityItem("TRE", sum(after) / 2, "mm", tolerance, grade, before=5.0)
    assert most == QualityItem("maximum TRE", after[1], "mm", None, None, before=6.0)


def test_landmarks_that_moved_apart_within_the_tolerance_are_to_be_checked() -> None:
    assert tre_items(torch.tensor([0.5]), torch.tensor([1.0]), 1.0)[0].grade == "check"


def test_fitted_landmarks_are_shown_without_a_grade() -> None:
    mean, most = tre_items(torch.tensor([5.0]), torch.tensor([0.1]), 1.0, fitted=True)
    assert (mean.name, mean.grade, mean.tolerance) == ("fitted TRE", None, None)
    assert most.name == "maximum fitted TRE"


def test_without_landmarks_there_is_no_tre() -> None:
    assert tre_items(torch.zeros(0), torch.zeros(0), 1.0) == ()


def square(first: int) -> Tensor:
    """A square of 20 x 20 pixels in 40 x 40, from column ``first``."""
    region = torch.zeros(40, 40)
    region[10:30, first : first + 20] = 1
    return region


@pytest.mark.parametrize(
    ("shift", "overlap", "grade"), [(0, 1.0, "good"), (2, 0.9, "good"), (4, 0.8, "check"), (5, 0.75, "do not use")]
)
def test_a_shifted_square_has_the_dice_of_its_overlap(shift: int, overlap: float, grade: Grade) -> None:
    first, second = square(10), square(10 + shift)
    distance = surface_distance(first, second, (1.0, 1.0))
    measured, agreement, hausdorff = structure_items("liver", dice(first, second)[1], distance, 1.0)
    assert measured == QualityItem("Dice", pytest.approx(overlap), "", 0.9, grade, "liver")
    assert (agreement.name, agreement.structure, agreement.unit) == ("MDA", "liver", "mm")
    assert hausdorff == QualityItem("HD95", pytest.approx(shift), "mm", None, None, "liver")


@pytest.mark.parametrize(("mean", "grade"), [(1.0, "good"), (1.5, "check")])
def test_the_mean_distance_to_agreement_is_graded_by_the_voxel(mean: float, grade: Grade) -> None:
    item = structure_items("liver", 1.0, SurfaceDistance(mean, 2.0), 1.2)[1]
    assert item == QualityItem("MDA", mean, "mm", 1.2, grade, "liver")


def test_a_structure_on_one_side_only_cannot_be_used() -> None:
    items = structure_items("liver", 0.0, SurfaceDistance(math.nan, math.nan), 1.0)
    assert [item.grade for item in items] == ["do not use", None, None]


FLAWLESS = (similarity_item(0.2, 0.8), folding_item(0.0), inverse_consistency_item(torch.zeros(9), 1.0))


def test_without_landmarks_and_structures_nothing_is_good() -> None:
    assert QualityCheck(FLAWLESS).grade == "not validated"
    fitted = tre_items(torch.tensor([5.0]), torch.tensor([0.1]), 1.0, fitted=True)
    assert QualityCheck((*FLAWLESS, *fitted)).grade == "not validated"


@pytest.mark.parametrize(
    "evidence",
    [
        tre_items(torch.tensor([5.0]), torch.tensor([1.0]), 1.0),
        structure_items("liver", 0.95, SurfaceDistance(0.5, 1.0), 1.0),
    ],
    ids=["landmarks", "structure"],
)
def test_with_evidence_and_without_a_problem_it_is_good(evidence: tuple[QualityItem, ...]) -> None:
    assert QualityCheck((*FLAWLESS, *evidence)).grade == "good"


def test_the_worst_item_is_the_grade_and_comes_first() -> None:
    evidence = tre_items(torch.tensor([5.0]), torch.tensor([1.0]), 1.0)
    check, unusable = folding_item(0.001), expected_error_item(torch.tensor([9.0]))
    assert QualityCheck((*FLAWLESS, *evidence, check)).grade == "check"
    assert QualityCheck((check, *evidence, unusable)).grade == "do not use"
    assert QualityCheck((check, *evidence, unusable)).problems == (unusable, check)


def test_the_grades_go_from_best_to_worst() -> None:
    assert GRADES == ("good", "not validated", "check", "do not use")


def test_white_noise_registered_to_white_noise_is_not_good() -> None:
    fixed, moving = torch.rand(2, 1, 1, 96, 96, generator=torch.Generator().manual_seed(5))
    pair = ImagePair(fixed, moving, ImageGrid((96, 96), torch.eye(4)))
    result = run(pair, [load_model(MODEL)], RegistrationOptions(preset="standard", device="cpu", time_limit=600))
    check = QualityCheck(
        (similarity_item(result.similarity_before, result.similarity_after), folding_item(result.folding))
    )
    assert check.grade != "good"
