"""Refinement, trust and stacks, on smooth images whose displacement is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.evaluation.metrics import sd_log_jacobian, target_registration_error
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.networks.architectures import build_network
from UnsupervisedRegistrationLib.core.networks.network import NetworkConfiguration
from UnsupervisedRegistrationLib.core.registration.instance_optimisation import Refinement
from UnsupervisedRegistrationLib.core.registration.landmark_constraint import LandmarkPairs
from UnsupervisedRegistrationLib.core.registration.pipeline import Cancelled, Registration, register
from UnsupervisedRegistrationLib.core.registration.stack import register_stack
from UnsupervisedRegistrationLib.core.registration.uncertainty import trust_from_error
from UnsupervisedRegistrationLib.core.spatial.deformation import warp
from UnsupervisedRegistrationLib.core.spatial.folding import folding
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

SHAPE = (64, 64)
GRID = ImageGrid(SHAPE, torch.eye(4))
COARSEST = "UnsupervisedRegistrationLib.core.registration.instance_optimisation._COARSEST"


@pytest.fixture(scope="module")
def untrained() -> Model:
    """Its displacement is almost zero, so what moves is due to the refinement."""
    torch.manual_seed(1)
    network = build_network(NetworkConfiguration(width=8)).eval().requires_grad_(False)
    return Model("untrained", network, ModelConfiguration(NetworkConfiguration(width=8)), Card())


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    """An image of blobs, and the same with its content two voxels further along the first axis."""
    torch.manual_seed(2)
    fixed = F.interpolate(torch.rand(1, 1, 9, 9), SHAPE, mode="bicubic").clamp(0, 1)
    back = torch.zeros(1, 2, *SHAPE)
    back[:, 0] = -2
    return fixed, warp(fixed, back)


def refined(
    model: Model, pair: tuple[Tensor, Tensor], refinement: Refinement | None = None, **more: object
) -> Registration:
    return register(
        fixed=pair[0],
        moving=pair[1],
        grid=ImageGrid(tuple(pair[0].shape[2:]), torch.eye(4)),
        model=model,
        refinement=refinement,
        device="cpu",
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("similarity", ["local_ncc", "mind"])
def test_a_shift_of_two_voxels_is_found_within_half_a_voxel(
    untrained: Model, pair: tuple[Tensor, Tensor], similarity: str
) -> None:
    wanted = Refinement(similarity, smoothness_weight=0.1, iterations=(20, 25, 15))  # type: ignore[arg-type]
    inner = refined(untrained, pair, wanted).displacement[0, 0, 16:48, 16:48]
    assert float(inner.mean()) == pytest.approx(2, abs=0.5)


@pytest.fixture
def apart() -> tuple[Tensor, Tensor]:
    """A picture of ten discs and the same twelve voxels higher, further than a level of half the voxels leads."""
    torch.manual_seed(4)
    places, radii = torch.rand(10, 2) * 80 + 24, torch.rand(10) * 8 + 6
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")

    def picture(up: float) -> Tensor:
        image = torch.zeros(128, 128)
        for number, ((row, column), radius) in enumerate(zip(places.tolist(), radii.tolist(), strict=True)):
            image[(rows - row + up).hypot(columns - column) < radius] = 0.2 + 0.08 * number
        return image[None, None]

    return picture(0), picture(12)


def left_apart(model: Model, images: tuple[Tensor, Tensor], tissue: Tensor, mask: Tensor | None = None) -> float:
    """Mean error in the tissue after refining a pair that lies twelve voxels apart."""
    outcome = refined(model, images, Refinement(), mask=mask, moving_mask=mask)
    missed = outcome.displacement + torch.tensor([12.0, 0.0]).view(1, 2, 1, 1)
    return float(missed.norm(dim=1)[tissue[:, 0] > 0].mean())


@pytest.mark.parametrize("masked", [False, True])
def test_coarser_levels_come_first_where_they_pay(
    untrained: Model, apart: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    images, mask = apart, None
    if masked:  # What lies outside has nothing in common and does not count.
        torch.manual_seed(6)
        mask = torch.zeros(1, 1, 128, 128)
        mask[..., 32:96, 32:96] = 1
        images = tuple(torch.where(mask > 0, image, torch.rand(1, 1, 128, 128)) for image in apart)  # type: ignore[assignment]
    tissue = apart[0] if mask is None else apart[0] * mask
    with_coarser = left_apart(untrained, images, tissue, mask)
    monkeypatch.setattr(COARSEST, 64)
    assert with_coarser < 0.7 * left_apart(untrained, images, tissue, mask)


def test_coarser_levels_stay_out_where_they_do_not(
    untrained: Model, pair: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    near = pair[0], warp(pair[1], torch.tensor([1.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, *SHAPE))
    tried = refined(untrained, near, Refinement()).displacement
    monkeypatch.setattr(COARSEST, 64)
    assert torch.equal(tried, refined(untrained, near, Refinement()).displacement)


def test_of_specks_half_the_resolution_is_a_coarser_level(untrained: Model) -> None:
    torch.manual_seed(7)
    lit = (torch.rand(1, 1, *SHAPE) > 0.98).float()
    areas = F.interpolate((torch.rand(1, 1, 4, 4) > 0.5).float(), SHAPE)
    for image, the_same in ((lit, True), (areas, False)):
        moved = image, image.roll(4, dims=2)
        found = [refined(untrained, moved, Refinement(iterations=counts)).displacement for counts in ((3, 15), (15,))]
        assert torch.equal(*found) == the_same


def test_no_coarser_level_is_tried_when_time_is_short_or_landmarks_lead(
    untrained: Model, apart: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tuple(F.interpolate(image, SHAPE, mode="area") for image in apart)
    points = torch.tensor([[20.0, 20.0], [40.0, 44.0]])
    landmarks = LandmarkPairs(points, points - torch.tensor([6.0, 0.0]))

    def found() -> list[Tensor]:
        led = refined(untrained, images, Refinement(), landmarks=landmarks)  # type: ignore[arg-type]
        monkeypatch.setattr(
            "UnsupervisedRegistrationLib.core.registration.instance_optimisation._SPARE", 1.0
        )  # Time is always short.
        return [led.displacement, refined(untrained, images, Refinement()).displacement]  # type: ignore[arg-type]

    tried = found()
    monkeypatch.setattr(COARSEST, 64)
    assert all(torch.equal(*pair) for pair in zip(tried, found(), strict=True))


def test_progress_never_goes_back_and_comes_to_its_end(untrained: Model, apart: tuple[Tensor, Tensor]) -> None:
    for images in (apart, (apart[0], apart[0])):
        shares: list[float] = []
        small = tuple(F.interpolate(image, SHAPE, mode="area") for image in images)

        def note(step: str, share: float, shares: list[float] = shares) -> None:
            if step == "refine":
                shares.append(share)

        refined(untrained, small, Refinement(), progress=note)  # type: ignore[arg-type]
        assert shares == sorted(shares)
        assert shares[-1] > 0.65  # Of the whole registration, whose last fifth is for measuring.


def in_air(image: Tensor) -> Tensor:
    """The image as a disc of tissue, brighter than 0.15, on black."""
    rows, columns = torch.meshgrid(*(torch.arange(float(size)) - size / 2 for size in SHAPE), indexing="ij")
    return torch.where(rows.hypot(columns) < 26, 0.15 + 0.7 * image, 0.0)


@pytest.mark.parametrize(("unlike", "expected"), [(False, "local_ncc"), (True, "mind")])
def test_the_contrast_is_told_by_the_tissue_and_not_by_the_air(
    untrained: Model, pair: tuple[Tensor, Tensor], unlike: bool, expected: str
) -> None:
    fixed, moving = (in_air(image) for image in pair)
    if unlike:  # Falling tissue, with so much of its own that a curve tells little.
        moving = torch.where(moving > 0, 1 - torch.lerp(in_air(pair[0].flip(-1)), moving, 0.15), 0.0)
    found = [refined(untrained, (fixed, moving), Refinement(kind)) for kind in ("auto", expected)]  # type: ignore[arg-type]
    assert torch.equal(found[0].displacement, found[1].displacement)


@pytest.mark.parametrize("change", [lambda i: i**0.4, lambda i: i**2.5, lambda i: torch.where(i > 0, 1.1 - i, 0.0)])
@pytest.mark.parametrize("similarity", ["auto", "local_ncc"])
def test_other_greys_are_matched(
    untrained: Model, pair: tuple[Tensor, Tensor], similarity: str, change: Callable[[Tensor], Tensor]
) -> None:
    fixed, moving = (in_air(image) for image in pair)
    wanted = Refinement(similarity, iterations=(20, 25, 15))  # type: ignore[arg-type]
    outcome = refined(untrained, (fixed, change(moving)), wanted)
    missed = outcome.displacement[..., 20:44, 20:44] - torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
    assert float(missed.norm(dim=1).mean()) < 1  # Without, above 3.


def test_what_lies_outside_the_masks_says_nothing_about_the_contrast(
    untrained: Model, pair: tuple[Tensor, Tensor]
) -> None:
    fixed, moving = (in_air(image) for image in pair)
    mask = (in_air(torch.ones(1, 1, *SHAPE)) > 0).float()
    torch.manual_seed(5)
    noise = torch.rand(1, 1, *SHAPE)  # The same in both.
    images = torch.where(mask > 0, fixed, noise), torch.where(mask > 0, 1.1 - moving, noise)
    outcome = refined(untrained, images, Refinement(), mask=mask, moving_mask=mask)
    missed = outcome.displacement[..., 20:44, 20:44] - torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
    assert float(missed.norm(dim=1).mean()) < 2  # If it did, about 8.


def test_refinement_raises_the_similarity_and_folds_nowhere(untrained: Model, pair: tuple[Tensor, Tensor]) -> None:
    outcome = refined(untrained, pair, Refinement(smoothness_weight=0.0))
    assert outcome.similarity_after > outcome.similarity_before + 0.05
    assert outcome.folding == 0


def test_there_and_back_stays_within_a_tenth_of_a_voxel(untrained: Model, pair: tuple[Tensor, Tensor]) -> None:
    outcome = refined(untrained, pair, Refinement())
    back = outcome.inverse + warp(outcome.displacement, outcome.inverse)
    assert float(back[..., 8:-8, 8:-8].norm(dim=1).mean()) < 0.1


def test_landmarks_pull_the_field_to_within_half_a_millimetre(untrained: Model, pair: tuple[Tensor, Tensor]) -> None:
    fixed = torch.tensor([[20.0, 20.0], [40.0, 44.0]])
    landmarks = LandmarkPairs(fixed, fixed + torch.tensor([0.0, 3.0]))
    outcome = refined(untrained, (pair[0], pair[0]), landmarks=landmarks)
    errors = target_registration_error(fixed, landmarks.moving, outcome.displacement, GRID)
    assert float(errors.max()) < 0.5
    assert folding(outcome.displacement) == 0


def test_no_time_means_no_step(untrained: Model, pair: tuple[Tensor, Tensor]) -> None:
    rushed = refined(untrained, pair, Refinement(seconds=1e-9)).displacement
    assert torch.equal(rushed, refined(untrained, pair, Refinement(iterations=(0,))).displacement)


def test_a_cancelled_refinement_says_so(untrained: Model, pair: tuple[Tensor, Tensor]) -> None:
    def cancel(step: str, share: float) -> None:
        if step == "refine":
            raise Cancelled

    with pytest.raises(Cancelled):
        refined(untrained, pair, Refinement(), progress=cancel)


def test_an_unknown_similarity_is_an_error() -> None:
    with pytest.raises(ValueError, match="similarities auto, local_ncc, mind"):
        Refinement(similarity="ssd")  # type: ignore[arg-type]


def test_lists_of_different_length_are_no_landmarks() -> None:
    with pytest.raises(ValueError, match="two lists of as many points"):
        LandmarkPairs(torch.zeros(3, 2), torch.zeros(2, 2))


def test_trust_falls_with_the_expected_error() -> None:
    assert trust_from_error(torch.tensor([0.0, 2.0, 6.0])).tolist() == [1.0, 0.5, 0.25]


def test_the_expected_error_is_larger_where_the_images_differ(untrained: Model, pair: tuple[Tensor, Tensor]) -> None:
    changed = pair[0].clone()
    torch.manual_seed(3)
    changed[..., :32] = torch.rand(1, 1, 64, 32)
    error = refined(untrained, (pair[0], changed), trust=True).expected_error
    assert error is not None
    assert error.shape == (1, 1, *SHAPE)
    assert float(error[..., :24].mean()) > float(error[..., 40:].mean()) > 0


def test_a_stack_gives_what_its_pairs_give_and_leaves_constant_slices(
    untrained: Model, pair: tuple[Tensor, Tensor]
) -> None:
    fixed = torch.cat([pair[0], torch.zeros_like(pair[0]), pair[1]])
    moving = torch.cat([pair[1], pair[0], pair[0]])
    displacement, inverse = register_stack(fixed=fixed, moving=moving, grid=GRID, model=untrained, device="cpu")
    alone = refined(untrained, pair)
    assert torch.allclose(displacement[:1], alone.displacement, atol=1e-4)
    assert torch.allclose(inverse[:1], alone.inverse, atol=1e-4)
    assert not displacement[1].any()


def test_a_stack_of_constant_slices_is_an_error(untrained: Model) -> None:
    empty = torch.zeros(2, 1, *SHAPE)
    with pytest.raises(ValueError, match="nothing in them can be aligned"):
        register_stack(fixed=empty, moving=empty, grid=GRID, model=untrained)


def test_voxelmorph_has_the_published_number_of_weights() -> None:
    configuration = NetworkConfiguration(architecture="voxelmorph", width=16, integration_steps=0)
    network = build_network(configuration)
    assert sum(parameter.numel() for parameter in network.parameters()) == 109_170
    assert network(*torch.rand(2, 1, 1, 32, 48))[0].shape == (1, 2, 32, 48)
    assert dataclasses.asdict(configuration)["architecture"] == "voxelmorph"


def test_equal_images_stay_where_they_are(untrained: Model, pair: tuple[Tensor, Tensor]) -> None:
    outcome = refined(untrained, (pair[0], pair[0]), Refinement())
    assert float(outcome.displacement.abs().max()) < 0.05


@pytest.mark.parametrize("similarity", ["local_ncc", "mind"])
def test_an_empty_half_pulls_nowhere(untrained: Model, pair: tuple[Tensor, Tensor], similarity: str) -> None:
    half = [image.clone() for image in pair]
    for image in half:
        image[..., :32] = 0
    outcome = refined(untrained, (half[0], half[1]), Refinement(similarity=similarity))  # type: ignore[arg-type]
    assert bool(torch.isfinite(outcome.displacement).all())
    assert (
        float(outcome.displacement[..., :8].abs().max()) < 4
    )  # A shift of two beside it reaches far at coarse levels.


def test_landmarks_that_cross_fold_nothing(untrained: Model, pair: tuple[Tensor, Tensor]) -> None:
    fixed = torch.tensor([[32.0, 28.0], [32.0, 36.0]])
    outcome = refined(untrained, pair, landmarks=LandmarkPairs(fixed, fixed.flip(0)))
    assert folding(outcome.displacement) == 0


def test_a_stiffer_refinement_bends_less(untrained: Model, pair: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(5)
    other = F.interpolate(torch.rand(1, 1, 9, 9), SHAPE, mode="bicubic").clamp(0, 1)
    bends = [
        sd_log_jacobian(refined(untrained, (pair[0], other), Refinement(smoothness_weight=weight)).displacement)
        for weight in (0.2, 1.0, 20.0)
    ]
    assert bends == sorted(bends, reverse=True)
    assert bends[2] < 0.5 * bends[0]
