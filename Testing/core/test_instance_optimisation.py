"""Facts about the instance optimisation, on smooth images whose displacement is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.evaluation.metrics import sd_log_jacobian, target_registration_error
from UnsupervisedRegistrationLib.core.images.crop import PreparedPair, prepare
from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration
from UnsupervisedRegistrationLib.core.registration.instance_optimisation import optimise
from UnsupervisedRegistrationLib.core.registration.landmark_constraint import LandmarkPairs
from UnsupervisedRegistrationLib.core.registration.plan import ITERATIONS, OptimisationPlan
from UnsupervisedRegistrationLib.core.spatial.deformation import Mapping, warp
from UnsupervisedRegistrationLib.core.spatial.folding import folding
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

SHAPE = (64, 64)
GRID = ImageGrid(SHAPE, torch.eye(4))
Pair = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def pair() -> Pair:
    """An image of blobs, and the same with its content two voxels further along the first axis."""
    torch.manual_seed(2)
    fixed = F.interpolate(torch.rand(1, 1, 9, 9), SHAPE, mode="bicubic").clamp(0, 1)
    back = torch.zeros(1, 2, *SHAPE)
    back[:, 0] = -2
    return fixed, warp(fixed, back)


@pytest.fixture
def distant() -> Pair:
    """An image of ten discs and the same twelve voxels higher, further than a level of half the voxels reaches."""
    torch.manual_seed(4)
    places, radii = torch.rand(10, 2) * 80 + 24, torch.rand(10) * 8 + 6
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")

    def discs(up: float) -> Tensor:
        image = torch.zeros(128, 128)
        for number, ((row, column), radius) in enumerate(zip(places.tolist(), radii.tolist(), strict=True)):
            image[(rows - row + up).hypot(columns - column) < radius] = 0.2 + 0.08 * number
        return image[None, None]

    return discs(0), discs(12)


def plan(**changes: Any) -> OptimisationPlan:
    values = {
        "similarity": "auto",
        "smoothness_weight": 1.0,
        "iterations": ITERATIONS["standard"],
        "coarser_levels": True,
        "time_limit": 1e9,
    }
    return OptimisationPlan(**{**values, **changes})


def prepared(images: Pair, mask: Tensor | None = None) -> PreparedPair:
    """The pair at its own spacing, not cropped, with the same mask for both images."""
    return prepare(
        fixed=images[0],
        moving=images[1],
        mask=mask,
        moving_mask=mask,
        grid=grid_of(images),
        configuration=PreprocessingConfiguration(),
        multiple=4,
        keep_margins=True,
    )


def grid_of(images: Pair) -> ImageGrid:
    return ImageGrid(tuple(images[0].shape[2:]), torch.eye(4))


def optimised(
    images: Pair, settings: OptimisationPlan | None = None, mask: Tensor | None = None, **more: Any
) -> Tensor:
    """The displacement found from no deformation at all."""
    return _optimised(images, settings, mask, **more)[0].forward


def _optimised(
    images: Pair, settings: OptimisationPlan | None = None, mask: Tensor | None = None, **more: Any
) -> tuple[Mapping, bool]:
    ready = prepared(images, mask)
    none = torch.zeros(1, 2, *ready.fixed.shape[2:])
    return optimise(ready, Mapping(none, none), settings or plan(), grid_of(images), **more)


@pytest.mark.parametrize("similarity", ["local_ncc", "mind"])
def test_a_shift_of_two_voxels_is_found_within_half_a_voxel(pair: Pair, similarity: str) -> None:
    settings = plan(similarity=similarity, smoothness_weight=0.1, iterations=(20, 25, 15))
    inner = optimised(pair, settings)[0, 0, 16:48, 16:48]
    assert float(inner.mean()) == pytest.approx(2, abs=0.5)


def error_in(tissue: Tensor, displacement: Tensor) -> float:
    """Mean error in the tissue of a pair that lies twelve voxels apart, voxels."""
    missed = displacement + torch.tensor([12.0, 0.0]).view(1, 2, 1, 1)
    return float(missed.norm(dim=1)[tissue[:, 0] > 0].mean())


@pytest.mark.parametrize("masked", [False, True])
def test_coarser_levels_find_a_large_displacement(distant: Pair, masked: bool) -> None:
    images, mask = distant, None
    if masked:  # What lies outside has nothing in common and does not count.
        torch.manual_seed(6)
        mask = torch.zeros(1, 1, 128, 128)
        mask[..., 32:96, 32:96] = 1
        images = tuple(torch.where(mask > 0, image, torch.rand(1, 1, 128, 128)) for image in distant)  # type: ignore[assignment]
    tissue = distant[0] if mask is None else distant[0] * mask
    with_them, without = (
        error_in(tissue, optimised(images, plan(coarser_levels=coarser), mask)) for coarser in (True, False)
    )
    assert with_them < 0.7 * without


def test_coarser_levels_that_explain_no_more_of_the_image_are_not_used(pair: Pair) -> None:
    near = pair[0], warp(pair[1], torch.tensor([1.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, *SHAPE))
    assert torch.equal(optimised(near), optimised(near, plan(coarser_levels=False)))


def halves(images: Pair) -> Pair:
    first, second = (F.interpolate(image, SHAPE, mode="area") for image in images)
    return first, second


def test_no_coarser_level_is_tried_when_landmarks_steer(distant: Pair) -> None:
    points = torch.tensor([[20.0, 20.0], [40.0, 44.0]])
    landmarks = LandmarkPairs(points, points - torch.tensor([6.0, 0.0]))
    found = [optimised(halves(distant), plan(coarser_levels=coarser), landmarks=landmarks) for coarser in (True, False)]
    assert torch.equal(*found)
    assert not torch.equal(*(optimised(halves(distant), plan(coarser_levels=coarser)) for coarser in (True, False)))


@pytest.mark.parametrize("equal", [False, True])
def test_the_progress_rises_to_its_end(distant: Pair, equal: bool) -> None:
    fixed, moving = halves(distant)
    shares: list[float] = []
    optimised((fixed, fixed if equal else moving), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.95 < shares[-1] <= 1


def in_air(image: Tensor) -> Tensor:
    """The image as a disc of tissue, brighter than 0.15, on black."""
    rows, columns = torch.meshgrid(*(torch.arange(float(size)) - size / 2 for size in SHAPE), indexing="ij")
    return torch.where(rows.hypot(columns) < 26, 0.15 + 0.7 * image, 0.0)


@pytest.mark.parametrize(("unlike", "expected"), [(False, "local_ncc"), (True, "mind")])
def test_the_tissue_and_not_the_air_decides_the_similarity(pair: Pair, unlike: bool, expected: str) -> None:
    fixed, moving = (in_air(image) for image in pair)
    if unlike:  # Inverted tissue with so much structure of its own that a curve explains little.
        moving = torch.where(moving > 0, 1 - torch.lerp(in_air(pair[0].flip(-1)), moving, 0.15), 0.0)
    found = [optimised((fixed, moving), plan(similarity=kind)) for kind in ("auto", "local_ncc", "mind")]
    assert torch.equal(found[0], found[1]) == (expected == "local_ncc")
    assert torch.equal(found[0], found[2]) == (expected == "mind")


@pytest.mark.parametrize("change", [lambda i: i**0.4, lambda i: i**2.5, lambda i: torch.where(i > 0, 1.1 - i, 0.0)])
@pytest.mark.parametrize("similarity", ["auto", "local_ncc"])
def test_another_contrast_is_matched(pair: Pair, similarity: str, change: Callable[[Tensor], Tensor]) -> None:
    fixed, moving = (in_air(image) for image in pair)
    displacement = optimised((fixed, change(moving)), plan(similarity=similarity, iterations=(20, 25, 15)))
    missed = displacement[..., 20:44, 20:44] - torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
    assert float(missed.norm(dim=1).mean()) < 1  # Without matching, above 3.


def test_what_lies_outside_the_masks_does_not_decide_the_contrast(pair: Pair) -> None:
    fixed, moving = (in_air(image) for image in pair)
    mask = (in_air(torch.ones(1, 1, *SHAPE)) > 0).float()
    torch.manual_seed(5)
    noise = torch.rand(1, 1, *SHAPE)  # The same in both.
    images = torch.where(mask > 0, fixed, noise), torch.where(mask > 0, 1.1 - moving, noise)
    missed = optimised(images, mask=mask)[..., 20:44, 20:44] - torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
    assert float(missed.norm(dim=1).mean()) < 2  # If it did, about 8.


def test_the_optimisation_raises_the_similarity_and_does_not_fold(pair: Pair) -> None:
    displacement, ready = optimised(pair, plan(smoothness_weight=0.0)), prepared(pair)
    assert ready.similarity(displacement) > ready.similarity(None) + 0.05
    assert folding(displacement) == 0


def test_forward_and_inverse_undo_each_other_within_a_tenth_of_a_voxel(pair: Pair) -> None:
    mapping, _ = _optimised(pair)
    back = mapping.inverse + warp(mapping.forward, mapping.inverse)
    assert float(mapping.forward.abs().max()) > 1
    assert float(back[..., 8:-8, 8:-8].norm(dim=1).mean()) < 0.1


def test_landmarks_pull_the_displacement_to_within_half_a_millimetre(pair: Pair) -> None:
    fixed = torch.tensor([[20.0, 20.0], [40.0, 44.0]])
    landmarks = LandmarkPairs(fixed, fixed + torch.tensor([0.0, 3.0]))
    displacement = optimised((pair[0], pair[0]), landmarks=landmarks)
    assert float(target_registration_error(fixed, landmarks.moving, displacement, GRID).max()) < 0.5
    assert folding(displacement) == 0


def test_crossing_landmarks_do_not_fold(pair: Pair) -> None:
    fixed = torch.tensor([[32.0, 28.0], [32.0, 36.0]])
    assert folding(optimised(pair, landmarks=LandmarkPairs(fixed, fixed.flip(0)))) == 0


def test_the_time_limit_stops_before_the_first_step_and_is_told(pair: Pair) -> None:
    stopped, struck = _optimised(pair, plan(time_limit=1e-9))
    assert struck
    assert float(stopped.forward.abs().max()) == 0
    assert not _optimised(pair)[1]


def test_an_exception_of_the_progress_callback_ends_the_optimisation(pair: Pair) -> None:
    def cancel(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        optimised(pair, progress=cancel)


def test_lists_of_different_length_are_no_landmarks() -> None:
    with pytest.raises(ValueError, match="two lists of as many points"):
        LandmarkPairs(torch.zeros(3, 2), torch.zeros(2, 2))


def test_equal_images_are_not_deformed(pair: Pair) -> None:
    assert float(optimised((pair[0], pair[0])).abs().max()) < 0.05


@pytest.mark.parametrize("similarity", ["local_ncc", "mind"])
def test_an_empty_half_exerts_no_force(pair: Pair, similarity: str) -> None:
    half = [image.clone() for image in pair]
    for image in half:
        image[..., :32] = 0
    displacement = optimised((half[0], half[1]), plan(similarity=similarity))
    assert bool(torch.isfinite(displacement).all())
    assert float(displacement[..., :8].abs().max()) < 4  # Coarse levels carry the shift of two beside it that far.


def test_a_larger_smoothness_weight_makes_the_displacement_smoother(pair: Pair) -> None:
    torch.manual_seed(5)
    other = F.interpolate(torch.rand(1, 1, 9, 9), SHAPE, mode="bicubic").clamp(0, 1)
    bends = [
        sd_log_jacobian(optimised((pair[0], other), plan(smoothness_weight=weight))) for weight in (0.2, 1.0, 20.0)
    ]
    assert bends == sorted(bends, reverse=True)
    assert bends[2] < 0.5 * bends[0]
