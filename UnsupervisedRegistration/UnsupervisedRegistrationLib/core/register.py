"""Registers one pair of images that lie on one grid."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .deformation import compose, invert, warp
from .grid import ImageGrid
from .losses import local_ncc
from .measures import folding
from .model import Model
from .network import Network
from .preprocessing import PreparedPair, prepare

Progress = Callable[[str, float], None]
"""Called with the name of the step that begins and the share of the work done, 0..1."""

_FADE_MM = 20.0  # Outside the mask the deformation fades out over about this distance.


@dataclass(frozen=True)
class Registration:
    """The outcome for one pair, on the CPU.

    Attributes:
        displacement: ``(1, d, *spatial)``, from fixed to moving, voxels of the fixed grid.
        inverse: Likewise from moving to fixed.
        warped: ``(1, 1, *spatial)``, the moving image in its own intensities, resampled from the pixels given.
        similarity_before: Mean squared local correlation of the pair, 0..1, inside the mask if there is one.
        similarity_after: The same with the warped image.
        folding: See ``measures.folding``; 0 if nothing folds.
        milliseconds: Time of each step.
        device: Where the network ran.
    """

    displacement: Tensor
    inverse: Tensor
    warped: Tensor
    similarity_before: float
    similarity_after: float
    folding: float
    milliseconds: dict[str, float]
    device: str


def register(
    *,
    fixed: Tensor,
    moving: Tensor,
    grid: ImageGrid,
    model: Model,
    mask: Tensor | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Registration:
    """Finds the displacement that warps ``moving`` onto ``fixed``.

    Args:
        fixed: ``(1, 1, *grid.shape)``, any finite intensities.
        moving: Sampled on the grid of ``fixed``.
        grid: Of the images.
        model: What to use.
        mask: ``(1, 1, *grid.shape)``, 1 in the region that matters. Intensities and similarity are measured in it,
            and the deformation fades to zero outside.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        progress: Told of each step.

    Raises:
        ValueError: The images are unusable, do not lie on the grid, or the device is not there.
    """
    _check(fixed, moving, mask, grid, model)
    fixed, moving = fixed.float(), moving.float()
    target = resolve_device(device)
    clock = _Clock(progress)
    with torch.inference_mode():
        clock.begin("prepare", 0.0)
        pair = prepare(
            fixed=fixed,
            moving=moving,
            mask=mask,
            grid=grid,
            configuration=model.configuration.preprocessing,
            multiple=model.network.multiple,
        )
        clock.begin("network", 0.2)
        working_mm = min(size * step / n for size, step, n in zip(grid.shape, grid.spacing, pair.shape, strict=True))
        forward, backward = _estimate(model, pair, target, working_mm)
        clock.begin("warp", 0.8)
        displacement, inverse = pair.restore(forward, grid.shape), pair.restore(backward, grid.shape)
        warped = warp(moving, displacement)
        clock.begin("measure", 0.9)
        before, after = (
            1 - float(local_ncc(pair.crop(image), pair.crop(pair.fixed), _cropped(pair)))
            for image in (pair.moving, warp(pair.moving, forward))
        )
        folds = folding(displacement)
        clock.end()
    return Registration(displacement, inverse, warped, before, after, folds, clock.milliseconds, str(target))


def resolve_device(name: str) -> torch.device:
    """The device of that name; ``"auto"`` takes a GPU if there is one.

    Raises:
        ValueError: It is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, colon, index = name.partition(":")
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    numbered = index.isascii() and index.isdigit() and str(int(index)) == index
    if kind not in present or (colon and not numbered) or int(index or 0) >= present[kind]:
        there = ", ".join(f"{kind}" for kind, count in present.items() if count)
        raise ValueError(f"The device '{name}' is not there. This machine has: {there}. Choose one of them, or 'auto'.")
    return torch.device(name)


def estimate(network: Network, fixed: Tensor, moving: Tensor, passes: int, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Displacements from fixed to moving and back, from one or several passes of the network.

    Args:
        network: What to run.
        fixed: ``(B, 1, *spatial)``, 0..1.
        moving: Like ``fixed``.
        passes: After the first, the network sees the moving image as warped so far.
        weight: ``(1 or B, 1, *spatial)``, factor of the velocity, 1 to leave it.
    """
    shape = tuple(fixed.shape[2:])
    forward = fixed.new_zeros(fixed.shape[0], network.configuration.dimension, *shape)
    backward = forward
    for index in range(passes):
        velocity = network(fixed, moving if index == 0 else warp(moving, forward))[-1]
        velocity = velocity * F.interpolate(weight, velocity.shape[2:])
        step = network.displacement(velocity, shape)
        back = network.displacement(-velocity, shape) if network.configuration.integration_steps else invert(step)
        forward = compose(forward, step) if index else step
        backward = compose(back, backward) if index else back
    return forward, backward


def _estimate(model: Model, pair: PreparedPair, device: torch.device, working_mm: float) -> tuple[Tensor, Tensor]:
    network = model.network.to(device)
    weight = torch.ones_like(pair.fixed) if pair.mask is None else fade(pair.mask, _FADE_MM / working_mm)
    forward, backward = estimate(
        network, pair.fixed.to(device), pair.moving.to(device), model.configuration.passes, weight.to(device)
    )
    return forward.cpu(), backward.cpu()


def fade(mask: Tensor, distance: float) -> Tensor:
    """1 inside the mask, falling to 0 at ``distance`` voxels outside it.

    Args:
        mask: ``(B, 1, *spatial)``; above 0 is inside.
        distance: Voxels, at least 1.
    """
    pool = F.max_pool2d if mask.ndim == 4 else F.max_pool3d
    rings = max(round(distance), 1)
    grown = (mask > 0).to(mask)
    total = grown
    for _ in range(rings - 1):
        grown = pool(grown, 3, stride=1, padding=1)
        total = total + grown
    return total / rings


def _cropped(pair: PreparedPair) -> Tensor | None:
    return None if pair.mask is None else pair.crop(pair.mask)


def _check(fixed: Tensor, moving: Tensor, mask: Tensor | None, grid: ImageGrid, model: Model) -> None:
    for name, image in (("fixed", fixed), ("moving", moving), ("mask", mask)):
        if image is not None and tuple(image.shape) != (1, 1, *grid.shape):
            raise ValueError(f"The {name} image must have the shape {(1, 1, *grid.shape)}, not {tuple(image.shape)}.")
    if min(grid.shape) < 2:
        raise ValueError(f"An image of {' x '.join(map(str, grid.shape))} voxels cannot be registered; two are needed.")
    if mask is not None and not bool((mask > 0).any()):
        raise ValueError("The mask has no pixel on this slice; draw it there, or register without a mask.")
    if model.configuration.network.dimension != len(grid.shape):
        raise ValueError(
            f"The model '{model.name}' registers {model.configuration.network.dimension}-D images,"
            f" not {len(grid.shape)}-D; choose another model."
        )


class _Clock:
    """Measures the steps and tells the progress callback."""

    def __init__(self, progress: Progress | None) -> None:
        self.milliseconds: dict[str, float] = {}
        self._progress = progress
        self._step, self._start = "", 0.0

    def begin(self, step: str, share: float) -> None:
        self.end()
        self._step, self._start = step, time.perf_counter()
        if self._progress:
            self._progress(step, share)

    def end(self) -> None:
        if self._step:
            self.milliseconds[self._step] = round(1000 * (time.perf_counter() - self._start), 2)
