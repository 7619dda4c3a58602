"""Facts about the smoothing of displacements along a stack of slices."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.registration.stack_smoothing import smooth_along_stack


def stack(*values: float) -> Tensor:
    """Slices of 2 x 3 pixels, each of one displacement along both axes."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 2, 2, 3).clone()


def test_a_constant_displacement_stays() -> None:
    torch.testing.assert_close(smooth_along_stack(stack(2, 2, 2, 2), [0, 1, 2, 3], 1.5), stack(2, 2, 2, 2))


def test_without_smoothing_nothing_changes() -> None:
    assert torch.equal(smooth_along_stack(stack(1, 5, 2), [0, 1, 2], 0), stack(1, 5, 2))


def test_a_single_slice_spreads_like_a_gaussian() -> None:
    near, far = math.exp(-0.5), math.exp(-2)
    smoothed = smooth_along_stack(stack(0, 0, 1, 0, 0), [0, 1, 2, 3, 4], 1.0)
    assert float(smoothed[2, 0, 0, 0]) == pytest.approx(1 / (1 + 2 * near + 2 * far), rel=1e-5)
    total = 1 + near + far + math.exp(-4.5) + math.exp(-8)
    assert float(smoothed[0, 0, 0, 0]) == pytest.approx(far / total, rel=1e-5)


def test_slices_that_are_not_known_do_not_count_and_take_the_mean_of_the_others() -> None:
    smoothed = smooth_along_stack(stack(3, 100, 3), [0, 2], 1.0)
    torch.testing.assert_close(smoothed, stack(3, 3, 3))


def test_nothing_is_smoothed_within_a_slice() -> None:
    displacement = torch.rand(1, 2, 4, 5, generator=torch.Generator().manual_seed(0)).repeat(3, 1, 1, 1)
    torch.testing.assert_close(smooth_along_stack(displacement, [0, 1, 2], 2.0), displacement)


@pytest.mark.parametrize("sigma", [-1.0, math.nan, math.inf])
def test_a_smoothing_that_is_no_length_is_an_error(sigma: float) -> None:
    with pytest.raises(ValueError, match="needs a finite standard deviation"):
        smooth_along_stack(stack(1, 2), [0, 1], sigma)


def test_a_stack_without_a_known_slice_is_an_error() -> None:
    with pytest.raises(ValueError, match="No slice has a known displacement"):
        smooth_along_stack(stack(1, 2), [], 1.0)
