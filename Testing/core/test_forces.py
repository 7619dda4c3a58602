"""Forces, against automatic differentiation of the similarity that they increase."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.similarity import forces
from UnsupervisedRegistrationLib.core.similarity.forces import (
    AnyContrast,
    SameContrast,
    contrasts,
    mutual_force,
    shared_noise,
    symmetric_force,
)
from UnsupervisedRegistrationLib.core.similarity.losses import mind
from UnsupervisedRegistrationLib.core.spatial.deformation import warp
from UnsupervisedRegistrationLib.core.spatial.filters import box_mean


def images(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Two smooth images that correlate in part."""
    torch.manual_seed(4)
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    coarse = torch.rand(2, 1, *[size // 4 for size in shape], dtype=torch.float64)
    first, second = F.interpolate(coarse, shape, mode=mode).split(1)
    return first, (first + second) / 2


def noisy_correlation(warped: Tensor, fixed: Tensor) -> Tensor:
    """Squared correlation in the window of two images that share a little noise."""
    noise = (forces._NOISE_FLOOR * fixed.std()).clamp_max(forces._MAX_NOISE_FLOOR)

    def covariance(a: Tensor, b: Tensor) -> Tensor:
        means = (box_mean(image, forces._CORRELATION_WINDOW) for image in (a * b, a, b))
        return next(means) - next(means) * next(means) + noise.square()

    return covariance(warped, fixed).square() / (covariance(warped, warped) * covariance(fixed, fixed))


@pytest.mark.parametrize("shape", [(48, 56), (36, 36, 36)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_written_derivative_is_the_automatic_one(
    shape: tuple[int, ...], weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forces, "_FORCE_SPACING", 1)
    fixed, warped = images(shape)
    weight = torch.zeros_like(fixed) if weighted else torch.ones_like(fixed)
    weight[:, :, 20:28] = 1
    warped.requires_grad_()
    correlation = noisy_correlation(warped, fixed)
    difference = (warped - fixed).square()
    (expected,) = torch.autograd.grad((weight * (correlation - forces._PHOTOMETRIC_WEIGHT * difference)).sum(), warped)
    found = SameContrast(fixed)(warped.detach(), weight if weighted else None)
    # At the border the window of the mean is smaller than that of its derivative.
    inner = (
        slice(None),
        slice(None),
        *[slice(forces._CORRELATION_WINDOW - 1, 1 - forces._CORRELATION_WINDOW)] * len(shape),
    )
    assert torch.allclose(found[inner], expected[inner], atol=1e-6 * float(expected.abs().max()))
    assert float(expected[inner].abs().max()) > 0.1


def test_windows_at_every_third_voxel_pull_as_windows_at_every_voxel(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, warped = images((48, 56))
    sparse = SameContrast(fixed)(warped, None)
    monkeypatch.setattr(forces, "_FORCE_SPACING", 1)
    dense = SameContrast(fixed)(warped, None)
    correlation = torch.corrcoef(torch.stack([sparse.flatten(), dense.flatten()]))[0, 1]
    assert float(correlation) > 0.99


@pytest.mark.parametrize("weighted", [False, True])
def test_exchanging_the_images_negates_the_symmetric_force(weighted: bool) -> None:
    fixed, moving = images((48, 56))
    weight = torch.rand_like(fixed) if weighted else None
    noise = shared_noise(fixed, moving)
    there = symmetric_force(fixed, moving, weight, noise)
    assert torch.equal(there, -symmetric_force(moving, fixed, weight, shared_noise(moving, fixed)))
    assert float(there.abs().max()) > 0.1


def test_the_symmetric_force_of_a_batch_is_that_of_each_pair() -> None:
    fixed, moving = images((48, 56))
    both = torch.cat([fixed, 0.3 * moving]), torch.cat([moving, 0.3 * fixed])
    together = symmetric_force(*both, None, shared_noise(*both))
    for number in range(2):
        alone = both[0][number : number + 1], both[1][number : number + 1]
        torch.testing.assert_close(
            together[number : number + 1], symmetric_force(*alone, None, shared_noise(*alone)), rtol=1e-6, atol=1e-9
        )


def test_the_symmetric_force_makes_both_images_more_similar() -> None:
    fixed, moving = images((48, 56))
    force = symmetric_force(fixed, moving, None, shared_noise(fixed, moving))
    step = force * (0.1 / float(force.abs().max()))
    before, after = (
        noisy_correlation(m, f).mean() for m, f in ((moving, fixed), (warp(moving, step), warp(fixed, -step)))
    )
    assert float(after) > float(before) + 1e-4


def test_equal_images_do_not_pull() -> None:
    fixed, _ = images((48, 56))
    assert float(SameContrast(fixed)(fixed, None).abs().max()) < 1e-6
    assert float(AnyContrast(fixed)(fixed, None).abs().max()) < 1e-6


def test_faint_images_are_correlated_as_strong_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forces, "_PHOTOMETRIC_WEIGHT", 0.0)
    fixed, warped = (0.5 * image for image in images((48, 56)))
    strong, faint = (share * SameContrast(share * fixed)(share * warped, None) for share in (1.0, 0.01))
    torch.testing.assert_close(faint, strong, rtol=1e-3, atol=1e-4 * float(strong.abs().max()))


def test_a_step_along_the_force_makes_the_context_more_alike() -> None:
    fixed, warped = images((48, 56))
    force = AnyContrast(fixed)(warped, None)
    step = warped + force * (0.01 / float(force.abs().max()))
    assert float(mind(step, fixed, radius=1, dilation=1)) < float(mind(warped, fixed, radius=1, dilation=1))


@pytest.mark.parametrize("shape", [(48, 56), (20, 24, 28)])
def test_swapping_the_images_negates_the_mutual_force(shape: tuple[int, ...]) -> None:
    pair = contrasts(torch.cat(images(shape)))
    there, back = mutual_force(pair), mutual_force(pair.roll(1, dims=0))
    assert torch.equal(there, -back)
    assert float(there.abs().max()) > 0.1
    assert float(mutual_force(pair[:1].repeat(2, *[1] * (pair.ndim - 1))).abs().max()) == 0


def test_the_mutual_force_is_the_derivative_of_the_squared_differences() -> None:
    pair = contrasts(torch.cat(images((48, 56))))
    fixed, moving = pair.chunk(2)
    slopes = []
    for side in (-1e-6, 1e-6):  # Linear interpolation has another slope on either side of a voxel.
        shift = torch.full((1, 2, 48, 56), side, dtype=torch.float64, requires_grad=True)
        (warp(fixed, -shift) - warp(moving, shift)).square().sum().backward()
        slopes.append(shift.grad)
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    expected = -(slopes[0] + slopes[1]) / 4  # type: ignore[operator]
    torch.testing.assert_close(mutual_force(pair)[inner], expected[inner], rtol=1e-3, atol=1e-4)


def test_small_windows_are_compared_whatever_their_brightness_and_contrast() -> None:
    image, _ = images((48, 56))
    plain, changed = contrasts(image), contrasts(0.5 * image + 0.3)
    assert float((plain[:, 1] - changed[:, 1]).abs().median()) < 0.05 * float(plain[:, 1].abs().median())
    assert float((plain[:, 0] - changed[:, 0]).abs().median()) > 0.05 * float(plain[:, 0].abs().median())
