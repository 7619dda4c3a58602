"""Properties that hold for any image: symmetries of warping and of the grid, identity, inverse consistency, mask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pipeline import grid, image
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.foreground import foreground
from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom
from UnsupervisedRegistrationLib.core.models.model_file import Model, load_model
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair, mutual_information
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.spatial.deformation import compose, lengths, warp
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid
from UnsupervisedRegistrationLib.scene.registration.model_folders import modelFolders

QUICK = settings(max_examples=10, deadline=None, derandomize=True, database=None)
SLOW = settings(QUICK, max_examples=3)
FAST = RegistrationOptions(preset="fast", device="cpu")
seeds = st.integers(0, 1000)
sizes = st.tuples(st.integers(5, 40), st.integers(5, 40))
MODELS: dict[str, Model] = {}


def anyContrast() -> Model:
    if not MODELS:
        MODELS["any"] = load_model(next(folder / "any-contrast.pt" for folder in modelFolders()))
    return MODELS["any"]


def displacement(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.cat([image(shape, seed + part) / 100 - 2 for part in range(2)], dim=1)


def similarPair(shape: tuple[int, int], seed: int, **changes: Any) -> ImagePair:
    fixed = image(shape, seed)
    moving = warp(fixed, displacement(shape, seed + 7))
    return ImagePair(**{"fixed": fixed, "moving": moving, "grid": grid(shape, [1.0, 1.0, 1.0]), **changes})


@QUICK
@given(sizes, seeds, st.integers(-4, 4), st.integers(-4, 4))
def test_a_shift_by_whole_voxels_is_exact(shape, seed, down, right):
    whole = image(shape, seed)
    shift = torch.tensor([down, right], dtype=whole.dtype).view(1, 2, 1, 1).expand(1, 2, *shape)
    rows, columns = ((np.arange(size) + by).clip(0, size - 1) for size, by in zip(shape, (down, right), strict=True))
    torch.testing.assert_close(warp(whole, shift), whole[:, :, rows][..., columns], rtol=0, atol=1e-3)


@QUICK
@given(sizes, seeds, st.sampled_from([2, 3]))
def test_a_mirrored_displacement_warps_the_mirrored_image(shape, seed, axis):
    whole, field = image(shape, seed), displacement(shape, seed + 1)
    signs = torch.ones(1, 2, 1, 1)
    signs[:, axis - 2] = -1
    found = warp(whole.flip(axis), field.flip(axis) * signs)
    torch.testing.assert_close(found.flip(axis), warp(whole, field), rtol=0, atol=2e-2)


@QUICK
@given(sizes, seeds)
def test_a_turned_displacement_warps_the_turned_image(shape, seed):
    whole, field = image(shape, seed), displacement(shape, seed + 1)
    found = warp(whole.mT, field.flip(1).mT)
    torch.testing.assert_close(found.mT, warp(whole, field), rtol=0, atol=2e-2)


@QUICK
@given(st.lists(st.floats(-3, 3), min_size=9, max_size=9), seeds)
def test_in_ras_a_displacement_is_where_the_voxel_goes(values, seed):
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(values, (3, 3)) + 8 * np.eye(3)  # Never singular.
    lying = ImageGrid((6, 7), torch.from_numpy(matrix))
    field = displacement((6, 7), seed)
    index = np.array([0, *np.random.default_rng(seed).integers(0, 6, 2)])[::-1]  # i, j, k.
    down, right = field[0, :, index[1], index[0]].double().numpy()
    moved = matrix[:3, :3] @ np.add(index, (right, down, 0)) - matrix[:3, :3] @ index
    found = lying.displacement_to_ras(field)[0, :, index[1], index[0]].numpy()
    np.testing.assert_allclose(found, moved, rtol=1e-4, atol=1e-4)


@SLOW
@given(seeds)
def test_equal_images_stay_as_they_lie(seed):
    same = image((64, 80), seed)
    result = run(ImagePair(fixed=same, moving=same, grid=grid((64, 80), [1.0, 1.0, 1.0])), [anyContrast()], FAST)
    assert float(lengths(result.displacement).max()) <= 0.05


@SLOW
@given(seeds)
def test_swapped_images_give_the_inverse(seed):
    pair = similarPair((64, 80), seed)
    swapped = ImagePair(fixed=pair.moving, moving=pair.fixed, grid=pair.grid)
    there, back = (run(images, [anyContrast()], FAST).displacement for images in (pair, swapped))
    left = lengths(compose(there, back))
    assert float(torch.quantile(left, 0.95)) <= 0.1
    assert float(lengths(there).max()) > 0.5


@SLOW
@given(seeds)
def test_standard_is_never_less_similar_than_fast(seed):
    pair = similarPair((64, 80), seed)
    options = (FAST, replace(FAST, preset="standard"))
    fast, standard = (mutual_information(pair, run(pair, [anyContrast()], one).displacement) for one in options)
    assert standard >= fast


@SLOW
@given(seeds, st.sampled_from([0.3, 4.0]))
def test_the_size_of_the_voxels_does_not_matter(seed, spacing):
    pair = similarPair((64, 80), seed)
    scaled = similarPair((64, 80), seed, grid=grid((64, 80), [spacing, -spacing, spacing]))
    first, second = (run(images, [anyContrast()], FAST) for images in (pair, scaled))
    torch.testing.assert_close(first.displacement, second.displacement, rtol=0, atol=1e-4)


@SLOW
@given(seeds)
def test_what_lies_far_outside_the_masks_does_not_matter(seed):
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 48:80, 48:80] = 1
    pair = similarPair((128, 128), seed, mask=mask, moving_mask=mask)
    strange = pair.moving.clone()
    strange[..., :4] = 4000  # Farther away than the displacements fade out, which is after 20 mm.
    first, second = (run(images, [anyContrast()], FAST) for images in (pair, replace(pair, moving=strange)))
    assert first.similarity_before == pytest.approx(second.similarity_before, abs=1e-4)
    assert first.similarity_after == pytest.approx(second.similarity_after, abs=0.02)


@pytest.mark.parametrize("kind", ["head", "abdomen"])
def test_mirrored_and_turned_phantoms_give_nearly_the_mirrored_and_turned_field(kind):
    """Half of the patient's pixels differ by up to 0.4 (head) or 0.6 px (abdomen); the network has no symmetry."""
    phantom = draw_phantom(kind)
    volumes = (phantom.fixed, phantom.moving)
    fixed, moving = (torch.from_numpy(part[len(part) // 2][None, None].astype(np.float32)) for part in volumes)

    def field(change):
        images = [change(part).contiguous() for part in (fixed, moving)]
        lying = grid(tuple(images[0].shape[2:]), [1.0, 1.0, 1.0])
        return run(ImagePair(fixed=images[0], moving=images[1], grid=lying), [anyContrast()], FAST).displacement

    straight, patient = field(lambda part: part), foreground(fixed[0, 0] / 1000 - fixed.min() / 1000)
    mirrored = field(lambda part: part.flip(3)).flip(3) * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    turned = field(lambda part: part.mT).flip(1).mT
    for other in (mirrored, turned):
        assert float(lengths(straight - other)[..., patient].median()) <= 0.7
