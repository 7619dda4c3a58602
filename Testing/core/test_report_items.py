"""Facts about the items of the quality report: each value is known beforehand, in a slice and in a volume."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.evaluation.metrics import image_agreement
from UnsupervisedRegistrationLib.core.evaluation.quality_check import QualityCheck, QualityItem
from UnsupervisedRegistrationLib.core.evaluation.report_items import (
    ComparedImages,
    Evidence,
    LandmarkErrors,
    StructurePair,
    coverage_item,
    displacement_items,
    image_items,
    jacobian_items,
    landmark_items,
    report_items,
    volume_ratio_item,
)
from UnsupervisedRegistrationLib.core.evaluation.tolerances import PROFILES, STRICT, TG_132, own_profile
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

SHAPES = [(20, 24), (10, 20, 24)]
VOXEL = 2.5


def grid_of(shape: tuple[int, ...]) -> ImageGrid:
    """Voxels of 1 mm (fastest), 2 mm and 2.5 mm."""
    return ImageGrid(shape, torch.diag(torch.tensor([1.0, 2.0, VOXEL, 1.0], dtype=torch.float64)))


def box(shape: tuple[int, ...], shift: int = 0) -> Tensor:
    """A box of 8 voxels along each axis, shifted along the fastest one."""
    region = torch.zeros(shape, dtype=torch.bool)
    region[(..., *[slice(1, 9)] * (len(shape) - 1), slice(6 + shift, 14 + shift))] = True
    return region


def vectors(*lengths: float) -> Tensor:
    """Along A."""
    return torch.tensor([[0.0, length, 0.0] for length in lengths], dtype=torch.float64)


def evidence(shape: tuple[int, ...] = (20, 24), **changes: object) -> Evidence:
    """The identity on equal images, without landmarks and structures."""
    image = torch.rand(500, generator=torch.Generator().manual_seed(3))
    content: dict[str, object] = {
        "grid": grid_of(shape),
        "displacement": torch.zeros(1, len(shape), *shape, dtype=torch.float64),
        "outline": torch.ones(shape, dtype=torch.bool),
        "images": ComparedImages(image, image, image),
        "consistency": torch.zeros(10),
        "covered": 1.0,
        "structures": (),
        "landmarks": None,
        "voxel": VOXEL,
    }
    return Evidence(**{**content, **changes})  # type: ignore[arg-type]


def by_name(items: tuple[QualityItem, ...], structure: str = "") -> dict[str, QualityItem]:
    return {item.name: item for item in items if item.structure == structure}


def landmarks(*after: float, fitted: bool = False) -> LandmarkErrors:
    return LandmarkErrors(vectors(*[9.0] * len(after)), vectors(*after), torch.full((len(after),), fitted))


def test_tre_has_number_mean_maximum_and_components() -> None:
    items = by_name(landmark_items(landmarks(1.0, -2.0), VOXEL, TG_132))
    assert items["landmarks"].value == 2
    assert (items["TRE"].value, items["TRE"].before, items["TRE"].tolerance) == (1.5, 9.0, VOXEL)
    assert (items["maximum TRE"].value, items["maximum TRE"].grade) == (2.0, "good")
    assert [items[f"mean TRE {axis}"].value for axis in "RAS"] == [0.0, -0.5, 0.0]


def test_one_landmark_beyond_the_tolerance_is_to_be_checked() -> None:
    items = by_name(landmark_items(landmarks(0.5, 0.5, 3.0), VOXEL, TG_132))
    assert (items["TRE"].grade, items["maximum TRE"].grade) == ("good", "check")


def test_landmarks_that_moved_apart_make_a_transform_unusable() -> None:
    assert by_name(landmark_items(landmarks(12.0), VOXEL, TG_132))["TRE"].grade == "do not use"


def test_fitted_landmarks_are_no_evidence() -> None:
    check = QualityCheck(report_items(evidence(landmarks=landmarks(0.1, fitted=True)), TG_132))
    assert check.grade == "not validated"
    assert by_name(check.items)["fitted landmarks"].value == 1


def test_measured_landmarks_are_evidence() -> None:
    assert QualityCheck(report_items(evidence(landmarks=landmarks(0.1)), TG_132)).grade == "good"


def test_without_landmarks_and_structures_the_identity_is_not_validated() -> None:
    assert QualityCheck(report_items(evidence(), TG_132)).grade == "not validated"


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_structures_agree_and_a_shifted_one_does_not(shape: tuple[int, ...]) -> None:
    """A shift by 2 of 8 voxels leaves 6/8."""
    structure = StructurePair("organ", box(shape), box(shape, 2), box(shape))
    items = by_name(report_items(evidence(shape, structures=(structure,)), TG_132), "organ")
    assert (items["Dice"].value, items["Dice"].before, items["Dice"].grade) == (1.0, 0.75, "good")
    assert (items["MDA"].value, items["HD95"].value, items["HD95"].before) == (0.0, 0.0, 2.0)
    structure = StructurePair("organ", box(shape), box(shape), box(shape, 2))
    check = QualityCheck(report_items(evidence(shape, structures=(structure,)), TG_132))
    assert (by_name(check.items, "organ")["Dice"].grade, check.grade) == ("do not use", "do not use")


def test_a_structure_is_evidence() -> None:
    structure = StructurePair("organ", box((20, 24)), box((20, 24), 2), box((20, 24)))
    assert QualityCheck(report_items(evidence(structures=(structure,)), TG_132)).grade == "good"


def test_the_ratio_of_sizes_is_that_of_the_voxels() -> None:
    half = box((20, 24)) & box((20, 24), 4)
    assert volume_ratio_item(StructurePair("organ", box((20, 24)), half, half)).value == 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_an_expansion_has_its_jacobian_everywhere(shape: tuple[int, ...]) -> None:
    """Each axis grows by 10 %: 1.21 in a slice, 1.331 in a volume."""
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in shape], indexing="ij")
    items = by_name(jacobian_items(0.1 * torch.stack(axes)[None], torch.ones(shape, dtype=torch.bool)))
    for name in ("smallest", "mean", "largest"):
        assert items[f"{name} Jacobian"].value == pytest.approx(1.1 ** len(shape))
    assert (items["Jacobian below 0"].value, items["Jacobian below 0"].grade) == (0.0, "good")


@pytest.mark.parametrize(("size", "grade"), [(0, "good"), (1, "check"), (20, "do not use")])
def test_any_fold_is_beyond_the_tolerance(size: int, grade: str) -> None:
    displacement = torch.zeros(1, 2, 60, 60, dtype=torch.float64)
    displacement[:, 0, 30 : 30 + size : 2, 20 : 20 + size] = -3.0
    item = by_name(jacobian_items(displacement, torch.ones(60, 60, dtype=torch.bool)))["Jacobian below 0"]
    assert (item.tolerance, item.unit, item.grade) == (0.0, "%", grade)


def test_a_fold_counts_in_the_structure_where_it_lies() -> None:
    displacement = torch.zeros(1, 2, 20, 24, dtype=torch.float64)
    displacement[:, 1, 2:8, 8:10] = 3.0
    elsewhere = torch.zeros(20, 24, dtype=torch.bool)
    elsewhere[12:] = True
    assert jacobian_items(displacement, box((20, 24)), "organ")[0].value > 0
    assert jacobian_items(displacement, elsewhere, "rest")[0].value == 0


def test_inverse_consistency_is_graded_by_the_voxel() -> None:
    grades = []
    for millimetres in (2.0, 5.0, 9.0):
        items = by_name(report_items(evidence(consistency=torch.full((9,), millimetres)), TG_132))
        grades.append(items["inverse consistency"].grade)
    assert grades == ["good", "check", "do not use"]


@pytest.mark.parametrize(("share", "grade"), [(1.0, "good"), (0.98, "check")])
def test_a_transform_that_ends_inside_the_outline_is_to_be_checked(share: float, grade: str) -> None:
    assert coverage_item(share) == QualityItem("covered by the transform", 100 * share, "%", 100.0, grade)


def test_similarities_are_known_and_only_shown() -> None:
    """Two equally frequent intensities: one bit, ln 2, is shared by an image and its negative."""
    image = torch.tensor([0.0, 1.0] * 50)
    items = by_name(image_items(ComparedImages(image, image, 1 - image)))
    assert items["correlation"].value == pytest.approx(-1)
    assert items["mutual information"].value == pytest.approx(math.log(2))
    assert (items["mean squared difference"].value, items["mean squared difference"].before) == (1.0, 0.0)
    assert {item.grade for item in items.values()} == {None}


def test_images_that_share_nothing_have_no_mutual_information() -> None:
    first, second = torch.tensor([0.0, 0, 1, 1] * 50), torch.tensor([0.0, 1, 0, 1] * 50)
    assert image_agreement(first, second).mutual_information == pytest.approx(0)
    assert image_agreement(first, second).correlation == pytest.approx(0)


def test_a_constant_image_has_no_correlation() -> None:
    assert math.isnan(image_agreement(torch.ones(9), torch.rand(9)).correlation)


@pytest.mark.parametrize("count", [0, 3])
def test_images_of_other_voxels_are_an_error(count: int) -> None:
    with pytest.raises(ValueError, match="do not compare"):
        image_agreement(torch.ones(count), torch.ones(0))


def noisy(image: Tensor, amount: float) -> Tensor:
    return image + amount * torch.rand(len(image), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("after", "reverse", "grade"), [(1.0, 0.1, "do not use"), (0.1, 1.0, None), (1.0, 1.0, None)])
def test_a_transform_whose_inverse_fits_is_in_the_wrong_direction(
    after: float, reverse: float, grade: str | None
) -> None:
    image = torch.rand(5000, generator=torch.Generator().manual_seed(0))
    images = ComparedImages(image, noisy(image, 0.5), noisy(image, after), noisy(image, reverse))
    assert by_name(image_items(images))["mutual information by the inverse"].grade == grade


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_displacement_and_its_gradient_are_in_mm(shape: tuple[int, ...]) -> None:
    """A shear: voxel ``y`` moves ``0.5 y`` voxels of 1 mm along the fastest axis; y has 2 mm."""
    displacement = torch.zeros(1, len(shape), *shape, dtype=torch.float64)
    displacement[:, -1] = 0.5 * torch.arange(20.0, dtype=torch.float64)[:, None]
    items = by_name(displacement_items(grid_of(shape), displacement, torch.ones(shape, dtype=torch.bool)))
    assert items["largest displacement"].value == pytest.approx(9.5)
    assert items["largest displacement gradient"].value == pytest.approx(0.25)


def test_a_strict_profile_halves_the_tolerances() -> None:
    assert (TG_132.tre_mm(1.0), STRICT.tre_mm(1.0)) == (2.0, 1.0)
    assert (TG_132.mda_mm(3.0), STRICT.mda_mm(3.0)) == (3.0, 1.5)
    assert set(PROFILES) == {"tg-132", "strict"}


def test_own_tolerances_replace_those_of_tg_132() -> None:
    profile = own_profile({"name": "prostate", "tre_voxels": 0.5, "least_tre_mm": 0})
    assert (profile.name, profile.tre_mm(3.0), profile.good_dice) == ("prostate", 1.5, 0.9)
    items = by_name(landmark_items(landmarks(2.0), 3.0, profile))
    assert (items["TRE"].tolerance, items["TRE"].grade) == (1.5, "check")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"dice": 0.9}, "no tolerance of a profile"),
        ({"tre_voxels": -1}, "must be a number of at least 0"),
        ({"tre_voxels": "2"}, "must be a number of at least 0"),
        ({"good_dice": 0.5}, "usable_dice <= good_dice"),
    ],
)
def test_a_profile_that_cannot_be_used_is_an_error(content: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own_profile(content)
