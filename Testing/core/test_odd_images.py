"""Images of odd sizes, spacings and intensities: a sensible result, never NaN."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration, working_shape
from UnsupervisedRegistrationLib.core.models.model_file import Model, load_model
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.registration.result import RegistrationResult
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

AS_OPTIMISED = frozenset({"never_worse"})
"""Rules that are left out, so that a bad result is not replaced."""
MODELS = Path(__file__).parents[2] / "UnsupervisedRegistration/Resources/Models"


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(MODELS / "any-contrast.pt")


def blobs(shape: tuple[int, int], seed: int) -> Tensor:
    coarse = torch.rand(1, 1, 7, 7, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, shape, mode="bicubic").clamp(0, 1)


def similar_pair(shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Two images that share most of their content."""
    return blobs(shape, 1), 0.7 * blobs(shape, 1) + 0.3 * blobs(shape, 2)


def registered(
    pair: tuple[Tensor, Tensor], model: Model, spacing: tuple[float, float] = (1.0, 1.0)
) -> RegistrationResult:
    affine = torch.diag(torch.tensor([spacing[1], spacing[0], 1.0, 1.0]))
    grid = ImageGrid(tuple(pair[0].shape[2:]), affine)
    return run(ImagePair(pair[0], pair[1], grid), [model], RegistrationOptions(device="cpu"), without=AS_OPTIMISED)


def is_sensible(result: RegistrationResult) -> bool:
    """Finite, no fold, displacements below half the image, and not less similar than before."""
    limit = max(result.displacement.shape[2:]) / 2
    return (
        bool(torch.isfinite(result.displacement).all() and torch.isfinite(result.inverse).all())
        and result.folding == 0
        and float(result.displacement.abs().max()) < limit
        and result.similarity_after >= result.similarity_before
    )


@pytest.mark.parametrize("shape", [(16, 16), (17, 130), (64, 700)])
def test_any_size_is_registered(model: Model, shape: tuple[int, int]) -> None:
    assert is_sensible(registered(similar_pair(shape), model))


@pytest.mark.parametrize("spacing", [(0.05, 0.05), (10.0, 10.0), (4.0, 0.5)])
def test_any_spacing_is_registered(model: Model, spacing: tuple[float, float]) -> None:
    assert is_sensible(registered(similar_pair((96, 96)), model, spacing))


def test_a_large_image_is_seen_at_512_voxels() -> None:
    grid = ImageGrid((4096, 2048), torch.eye(4))
    assert working_shape(grid, PreprocessingConfiguration()) == (512, 256)


def test_an_empty_half_is_registered(model: Model) -> None:
    pair = similar_pair((96, 96))
    for image in pair:
        image[..., :48] = 0
    assert is_sensible(registered(pair, model))


@pytest.mark.parametrize("name", ["any-contrast", "abdomen-ct"])
def test_padding_and_metal_of_ct_do_no_harm(name: str) -> None:
    fixed, moving = (250 * image - 50 for image in similar_pair((128, 128)))
    for image in (fixed, moving):
        image[..., :12, :] = -2000
    moving[..., 60:66, 60:66] = 3071
    result = registered((fixed, moving), load_model(MODELS / f"{name}.pt"))
    assert is_sensible(result)
