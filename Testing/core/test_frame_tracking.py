"""Facts about sequences of frames that are registered to the first by way of the frames between."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.models.model_file import Model, load_model
from UnsupervisedRegistrationLib.core.registration.frame_tracking import track_frames
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair, mutual_information
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.spatial.deformation import compose
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

MODEL = Path(__file__).parents[2] / "UnsupervisedRegistration" / "Resources" / "Models" / "any-contrast.pt"
SIDE, COUNT, TWIST = 96, 8, 60.0
"""Pixels, frames of a cycle, and degrees by which the middle of the image has turned half-way through it."""
GRID = ImageGrid((SIDE, SIDE), torch.eye(4))
FAST = RegistrationOptions(preset="fast", device="cpu")


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(MODEL)


@pytest.fixture(scope="module")
def cycle() -> tuple[Tensor, Tensor]:
    """Frames ``(N, 1, H, W)`` of a disc whose middle twists and returns, and the true displacement of each."""
    texture = F.interpolate(
        torch.rand(1, 1, 15, 15, generator=torch.Generator().manual_seed(1)), (SIDE, SIDE), mode="bicubic"
    )
    middle = (SIDE - 1) / 2
    y, x = torch.meshgrid(torch.arange(SIDE) - middle, torch.arange(SIDE) - middle, indexing="ij")
    radius = torch.hypot(x, y)
    angles = [math.radians(TWIST) * math.sin(math.pi * n / COUNT) for n in range(COUNT)]
    frames = [_sampled(texture, _turned(y, x, -angle * _share(radius))) * (radius < 44) * 200 for angle in angles]
    truth = [_turned(y, x, angle * _share(radius)) - torch.stack([y, x]) for angle in angles]
    return torch.cat(frames), torch.stack(truth)


def _share(radius: Tensor) -> Tensor:
    return torch.exp(-((radius / 30) ** 4))


def _turned(y: Tensor, x: Tensor, angle: Tensor) -> Tensor:
    """Positions ``(2, H, W)`` from the middle, turned about it; the distance to the middle stays."""
    return torch.stack([angle.cos() * y + angle.sin() * x, angle.cos() * x - angle.sin() * y])


def _sampled(image: Tensor, position: Tensor) -> Tensor:
    places = torch.stack([position[1], position[0]], dim=-1)[None] * 2 / SIDE
    return F.grid_sample(image, places, align_corners=False, padding_mode="border")


def error(displacement: Tensor, truth: Tensor) -> float:
    """Mean length of the difference inside the disc, pixels."""
    return float((displacement - truth).norm(dim=1)[:, 16:80, 16:80].mean())


def to_first(frames: Tensor) -> ImagePair:
    return ImagePair(frames[:1].expand_as(frames[1:]), frames[1:], GRID)


def test_frames_are_followed_that_a_direct_registration_loses(cycle: tuple[Tensor, Tensor], model: Model) -> None:
    frames, truth = cycle
    direct, tracked = run(to_first(frames), [model], FAST), track_frames(frames, GRID, [model], FAST)
    assert error(tracked.displacement, truth[1:]) < 0.5 * error(direct.displacement, truth[1:])
    assert tracked.folding == 0


def test_the_inverse_leads_back(cycle: tuple[Tensor, Tensor], model: Model) -> None:
    tracked = track_frames(cycle[0], GRID, [model], FAST)
    left = compose(tracked.inverse, tracked.displacement).norm(dim=1)[:, 16:80, 16:80]
    assert float(left.mean()) < 0.25  # Pixels; each of the composed deformations is interpolated.


def test_every_frame_is_as_similar_as_by_a_direct_registration(cycle: tuple[Tensor, Tensor], model: Model) -> None:
    frames, _ = cycle
    direct, tracked = run(to_first(frames), [model], FAST), track_frames(frames, GRID, [model], FAST)
    for n in range(COUNT - 1):
        pair = to_first(frames).part([n])
        found, alone = (mutual_information(pair, r.displacement[n : n + 1]) for r in (tracked, direct))
        assert found > alone - 0.01  # Of about 1.2; the correction interpolates once more.


def test_the_order_of_a_cycle_does_not_matter(cycle: tuple[Tensor, Tensor], model: Model) -> None:
    frames, truth = cycle
    back = torch.cat([frames[:1], frames[1:].flip(0)])
    found = track_frames(back, GRID, [model], FAST)
    assert error(found.displacement.flip(0), truth[1:]) < 0.6  # Pixels; by neighbours forward or backward in time.


def test_frames_that_do_not_change_stay(model: Model, cycle: tuple[Tensor, Tensor]) -> None:
    still = track_frames(cycle[0][:1].expand(4, -1, -1, -1), GRID, [model], FAST)
    assert float(still.displacement.abs().max()) < 1e-5


def test_two_frames_are_a_pair(cycle: tuple[Tensor, Tensor], model: Model) -> None:
    frames = cycle[0][:2]
    pair = run(to_first(frames), [model], FAST)
    assert torch.equal(track_frames(frames, GRID, [model], FAST).displacement, pair.displacement)


def test_the_progress_grows_to_the_end(cycle: tuple[Tensor, Tensor], model: Model) -> None:
    shares: list[float] = []
    track_frames(cycle[0][:3], GRID, [model], FAST, lambda _, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] > 0.8


def test_one_frame_is_refused(cycle: tuple[Tensor, Tensor], model: Model) -> None:
    with pytest.raises(ValueError, match="needs two frames or more, not 1"):
        track_frames(cycle[0][:1], GRID, [model], FAST)
