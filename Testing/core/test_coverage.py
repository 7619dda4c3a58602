"""Facts about pixels that a volume does not cover: the edge of the field of view is not anatomy."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.crop import PreparedPair, prepare
from UnsupervisedRegistrationLib.core.images.phantom import Kind, draw_phantom
from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration
from UnsupervisedRegistrationLib.core.models.model_file import load_model
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import Preset, RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

MODELS = Path(__file__).parents[2] / "UnsupervisedRegistration" / "Resources" / "Models"
FAR = 20  # Pixels from the cut beyond which the field is compared.


@lru_cache
def slices(kind: Kind) -> tuple[Tensor, Tensor, ImageGrid]:
    """The middle slices of a phantom."""
    phantom = draw_phantom(kind)
    middle = len(phantom.fixed) // 2
    fixed, moving = (
        torch.from_numpy(v[middle].astype(np.float32))[None, None] for v in (phantom.fixed, phantom.moving)
    )
    return fixed, moving, ImageGrid(tuple(fixed.shape[2:]), torch.from_numpy(phantom.ijk_to_ras))


def three_quarters(image: Tensor) -> Tensor:
    """Coverage of all but the right quarter of the columns."""
    inside = torch.ones_like(image, dtype=torch.bool)
    inside[..., image.shape[-1] - image.shape[-1] // 4 :] = False
    return inside


def field(kind: Kind, name: str, preset: Preset, fill: float | None = None, side: str = "moving") -> Tensor:
    """Displacement in voxels of a phantom of which one side misses a quarter, filled with a value."""
    fixed, moving, grid = slices(kind)
    images, coverage = {"fixed": fixed, "moving": moving}, {}
    if fill is not None:
        inside = three_quarters(images[side])
        images[side] = torch.where(inside, images[side], torch.tensor(fill))
        coverage[f"{side}_inside"] = inside
    options = RegistrationOptions(preset=preset, device="cpu", time_limit=600)
    pair = ImagePair(**images, **coverage, grid=grid)
    return run(pair, [load_model(MODELS / f"{name}.pt")], options).displacement


@pytest.mark.parametrize("side", ["fixed", "moving"])
@pytest.mark.parametrize("preset", ["fast", "standard"])
def test_what_fills_the_uncovered_pixels_does_not_matter(side: str, preset: Preset) -> None:
    image = slices("head")[0 if side == "fixed" else 1]
    fields = [field("head", "brain-mr", preset, fill, side) for fill in (0.0, float(image.mean()), 1000.0)]
    assert torch.equal(fields[0], fields[1])
    assert torch.equal(fields[0], fields[2])


def test_uncovered_pixels_may_be_no_numbers() -> None:
    fields = [field("head", "brain-mr", "fast", fill) for fill in (0.0, float("nan"))]
    assert torch.equal(*fields)


@pytest.mark.parametrize("preset", ["fast", "standard"])
@pytest.mark.parametrize("name", ["any-contrast", "brain-mr"])
def test_a_cropped_quarter_changes_the_field_little_away_from_the_cut(name: str, preset: Preset) -> None:
    fixed, _, grid = slices("head")
    whole, cropped = (field("head", name, preset, fill) for fill in (None, 0.0))
    change = grid.displacement_to_ras(whole - cropped).norm(dim=1)
    cut = fixed.shape[-1] - fixed.shape[-1] // 4
    assert float(change[..., : cut - FAR].mean()) < 0.3  # mm; the edge of the field of view cost 0.27 to 0.37.


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 100 * torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed))


def noise_pair(fixed_inside: Tensor | None = None, moving_inside: Tensor | None = None) -> PreparedPair:
    return prepare(
        fixed=noise(64, 64),
        moving=noise(64, 64, seed=1),
        fixed_inside=fixed_inside,
        moving_inside=moving_inside,
        grid=ImageGrid((64, 64), torch.eye(4)),
        configuration=PreprocessingConfiguration(),
        multiple=32,
    )


def left(columns: int) -> Tensor:
    inside = torch.zeros(1, 1, 64, 64)
    inside[..., :columns] = 1
    return inside


def test_full_coverage_is_no_coverage() -> None:
    without, with_ = noise_pair(), noise_pair(torch.ones(1, 1, 64, 64), torch.ones(1, 1, 64, 64, dtype=torch.bool))
    assert torch.equal(without.fixed, with_.fixed)
    assert torch.equal(without.moving, with_.moving)
    assert with_.weight(None) is None


def test_uncovered_pixels_show_the_other_image() -> None:
    pair = noise_pair(moving_inside=left(40))
    assert torch.equal(pair.moving[..., 40:], pair.fixed[..., 40:])
    assert not torch.equal(pair.moving[..., :40], pair.fixed[..., :40])


def test_pixels_that_neither_volume_covers_are_black() -> None:
    pair = noise_pair(left(50), left(40))
    assert torch.equal(pair.moving[..., 40:50], pair.fixed[..., 40:50])
    assert float(pair.fixed[..., 50:].max()) == float(pair.moving[..., 50:].max()) == 0


def test_only_pixels_that_both_volumes_cover_count() -> None:
    pair = noise_pair(left(50), left(40))
    assert torch.equal(pair.weight(None), left(40))


def test_the_coverage_of_the_moving_image_moves_with_it() -> None:
    pair, shift = noise_pair(moving_inside=left(40)), torch.zeros(1, 2, 64, 64)
    shift[:, 1] = 5
    torch.testing.assert_close(pair.weight(shift), left(35), atol=1e-5, rtol=0)


def test_a_cropped_copy_of_an_image_is_as_similar_as_the_whole() -> None:
    image, inside = noise(64, 64), left(40)
    grid, configuration = ImageGrid((64, 64), torch.eye(4)), PreprocessingConfiguration()
    pair = prepare(
        fixed=image,
        moving=image * inside,
        moving_inside=inside,
        grid=grid,
        configuration=configuration,
        multiple=32,
    )
    assert pair.similarity(None) == pytest.approx(1, abs=0.01)


def test_the_intensities_of_the_other_pixels_do_not_stretch_the_range() -> None:
    image = noise(64, 64)
    image[..., 40:] = 1e6
    grid, configuration = ImageGrid((64, 64), torch.eye(4)), PreprocessingConfiguration()
    pair = prepare(
        fixed=image,
        moving=noise(64, 64, seed=1),
        fixed_inside=left(40),
        grid=grid,
        configuration=configuration,
        multiple=32,
    )
    assert float(pair.fixed[..., :40].mean()) == pytest.approx(0.5, abs=0.02)


def test_an_image_that_is_constant_where_both_volumes_are_is_an_error() -> None:
    image = noise(64, 64)
    image[..., :40] = 7
    with pytest.raises(ValueError, match="The fixed image is constant on this slice"):
        prepare(
            fixed=image,
            moving=noise(64, 64, seed=1),
            moving_inside=left(40),
            grid=ImageGrid((64, 64), torch.eye(4)),
            configuration=PreprocessingConfiguration(),
            multiple=32,
        )


def test_volumes_that_do_not_overlap_are_an_error() -> None:
    with pytest.raises(ValueError, match="do not overlap on this slice"):
        noise_pair(left(20), 1 - left(30))


def test_a_coverage_of_another_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match="The coverage has the shape"):
        noise_pair(torch.zeros(1, 1, 3, 3))
