"""Facts about a pair as the network sees it, and about the way of a displacement back to the original grid."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.crop import PreparedPair, prepare
from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid, identity_grid

GRIDS = {
    "isotropic": ((40, 60), (1.0, 1.0), (40, 60)),
    "anisotropic": ((20, 60), (3.0, 1.0), (60, 60)),
    "3-D": ((5, 20, 30), (4.0, 1.0, 2.0), (20, 20, 60)),
}
grids = pytest.mark.parametrize(("shape", "spacing", "working"), GRIDS.values(), ids=GRIDS.keys())


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 100 * torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed))


def prepared(
    shape: tuple[int, ...], spacing: tuple[float, ...], mask: Tensor | None = None, multiple: int = 32
) -> PreparedPair:
    """A pair of noise on a grid with ``spacing`` in array order."""
    return prepare(
        fixed=noise(*shape),
        moving=noise(*shape, seed=1),
        mask=mask,
        grid=ImageGrid(shape, torch.diag(torch.tensor([*spacing[::-1], *[1.0] * (4 - len(spacing))]))),
        configuration=PreprocessingConfiguration(),
        multiple=multiple,
    )


@grids
def test_a_pair_is_padded_to_a_multiple(
    shape: tuple[int, ...], spacing: tuple[float, ...], working: tuple[int, ...]
) -> None:
    pair = prepared(shape, spacing)
    assert pair.shape == working
    assert pair.fixed.shape == pair.moving.shape == (1, 1, *(64 for _ in working))


@pytest.mark.parametrize(("size", "padded"), [(20, 64), (64, 64), (65, 96), (96, 96), (97, 128)])
def test_the_padding_goes_to_the_next_multiple_but_at_least_to_two(size: int, padded: int) -> None:
    assert prepared((size, 64), (1.0, 1.0)).fixed.shape == (1, 1, padded, 64)


def shown_in(rows: slice, columns: slice, multiple: int = 4, keep_margins: bool = False) -> PreparedPair:
    """Images of 120 x 150 that show something in a part of them alone."""
    fixed, moving = torch.full((1, 1, 120, 150), -7.0), torch.zeros(1, 1, 120, 150)
    fixed[..., rows, columns], moving[..., rows, columns] = (
        noise(120, 150, seed=s)[..., rows, columns] for s in (0, 1)
    )
    grid, configuration = ImageGrid((120, 150), torch.eye(4)), PreprocessingConfiguration()
    return prepare(
        fixed=fixed, moving=moving, grid=grid, configuration=configuration, multiple=multiple, keep_margins=keep_margins
    )


@pytest.mark.parametrize(
    ("rows", "columns", "start", "box"),
    [
        (slice(20, 100), slice(30, 120), (12, 22), (96, 108)),
        (slice(20, 99), slice(30, 119), (12, 22), (96, 108)),
        (slice(0, 120), slice(91, 150), (0, 82), (120, 68)),  # It grows inwards where the image ends.
        (slice(50, 60), slice(70, 80), (42, 62), (64, 64)),
    ],
)
def test_what_shows_nothing_is_left_out(
    rows: slice, columns: slice, start: tuple[int, int], box: tuple[int, int]
) -> None:
    pair = shown_in(rows, columns)
    assert (pair.shape, pair.start, pair.fixed.shape[2:]) == ((120, 150), start, box)
    everything = shown_in(rows, columns, keep_margins=True)
    assert (everything.start, everything.fixed.shape[2:]) == ((0, 0), (120, 152))
    for part, image in ((pair.fixed, everything.fixed), (pair.moving, everything.moving)):
        assert torch.equal(pair.to_full_grid(part), image[..., :150])


def test_a_displacement_goes_on_outside_the_box_as_at_its_border() -> None:
    pair = shown_in(slice(20, 100), slice(30, 120))
    displacement = noise(96, 108).expand(1, 2, -1, -1)
    restored = pair.to_image_grid(displacement, (120, 150))
    assert torch.equal(restored[..., 12:108, 22:130], displacement)
    assert torch.equal(restored[..., :12, 22:130], displacement[..., :1, :].expand(-1, -1, 12, -1))
    assert torch.equal(restored[..., 108:, 130:], displacement[..., -1:, -1:].expand(-1, -1, 12, 20))


def test_in_the_margin_a_velocity_goes_on_as_where_the_images_begin_to_show_something() -> None:
    pair = shown_in(slice(0, 100), slice(30, 120))
    velocity = noise(27, 27).expand(1, 2, -1, -1)
    assert pair.fixed.shape[2:] == (108, 108)
    extrapolate_margin = pair.extrapolate_margin(velocity)
    assert torch.equal(
        extrapolate_margin[..., :25, 2:25], velocity[..., :25, 2:25]
    )  # Nothing is cut off above the images.
    assert torch.equal(extrapolate_margin[..., :25, :2], velocity[..., :25, 2:3].expand(-1, -1, -1, 2))
    assert torch.equal(extrapolate_margin[..., 25:, 25:], velocity[..., 24:25, 24:25].expand(-1, -1, 2, 2))


def test_where_the_box_is_the_image_a_velocity_stays_as_it_is() -> None:
    velocity = noise(30, 38).expand(1, 2, -1, -1)
    assert torch.equal(
        shown_in(slice(20, 100), slice(30, 120), keep_margins=True).extrapolate_margin(velocity), velocity
    )


def test_images_that_become_constant_at_the_working_resolution_are_taken_whole() -> None:
    board = (torch.arange(4096) % 2).float().view(1, 1, 64, 64)
    grid, configuration = ImageGrid((64, 64), torch.eye(4)), PreprocessingConfiguration(working_spacing=2.0)
    pair = prepare(fixed=board, moving=board, grid=grid, configuration=configuration, multiple=4)
    assert (pair.start, pair.fixed.shape[2:]) == ((0, 0), (64, 64))


def test_the_padding_repeats_the_border() -> None:
    fixed = prepared((40, 60), (1.0, 1.0)).fixed
    assert torch.equal(fixed[:, :, 40:], fixed[:, :, 39:40].expand(-1, -1, 24, -1))
    assert torch.equal(fixed[..., 60:], fixed[..., 59:60].expand(-1, -1, -1, 4))


def test_the_padding_can_be_longer_than_the_image() -> None:
    assert bool(torch.isfinite(prepared((2, 3), (1.0, 1.0), multiple=64).fixed).all())


def test_fixed_and_moving_keep_their_places() -> None:
    pair = prepared((64, 64), (1.0, 1.0))
    for image, seed in ((pair.fixed, 0), (pair.moving, 1)):
        original = noise(64, 64, seed=seed)
        assert float(torch.corrcoef(torch.stack([image.flatten(), original.flatten()]))[0, 1]) > 0.999


def test_the_intensities_lie_between_0_and_1() -> None:
    pair = prepared((20, 60), (3.0, 1.0))
    assert float(pair.fixed.min()) >= 0
    assert float(pair.fixed.max()) <= 1


def test_without_a_mask_there_is_none() -> None:
    assert prepared((40, 60), (1.0, 1.0)).mask is None


def test_the_mask_goes_the_way_of_the_images() -> None:
    mask = torch.zeros(1, 1, 20, 60)
    mask[:, :, :10] = 1
    pair = prepared((20, 60), (3.0, 1.0), mask)
    assert pair.mask is not None
    assert pair.mask.shape == (1, 1, 64, 64)
    assert pair.mask[0, 0, :28].min() == 1
    assert pair.mask[0, 0, 32:].max() == 0


def test_preparing_leaves_the_images_as_they_were() -> None:
    fixed, moving, mask = noise(20, 30), noise(20, 30, seed=1), torch.ones(1, 1, 20, 30)
    copies = [image.clone() for image in (fixed, moving, mask)]
    prepare(
        fixed=fixed,
        moving=moving,
        mask=mask,
        grid=ImageGrid((20, 30), torch.eye(4)),
        configuration=PreprocessingConfiguration(),
        multiple=32,
    )
    assert all(torch.equal(image, copy) for image, copy in zip((fixed, moving, mask), copies, strict=True))


@grids
def test_a_translation_comes_back_in_voxels_of_the_original_grid(
    shape: tuple[int, ...], spacing: tuple[float, ...], working: tuple[int, ...]
) -> None:
    displacement = torch.full((1, len(shape), *(64 for _ in shape)), 6.0)
    restored = prepared(shape, spacing).to_image_grid(displacement, shape)
    expected = torch.tensor([6.0 * old / new for old, new in zip(shape, working, strict=True)])
    torch.testing.assert_close(restored, expected.view(1, -1, *[1] * len(shape)).expand_as(restored))


@grids
def test_a_scaling_comes_back_as_the_same_scaling(
    shape: tuple[int, ...], spacing: tuple[float, ...], working: tuple[int, ...]
) -> None:
    def scaling(size: tuple[int, ...]) -> Tensor:
        """By 10 % away from the corner of the image, half a voxel from the first centre; alike in any voxel size."""
        return 0.1 * (identity_grid(size, torch.zeros(1)) + 0.5)

    restored = prepared(shape, spacing).to_image_grid(scaling((64,) * len(shape)), shape)
    inner = (slice(None), slice(None), *[slice(1, -1)] * len(shape))  # The border voxels are extrapolated.
    torch.testing.assert_close(restored[inner], scaling(shape)[inner], rtol=0, atol=1e-4)  # Voxels, rounding only.


def test_nothing_of_the_padding_comes_back() -> None:
    displacement = torch.ones(1, 2, 64, 64)
    displacement[:, :, 60:] = torch.nan
    assert bool(torch.isfinite(prepared((20, 60), (3.0, 1.0)).to_image_grid(displacement, (20, 60))).all())


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"intensity": "histogram"}, "no intensity mapping 'histogram'; choose 'percentile' or 'window'"),
        ({"lower": 50, "upper": 50}, "lower intensity bound 50 must be below the upper one 50"),
        ({"max_size": 32}, "64 to 4096 voxels a side"),
        ({"working_spacing": 0.0}, "positive spacing"),
        ({"working_spacing": float("nan")}, "positive spacing"),
    ],
)
def test_a_configuration_that_cannot_work_is_an_error(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PreprocessingConfiguration(**values)
