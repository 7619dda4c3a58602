"""Facts about the few steps after the network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.crop import PreparedPair
from UnsupervisedRegistrationLib.core.registration.symmetric_steps import SymmetricSteps
from UnsupervisedRegistrationLib.core.similarity.losses import local_ncc
from UnsupervisedRegistrationLib.core.spatial.deformation import Mapping, lengths, symmetric_flows, warp

SHAPE, HALF = (64, 72), (32, 36)


def blobs(seed: int) -> Tensor:
    coarse = torch.rand(1, 1, 11, 12, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, SHAPE, mode="bicubic").clamp(0, 1)


def displaced() -> PreparedPair:
    """A moving image that is the fixed one, shifted by one and a half voxels in its middle."""
    rows, columns = (torch.linspace(-1, 1, size) for size in SHAPE)
    middle = torch.exp(-4 * (rows[:, None] ** 2 + columns**2))
    return PreparedPair(blobs(1), warp(blobs(1), 1.5 * middle.expand(1, 2, *SHAPE)), None, None, SHAPE, (0, 0))


def still() -> Tensor:
    return torch.zeros(1, 2, *HALF)


def unconstrained(velocity: Tensor) -> Tensor:
    return velocity


def exchanged(pair: PreparedPair) -> PreparedPair:
    return replace(pair, fixed=pair.moving, moving=pair.fixed, mask=pair.moving_mask, moving_mask=pair.mask)


def half_mask() -> Tensor:
    mask = torch.zeros(1, 1, *SHAPE)
    mask[..., :30] = 1
    return mask


def test_the_images_become_more_similar() -> None:
    pair = displaced()
    forward = symmetric_flows(SymmetricSteps(pair, (True,))(still(), unconstrained), 6)[:1]
    before, after = (float(local_ncc(moving, pair.fixed)) for moving in (pair.moving, warp(pair.moving, forward)))
    assert after < 0.6 * before


@pytest.mark.parametrize("masked", [False, True])
def test_exchanging_the_images_negates_the_velocity(masked: bool) -> None:
    pair = replace(displaced(), mask=half_mask()) if masked else displaced()
    start = 0.3 * torch.rand(1, 2, *HALF, generator=torch.Generator().manual_seed(2))
    velocity = SymmetricSteps(pair, (True,))(start, unconstrained)
    back = SymmetricSteps(exchanged(pair), (True,))(-start, unconstrained)
    assert float((velocity - start).abs().max()) > 0.5
    torch.testing.assert_close(back, -velocity, rtol=1e-4, atol=1e-4)


def test_exchanging_images_that_were_warped_half_way_negates_the_velocity() -> None:
    pair, way = displaced(), torch.full((1, 2, *SHAPE), 0.4)
    velocity = SymmetricSteps(pair, (True,))(still(), unconstrained, Mapping(way, -way))
    back = SymmetricSteps(exchanged(pair), (True,))(still(), unconstrained, Mapping(-way, way))
    assert float((velocity - SymmetricSteps(pair, (True,))(still(), unconstrained)).abs().max()) > 0.1
    torch.testing.assert_close(back, -velocity, rtol=1e-4, atol=1e-4)


def test_an_image_does_not_move_to_itself() -> None:
    pair = replace(displaced(), moving=displaced().fixed)
    assert torch.equal(SymmetricSteps(pair, (True,))(still(), unconstrained), still())


def test_pairs_whose_contrast_differs_keep_their_velocity() -> None:
    pair = displaced()
    both = replace(pair, fixed=pair.fixed.repeat(2, 1, 1, 1), moving=pair.moving.repeat(2, 1, 1, 1))
    velocity = SymmetricSteps(both, (False, True))(still().repeat(2, 1, 1, 1), unconstrained)
    assert float(velocity[0].abs().max()) == 0
    torch.testing.assert_close(velocity[1:], SymmetricSteps(pair, (True,))(still(), unconstrained))


def test_what_does_not_count_does_not_pull() -> None:
    pair = replace(displaced(), mask=half_mask())
    other = replace(pair, fixed=torch.where(half_mask() > 0, pair.fixed, torch.tensor(0.5)))
    found, changed = (SymmetricSteps(one, (True,))(still(), unconstrained) for one in (pair, other))
    assert float(lengths(found)[..., :9].max()) > 0.3
    assert float(lengths(found)[..., 26:].max()) < 0.05
    assert float(lengths(found - changed)[..., :9].max()) < 0.2


def test_every_step_is_constrained() -> None:
    velocity = SymmetricSteps(displaced(), (True,))(still(), lambda step: step * 0)
    assert torch.equal(velocity, still())
