"""Facts about the smoothness of a displacement and its distance from the truth."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.similarity.losses import (
    bending,
    compression,
    diffusion,
    edge_aware_smoothness,
    endpoint_error,
)
from UnsupervisedRegistrationLib.core.spatial.grid import identity_grid

Loss = Callable[..., Tensor]
DOUBLE = torch.zeros(1, dtype=torch.float64)
SHAPES = {"2-D": (10, 8), "3-D": (6, 7, 8)}
SMOOTHNESS: dict[str, Loss] = {
    "edge_aware": lambda u, mask=None: edge_aware_smoothness(u, u[:, :1].detach(), mask=mask),
    "diffusion": diffusion,
    "bending": bending,
    "endpoint_error": lambda u, mask=None: endpoint_error(u, torch.ones_like(u), mask),
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
smoothness = pytest.mark.parametrize("loss", SMOOTHNESS.values(), ids=SMOOTHNESS.keys())


def random_field(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(1, len(shape), *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def linear_field(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """A matrix and ``matrix @ x``."""
    matrix = torch.tensor([[0.2, -0.1, 0.3], [0.4, -0.3, 0.1], [0.1, 0.2, 0.5]], dtype=torch.float64)
    matrix = matrix[: len(shape), : len(shape)]
    return matrix, torch.einsum("ab,nb...->na...", matrix, identity_grid(shape, DOUBLE))


def step_field() -> Tensor:
    """A displacement along the rows that jumps by 1 voxel between columns 3 and 4."""
    field = torch.zeros(1, 2, 10, 8)
    field[:, 0, :, 4:] = 1
    return field


@shapes
@smoothness
@pytest.mark.parametrize("height", [0.0, 1.0])
def test_the_gradient_of_a_smoothness_is_finite(loss: Loss, shape: tuple[int, ...], height: float) -> None:
    displacement = (height * random_field(shape)).requires_grad_()
    loss(displacement).backward()
    assert displacement.grad is not None
    assert bool(torch.isfinite(displacement.grad).all())


@shapes
@smoothness
def test_a_displacement_outside_the_mask_does_not_matter(loss: Loss, shape: tuple[int, ...]) -> None:
    displacement, mask = random_field(shape), torch.zeros(1, 1, *shape)
    mask[..., : shape[-1] // 2] = 1
    changed = displacement.clone()
    changed[..., shape[-1] // 2 + 1 :] = 7
    torch.testing.assert_close(loss(changed, mask), loss(displacement, mask))


@shapes
def test_without_alpha_the_edge_aware_smoothness_is_total_variation(shape: tuple[int, ...]) -> None:
    field = random_field(shape)
    image = torch.rand(1, 1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    expected = torch.stack([field.diff(dim=2 + axis).abs().sum() for axis in range(len(shape))]).sum()
    total = edge_aware_smoothness(field, image, alpha=0) * image.numel()
    torch.testing.assert_close(total, expected)


def test_a_step_of_one_voxel_costs_its_share_of_the_image() -> None:
    assert float(edge_aware_smoothness(step_field(), torch.zeros(1, 1, 10, 8))) == pytest.approx(10 / 80)


def test_an_edge_of_the_image_releases_the_displacement() -> None:
    edge = torch.zeros(1, 1, 10, 8)
    edge[..., 4:] = 0.5
    released = float(edge_aware_smoothness(step_field(), edge, alpha=10))
    assert released == pytest.approx(10 / 80 * 0.0067379, rel=1e-4)  # exp(-10 * 0.5)


def test_an_edge_elsewhere_does_not_release_the_displacement() -> None:
    edge = torch.zeros(1, 1, 10, 8)
    edge[..., 6:] = 0.5
    assert float(edge_aware_smoothness(step_field(), edge, alpha=10)) == pytest.approx(10 / 80)


def test_an_edge_across_does_not_release_the_displacement() -> None:
    edge = torch.zeros(1, 1, 10, 8)
    edge[:, :, 5:] = 0.5
    assert float(edge_aware_smoothness(step_field(), edge, alpha=10)) == pytest.approx(10 / 80)


@shapes
def test_diffusion_of_a_linear_field_is_the_square_of_its_matrix(shape: tuple[int, ...]) -> None:
    matrix, field = linear_field(shape)
    inside = torch.tensor([(size - 1) / size for size in shape], dtype=torch.float64)  # The last difference is 0.
    torch.testing.assert_close(diffusion(field), (matrix.square().sum(dim=0) * inside).sum())


@shapes
@pytest.mark.parametrize("loss", [diffusion, bending])
def test_a_translation_costs_no_smoothness(loss: Loss, shape: tuple[int, ...]) -> None:
    assert float(loss(torch.full((1, len(shape), *shape), 3.0))) == 0


@shapes
def test_bending_of_a_linear_map_is_zero(shape: tuple[int, ...]) -> None:
    assert float(bending(linear_field(shape)[1])) == pytest.approx(0, abs=1e-20)


@shapes
def test_bending_of_a_square_is_four(shape: tuple[int, ...]) -> None:
    field = torch.zeros(1, len(shape), *shape, dtype=torch.float64)
    field[:, -1] = identity_grid(shape, DOUBLE)[:, 0].square()
    assert float(bending(field)) == pytest.approx(4)


@shapes
def test_bending_counts_a_mixed_derivative_twice(shape: tuple[int, ...]) -> None:
    grid = identity_grid(shape, DOUBLE)
    field = torch.zeros(1, len(shape), *shape, dtype=torch.float64)
    field[:, 0] = grid[:, 0] * grid[:, -1]
    assert float(bending(field)) == pytest.approx(2)


def test_bending_in_a_mask_is_the_mean_over_the_mask() -> None:
    field = torch.zeros(1, 2, 10, 8, dtype=torch.float64)
    field[:, 0, :, 4:] = identity_grid((10, 4), DOUBLE)[:, 0].square()
    mask = torch.zeros(1, 1, 10, 8)
    mask[..., 6:] = 1
    assert float(bending(field, mask)) == pytest.approx(4)


@shapes
def test_the_endpoint_error_of_an_offset_is_its_length(shape: tuple[int, ...]) -> None:
    truth = random_field(shape)
    offset = torch.tensor([3.0, 4.0, 12.0][: len(shape)], dtype=torch.float64).view(1, -1, *[1] * len(shape))
    assert float(endpoint_error(truth + offset, truth)) == pytest.approx({2: 5, 3: 13}[len(shape)])


def test_the_endpoint_error_of_the_truth_is_next_to_nothing() -> None:
    assert float(endpoint_error(random_field((10, 8)), random_field((10, 8)))) < 2e-4  # Voxels; 1e-4 keeps it smooth.


@shapes
def test_compression_counts_what_a_cell_lacks_to_a_fifth_of_its_size(shape: tuple[int, ...]) -> None:
    places = identity_grid(shape, DOUBLE)[:, :1]
    for shorter, lost in ((0.0, 0.0), (0.75, 0.0), (0.9, 0.1), (1.0, 0.2), (1.3, 0.5)):
        field = torch.cat([-shorter * places, torch.zeros_like(places).repeat(1, len(shape) - 1, *[1] * len(shape))], 1)
        torch.testing.assert_close(compression(field), torch.tensor(lost, dtype=torch.float64))


def test_less_compression_takes_out_folds() -> None:
    field = (0.6 * random_field((10, 8))).requires_grad_()
    before = compression(field, least=0.0)
    for _ in range(300):
        (slope,) = torch.autograd.grad(compression(field), field)
        field = (field - slope).detach().requires_grad_()
    assert before > 0.05
    assert compression(field, least=0.0) < 0.1 * before
