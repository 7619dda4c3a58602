"""Registers one pair of images that lie on one grid."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images.crop import prepare
from ..images.preprocessing import resample
from ..models.model_file import Model
from ..spatial.deformation import warp
from ..spatial.folding import folding, repair_folds
from ..spatial.grid import ImageGrid
from .instance_optimisation import Refinement, refine
from .landmark_constraint import LandmarkPairs
from .prediction import align
from .uncertainty import expected_error

Progress = Callable[[str, float], None]
"""Called with the name of the step that begins and the share of the work done, 0..1; may raise ``Cancelled``."""


class Cancelled(Exception):
    """Raised by a progress callback to end a registration; it passes through, and nothing else happens."""


@dataclass(frozen=True)
class Registration:
    """The outcome for one pair, on the CPU.

    Attributes:
        displacement: ``(1, d, *spatial)``, from fixed to moving, voxels of the fixed grid.
        inverse: Likewise from moving to fixed.
        warped: ``(1, 1, *spatial)``, the moving image in its own intensities, resampled from the pixels given.
        similarity_before: Mean squared local correlation of the pair, 0..1, inside the masks if there are any.
        similarity_after: The same with the warped image.
        folding: See ``measures.folding``; 0 if nothing folds.
        milliseconds: Time of each step.
        device: Where the network ran.
        expected_error: ``(1, 1, *spatial)`` mm, see ``trust``; ``None`` if it was not asked for.
    """

    displacement: Tensor
    inverse: Tensor
    warped: Tensor
    similarity_before: float
    similarity_after: float
    folding: float
    milliseconds: dict[str, float]
    device: str
    expected_error: Tensor | None = None


def register(
    *,
    fixed: Tensor,
    moving: Tensor,
    grid: ImageGrid,
    model: Model,
    mask: Tensor | None = None,
    moving_mask: Tensor | None = None,
    refinement: Refinement | None = None,
    landmarks: LandmarkPairs | None = None,
    trust: bool = False,
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
        moving_mask: The same in the moving image.
        refinement: How the outcome of the network is refined for this pair; ``None`` leaves it as it is.
        landmarks: Corresponding points that steer the refinement; given alone, they ask for the usual one.
        trust: Whether to estimate the error of every voxel, which takes as long as the registration once more.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        progress: Told of each step.

    Raises:
        Cancelled: The callback did.
        ValueError: The images are unusable, do not lie on the grid, or the device is not there.
    """
    _check(fixed, moving, mask, moving_mask, grid, model)
    fixed, moving = fixed.float(), moving.float()
    target = resolve_device(device)
    clock = Clock(progress)
    with torch.no_grad():
        clock.begin("prepare", 0.0)
        pair = prepare(
            fixed=fixed,
            moving=moving,
            mask=mask,
            moving_mask=moving_mask,
            grid=grid,
            configuration=model.configuration.preprocessing,
            multiple=model.network.multiple,
            keep_margins=landmarks is not None,  # They may lie where neither image shows anything.
        ).to(target)
        clock.begin("network", 0.05)
        refined = refinement is not None or landmarks is not None
        forward, backward = align(pair, model, grid, twice=refined)
        if refined:
            clock.begin("refine", 0.1)
            working = None if landmarks is None else landmarks.on_grid(grid.shape, pair.shape)
            forward, backward = refine(
                pair, (forward, backward), refinement or Refinement(), grid, working, clock.within(0.1, 0.8)
            )
        error = None
        if trust:
            clock.begin("trust", 0.8)
            error = resample(
                pair.to_full_grid(expected_error(pair, model, (forward, backward), grid)).cpu(), grid.shape
            )
        clock.begin("warp", 0.85)
        displacement, inverse = (pair.to_image_grid(way, grid.shape).cpu() for way in (forward, backward))
        if refined and pair.shape != grid.shape:  # Another grid may fold where the working one does not.
            mended = repair_folds(displacement)
            displacement = displacement if mended is None else mended
        warped = warp(moving, displacement)
        clock.begin("measure", 0.9)
        before, after = pair.similarity(None), pair.similarity(forward)
        folds = folding(displacement)
        clock.end()
    return Registration(displacement, inverse, warped, before, after, folds, clock.milliseconds, str(target), error)


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


def _check(
    fixed: Tensor, moving: Tensor, mask: Tensor | None, moving_mask: Tensor | None, grid: ImageGrid, model: Model
) -> None:
    images = {"fixed image": fixed, "moving image": moving, "mask": mask, "mask of the moving image": moving_mask}
    for name, image in images.items():
        if image is not None and tuple(image.shape) != (1, 1, *grid.shape):
            raise ValueError(f"The {name} must have the shape {(1, 1, *grid.shape)}, not {tuple(image.shape)}.")
    if min(grid.shape) < 2:
        raise ValueError(f"An image of {' x '.join(map(str, grid.shape))} voxels cannot be registered; two are needed.")
    for name in ("mask", "mask of the moving image"):
        inside = images[name]
        if inside is not None and not bool((inside > 0).any()):
            raise ValueError(f"The {name} has no pixel on this slice; draw it there, or register without a mask.")
    if model.configuration.network.dimension != len(grid.shape):
        raise ValueError(
            f"The model '{model.name}' registers {model.configuration.network.dimension}-D images,"
            f" not {len(grid.shape)}-D; choose another model."
        )


class Clock:
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

    def within(self, start: float, end: float) -> Callable[[float], None]:
        """Tells the callback how far the running step is, whose own shares 0..1 span ``start`` to ``end``."""

        def tell(share: float) -> None:
            if self._progress:
                self._progress(self._step, start + share * (end - start))

        return tell

    def end(self) -> None:
        if self._step:
            self.milliseconds[self._step] = round(1000 * (time.perf_counter() - self._start), 2)
