"""What is registered: a pair of images or a batch of pairs, and which of them can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..images.preprocessing import PreprocessingConfiguration, to_unit_range
from ..models.model_file import Model
from ..spatial.deformation import warp
from ..spatial.grid import ImageGrid
from .landmark_constraint import LandmarkPairs
from .model_trial import normalised_mutual_information
from .prealignment import Matrix, PlanarImage
from .result import Cancelled as Cancelled


@dataclass(frozen=True)
class ImagePair:
    """What is registered: a pair of images, or a batch of pairs, on one grid.

    Attributes:
        fixed: ``(B, 1, *grid.shape)``, any finite intensities.
        moving: Sampled on the grid of ``fixed``.
        grid: Of all images.
        mask: ``(B, 1, *grid.shape)``, 1 in the region that matters. Intensities and similarity are measured in it, and
            the deformation fades to zero outside.
        moving_mask: The same in the moving image.
        fixed_inside: ``(B, 1, *grid.shape)``, above 0 where the fixed volume has pixels; ``None`` everywhere.
        moving_inside: The same of the moving volume.
        landmarks: Corresponding points that steer the optimisation of a single pair.
        slice_sigma: Standard deviation, in slices, of the Gaussian that smooths the displacements along a batch that
            is a stack; 0 for none.
        prealignment: ``(4, 4)`` RAS mm from fixed to moving, under which the moving image was sampled; ``None`` as it
            lay.
        notes: What was done to the images so far, a sentence each.
    """

    fixed: Tensor
    moving: Tensor
    grid: ImageGrid
    mask: Tensor | None = None
    moving_mask: Tensor | None = None
    fixed_inside: Tensor | None = None
    moving_inside: Tensor | None = None
    landmarks: LandmarkPairs | None = None
    slice_sigma: float = 0.0
    prealignment: Matrix | None = None
    notes: tuple[str, ...] = ()

    def part(self, indices: list[int]) -> ImagePair:
        """Some pairs of the batch."""
        optional = (self.mask, self.moving_mask, self.fixed_inside, self.moving_inside)
        mask, moving_mask, fixed_inside, moving_inside = (m if m is None else m[indices] for m in optional)
        return replace(
            self,
            fixed=self.fixed[indices],
            moving=self.moving[indices],
            mask=mask,
            moving_mask=moving_mask,
            fixed_inside=fixed_inside,
            moving_inside=moving_inside,
        )


class ImageSource(Protocol):
    """Images that can be sampled anew under a pre-alignment, so that nothing is interpolated twice.

    Attributes:
        fixed_slice: The fixed image in patient space.
        moving_slice: All that the moving volume has in the plane, beyond the fixed rectangle too.
        mask: ``(rows, columns)`` bool, the region of the fixed slice to compare, or ``None``.
    """

    @property
    def fixed_slice(self) -> PlanarImage: ...

    @property
    def moving_slice(self) -> PlanarImage: ...

    @property
    def mask(self) -> NDArray[np.bool_] | None: ...

    def sample(self, matrix: Matrix | None) -> ImagePair:
        """The images with the moving one under ``matrix``, ``(4, 4)`` RAS mm from fixed to moving.

        Raises:
            ValueError: They do not overlap.
        """


def middle_pair(images: ImagePair, models: Sequence[Model]) -> ImagePair:
    """The middle one of the pairs that every model can register."""
    count = len(images.fixed)
    if count == 1:
        return images
    usable = set(range(count)).intersection(*(registrable_pairs(images, model) for model in models))
    middle = min(usable, key=lambda number: abs(number - count // 2)) if usable else count // 2
    return images.part([middle])


def mutual_information(images: ImagePair, displacement: Tensor | None) -> float:
    """Normalised mutual information of the fixed and the warped moving image, where both count."""
    sides = ((images.fixed, images.fixed_inside), (images.moving, images.moving_inside))
    covered = ((image.float(), None if inside is None else inside > 0) for image, inside in sides)
    fixed, moving = (to_unit_range(image, _ANY_RANGE, inside, inside=inside) for image, inside in covered)
    warped = moving if displacement is None else warp(moving, displacement)
    return normalised_mutual_information(fixed, warped, _counted(images, displacement))


_ANY_RANGE = PreprocessingConfiguration()
"""Percentiles of each image, whatever window the model takes."""


def _counted(images: ImagePair, displacement: Tensor | None) -> Tensor | None:
    """Where both images count once the moving one is warped: inside masks and volumes; ``None`` everywhere."""
    moving = [mask.float() for mask in (images.moving_mask, images.moving_inside) if mask is not None]
    if displacement is not None:
        moving = [warp(mask, displacement, "nearest") for mask in moving]
    every = [*moving, *(mask.float() for mask in (images.mask, images.fixed_inside) if mask is not None)]
    if not every:
        return None
    return torch.stack(every).amin(dim=0)


def registrable_pairs(images: ImagePair, model: Model) -> list[int]:
    """Indices of the pairs in which both images show something, inside their masks, in the window of the model.

    A single pair is always among them: ``prepare`` says what is wrong with it.

    Raises:
        ValueError: No pair of a batch is.
    """
    count = len(images.fixed)
    if count == 1:
        return [0]
    inside = images.mask if images.moving_mask is None else images.moving_mask
    sides = ((images.fixed, images.mask), (images.moving, inside))
    usable = [n for n in range(count) if all(_shows_something(i[n], m if m is None else m[n], model) for i, m in sides)]
    if not usable:
        raise ValueError(
            "Every slice of one of the two volumes is constant, as the model sees it, or outside the mask; nothing in"
            " them can be aligned."
        )
    return usable


def _shows_something(image: Tensor, mask: Tensor | None, model: Model) -> bool:
    configuration = model.configuration.preprocessing
    values = image if mask is None else image[mask > 0]
    if values.numel() == 0:
        return False
    low, high = float(values.amin()), float(values.amax())
    if configuration.intensity == "window":
        return max(low, configuration.lower) < min(high, configuration.upper)
    return low < high


def outside_mask(images: ImagePair) -> set[int]:
    """Pairs of a batch that have no pixel of a mask; they stay as they lie."""
    masks = [mask for mask in (images.mask, images.moving_mask) if mask is not None]
    return {n for mask in masks for n in range(len(mask)) if not mask[n].any()}


def check_images(images: ImagePair, models: Sequence[Model]) -> None:
    """Refuses images that cannot be registered.

    Raises:
        ValueError: The sentence says what came and what was needed.
    """
    grid, count = images.grid, len(images.fixed)
    named = {
        "fixed image": images.fixed,
        "moving image": images.moving,
        "mask": images.mask,
        "mask of the moving image": images.moving_mask,
    }
    for name, image in named.items():
        if image is not None and tuple(image.shape) != (count, 1, *grid.shape):
            raise ValueError(f"The {name} must have the shape {(count, 1, *grid.shape)}, not {tuple(image.shape)}.")
    if min(grid.shape) < 2:
        raise ValueError(f"An image of {' x '.join(map(str, grid.shape))} voxels cannot be registered; two are needed.")
    for name in ("mask", "mask of the moving image"):
        inside = named[name]
        if count == 1 and inside is not None and not bool((inside > 0).any()):
            raise ValueError(f"The {name} has no pixel on this slice; draw it there, or register without a mask.")
    if images.landmarks is not None and count > 1:
        raise ValueError(f"Landmarks steer a single pair, not a batch of {count}; register the pair of their slice.")
    for model in models:
        if model.configuration.network.dimension != len(grid.shape):
            raise ValueError(
                f"The model '{model.name}' registers {model.configuration.network.dimension}-D images,"
                f" not {len(grid.shape)}-D; choose another model."
            )
