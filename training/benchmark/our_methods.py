"""The methods of this project, each by the same pipeline as in Slicer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.benchmark.method import Call, Method, Read
from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.models.model_file import Model, load_model
from UnsupervisedRegistrationLib.core.models.selection import DEFAULT, admissible_models, model_files
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.registration.prealignment import Matrix, PlanarImage
from UnsupervisedRegistrationLib.core.registration.result import RegistrationResult
from UnsupervisedRegistrationLib.core.spatial.deformation import warp
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid, identity_grid

_ORGAN_MODELS = {"brain": "brain-mr", "heart": "cardiac-mr", "liver": "abdomen-ct"}
_OPTIONS_OF = {preset: RegistrationOptions(preset=preset, device="cpu") for preset in ("fast", "standard", "thorough")}


def our_methods(dataset: str, models: Path) -> tuple[dict[str, Method], tuple[str, ...]]:
    """Everything automatic, each preset, and single models; and the names of those that see other contrasts.

    Args:
        dataset: Its name, which says what the model of the organ is.
        models: Folder of our models.
    """
    bundled = load_models(models)
    found: dict[str, Method] = {"default": automatic(bundled)} if bundled else {}
    for preset, options in _OPTIONS_OF.items() if bundled else ():
        found[preset] = by_pipeline(bundled, options)
    for model in bundled:
        if model.name in (DEFAULT, _ORGAN_MODELS.get(dataset)):
            for preset in ("fast", "standard"):
                found[f"{model.name}, {preset}"] = by_pipeline([model], _OPTIONS_OF[preset])
    changed = ("fast", "standard", "thorough", f"{DEFAULT}, fast", f"{DEFAULT}, standard")
    return found, tuple(name for name in changed if name in found)


def load_models(folder: Path) -> list[Model]:
    """All models in a folder, the default first."""
    return [load_model(path) for path in model_files([folder]).values()]


def by_pipeline(models: Sequence[Model], options: RegistrationOptions) -> Method:
    """The pipeline on the images as they lie; of several models the automatic choice takes one."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        images = ImagePair(pair.fixed, pair.moving, pair.grid)
        return (lambda: run(images, _admissible(models, images), options)), (lambda result: result.displacement)

    return method


def _admissible(models: Sequence[Model], images: ImagePair) -> Sequence[Model]:
    if len(models) == 1:
        return models
    return admissible_models(models, [images.fixed.numpy(), images.moving.numpy()])


def automatic(models: Sequence[Model]) -> Method:
    """What a user gets who sets no option: pre-alignment if needed, and the automatic choice of the model."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        source = SliceSource(pair)

        def call() -> RegistrationResult:
            images = ImagePair(pair.fixed, pair.moving, pair.grid)
            return run(source, _admissible(models, images), RegistrationOptions())

        return call, functools.partial(_from_original, grid=pair.grid)

    return method


@dataclass(frozen=True)
class SliceSource:
    """The images of a pair, sampled anew under a pre-alignment."""

    pair: LabelledPair

    @property
    def fixed_slice(self) -> PlanarImage:
        """The fixed image in patient space."""
        return self._planar(self.pair.fixed)

    @property
    def moving_slice(self) -> PlanarImage:
        """The moving image in patient space."""
        return self._planar(self.pair.moving)

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """There is none."""
        return None

    def sample(self, matrix: Matrix | None) -> ImagePair:
        """The images with the moving one under a matrix, ``(4, 4)`` RAS mm from fixed to moving."""
        images = ImagePair(self.pair.fixed, self.pair.moving, self.pair.grid)
        if matrix is None:
            return images
        shift = _linear_displacement(matrix, self.pair.grid, torch.zeros(1, 2, *self.pair.grid.shape))
        places = identity_grid(self.pair.grid.shape, shift) + shift
        last = torch.tensor(self.pair.grid.shape).view(1, 2, 1, 1) - 1
        inside = ((places >= 0) & (places <= last)).all(dim=1, keepdim=True).float()
        return replace(images, moving=inside * warp(images.moving, shift), moving_inside=inside)

    def _planar(self, image: Tensor) -> PlanarImage:
        pixels = image[0, 0].numpy()
        return PlanarImage(pixels, np.ones(pixels.shape, dtype=bool), self.pair.grid.ijk_to_ras.double().numpy())


def _from_original(result: RegistrationResult, grid: ImageGrid) -> Tensor:
    """From the fixed to the moving image as it lay before the pre-alignment."""
    if result.prealignment is None:
        return result.displacement
    return _linear_displacement(result.prealignment, grid, result.displacement)


def _linear_displacement(matrix: Matrix, grid: ImageGrid, first: Tensor) -> Tensor:
    """The displacement ``(1, 2, H, W)`` that applies ``first`` and then a matrix ``(4, 4)`` of RAS mm; voxels."""
    identity = identity_grid(grid.shape, first)
    to_ras = grid.ijk_to_ras.double()
    in_voxels = torch.linalg.inv(to_ras) @ torch.from_numpy(matrix) @ to_ras
    places = (identity + first).flip(1).double().flatten(2)  # Columns before rows, as the matrix has them.
    moved = in_voxels[:2, :2] @ places + in_voxels[:2, 3:]
    return moved.view_as(identity).flip(1).float() - identity
