"""Every baseline gives its displacement in the direction, axes and unit of this project."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import Tensor

from training.benchmark.baselines import ants, convexadam, fireants, greedy, itk, optical_flow
from training.benchmark.method import Method, unit
from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.spatial.deformation import warp
from UnsupervisedRegistrationLib.core.spatial.filters import gaussian
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

SHAPE, SPACING = (96, 128), (1.0, 1.5)
MARGIN = 12  # Voxels; near the border less can be seen.

METHODS: dict[str, tuple[str, Method]] = {
    "demons": ("SimpleITK", itk.demons),
    "elastix": ("itk", itk.elastix),
    "SyN": ("ants", ants.syn()),
    "SyN CC": ("ants", ants.syn_cc),
    "Greedy": ("picsl_greedy", greedy.deformable),
    "Greedy diffeomorphic": ("picsl_greedy", greedy.diffeomorphic),
    "FireANTs": ("fireants", fireants.greedy_cc),
    "ConvexAdam": ("convexAdam", convexadam.convex_adam),
    "DIS": ("cv2", optical_flow.dis()),
    "DIS finest scale 0": ("cv2", optical_flow.dis(0)),
    "TV-L1": ("skimage", optical_flow.tv_l1),
}


@pytest.fixture(scope="module")
def known() -> tuple[LabelledPair, Tensor]:
    """A textured pair and its displacement: at most 3 voxels along rows, -2 along columns, at two places."""
    noise = torch.rand(1, 1, *SHAPE, generator=torch.Generator().manual_seed(5))
    moving = gaussian(noise, 3.0)
    moving = (moving - moving.min()) / (moving.max() - moving.min())
    rows, columns = torch.meshgrid(*(torch.arange(float(size)) for size in SHAPE), indexing="ij")

    def bump(row: float, column: float) -> Tensor:
        return torch.exp(-((rows - row).square() + (columns - column).square()) / (2 * 16**2))

    displacement = torch.stack([3 * bump(40, 45), -2 * bump(55, 85)])[None]
    grid = ImageGrid(SHAPE, torch.diag(torch.tensor([SPACING[1], SPACING[0], 1.0, 1.0])))
    return LabelledPair(warp(moving, displacement), moving, grid), displacement


@pytest.mark.parametrize("name", METHODS)
def test_a_baseline_finds_the_known_displacement(name: str, known: tuple[LabelledPair, Tensor]) -> None:
    package, method = METHODS[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed")
    pair, truth = known
    call, read = method(pair)
    found = read(call())
    assert found.shape == truth.shape
    assert found.dtype == torch.float32
    inside = (slice(None), slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    error = (found - truth)[inside].norm(dim=1).mean()
    assert float(error) < 0.5 * float(truth[inside].norm(dim=1).mean())
    for axis, peak in ((0, (40, 45)), (1, (55, 85))):  # Sign, axis and unit.
        assert float(found[0, axis][peak]) == pytest.approx(float(truth[0, axis][peak]), abs=0.8)


def test_intensities_of_baselines_are_clipped_at_the_percentile_of_the_positive_pixels() -> None:
    image = torch.arange(-100.0, 1000.0).view(1, 1, 1, -1)
    found = unit(image)
    assert float(found.min()) == 0
    assert float((found == 1).sum()) == pytest.approx(5, abs=1)  # 0.5 % of 999.


def test_the_grid_has_the_spacing_of_the_test() -> None:
    grid = ImageGrid(SHAPE, torch.diag(torch.tensor([SPACING[1], SPACING[0], 1.0, 1.0])))
    assert tuple(grid.spacing) == SPACING
