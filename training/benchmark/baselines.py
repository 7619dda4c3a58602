"""The methods that are compared, each as a call to time and a way to read the displacement from what it returns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.models.model_file import Model
from UnsupervisedRegistrationLib.core.registration.options import Preset, RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import ImagePair, run

Call = Callable[[], Any]
Read = Callable[[Any], Tensor]
Method = Callable[[LabelledPair], tuple[Call, Read]]
"""From a pair in memory to the registration alone, and from its outcome to ``(1, 2, H, W)`` voxels."""


def identity(pair: LabelledPair) -> tuple[Call, Read]:
    """Nothing moves."""
    zero = torch.zeros(1, 2, *pair.grid.shape)
    return (lambda: zero), (lambda outcome: outcome)


def demons(pair: LabelledPair) -> tuple[Call, Read]:
    """SimpleITK's fast symmetric forces demons, 50 iterations at 1/4, 1/2 and 1/1, field smoothed by 1.5 voxels."""
    fixed, moving = (_sitk(image, pair) for image in (pair.fixed, pair.moving))

    def call() -> Any:
        field: sitk.Image | None = None
        for factor in (4, 2, 1):
            coarse = [
                sitk.Shrink(sitk.SmoothingRecursiveGaussian(i, factor / 2), [factor] * 2) for i in (fixed, moving)
            ]
            coarse = coarse if factor > 1 else [fixed, moving]
            filter_ = sitk.FastSymmetricForcesDemonsRegistrationFilter()
            filter_.SetNumberOfIterations(50)
            filter_.SetStandardDeviations(1.5)
            field = field and sitk.Resample(field, coarse[0])
            field = filter_.Execute(coarse[0], coarse[1], field) if field else filter_.Execute(coarse[0], coarse[1])
        return field

    return call, lambda field: _from_xy(sitk.GetArrayFromImage(field), pair)


def syn(**settings: Any) -> Method:
    """ANTs SyN from the alignment that is there, with settings of ``ants.registration``."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        import ants  # type: ignore[import-untyped, import-not-found]

        # The first axis of the array is the first of ANTs.
        spacing = tuple(map(float, pair.grid.spacing))
        fixed, moving = (ants.from_numpy(unit(i)[0, 0].numpy(), spacing=spacing) for i in (pair.fixed, pair.moving))

        def call() -> Any:
            return ants.registration(fixed, moving, "SyNOnly", initial_transform="Identity", **settings)

        def read(outcome: Any) -> Tensor:
            field = ants.image_read(outcome["fwdtransforms"][0]).numpy()
            return torch.from_numpy((field / np.array(spacing)).astype(np.float32)).movedim(-1, 0)[None]

        return call, read

    return method


def elastix(pair: LabelledPair) -> tuple[Call, Read]:
    """itk-elastix with its default B-spline parameters, four resolutions of 500 iterations."""
    import itk  # type: ignore[import-untyped, import-not-found]

    images = [itk.image_from_array(np.ascontiguousarray(unit(i)[0, 0].numpy())) for i in (pair.fixed, pair.moving)]
    for image in images:
        image.SetSpacing(list(pair.grid.spacing[::-1]))
    parameters = itk.ParameterObject.New()
    settings = itk.ParameterObject.GetDefaultParameterMap("bspline", 4)
    settings["MaximumNumberOfIterations"] = ("500",)
    parameters.AddParameterMap(settings)

    def call() -> Any:
        return itk.elastix_registration_method(images[0], images[1], parameter_object=parameters, log_to_console=False)

    def read(outcome: Any) -> Tensor:
        with tempfile.TemporaryDirectory() as folder:  # It leaves a file.
            field = itk.transformix_deformation_field(images[1], outcome[1], output_directory=folder)
        return _from_xy(itk.array_from_image(field), pair)

    return call, read


def network(model: Model, preset: Preset = "fast") -> Method:
    """A model with a preset, from the intensities as they come to the displacement on the fixed grid."""
    options = RegistrationOptions(preset=preset)

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        images = ImagePair(pair.fixed, pair.moving, pair.grid)
        return (lambda: run(images, [model], options)), (lambda result: result.displacement)

    return method


def unit(image: Tensor) -> Tensor:
    """Intensities for the peers: divided by the 99.5th percentile of the positive pixels and clipped to 0..1."""
    positive = image[image > 0]
    return (image / (float(positive.quantile(0.995)) if len(positive) else 1.0)).clamp(0, 1)


@dataclass(frozen=True)
class Contrast:
    """A change of the moving image that leaves the anatomy as it is."""

    name: str
    change: Callable[[Tensor], Tensor]

    def __call__(self, pair: LabelledPair) -> LabelledPair:
        """The pair with the changed moving image."""
        return replace(pair, moving=self.change(unit(pair.moving)))


def _bias(image: Tensor) -> Tensor:
    rows, columns = (torch.linspace(0, 1, size) for size in image.shape[2:])
    return image * (0.5 + rows[:, None] * 0.6 + columns * 0.4)


def _ct_like(image: Tensor) -> Tensor:
    """Bright tissue dark grey, dark tissue grey, the brightest white, as bone is; air stays black."""
    return torch.where(image > 0.9, 1.0, torch.where(image < 0.03, 0.0, 0.6 - 0.4 * image))


CONTRASTS = (
    Contrast("inverted", lambda image: torch.where(image > 0.03, 1.03 - image, 0.0)),
    Contrast("gamma 0.5", lambda image: image.pow(0.5)),
    Contrast("gamma 2", lambda image: image.pow(2.0)),
    Contrast("bias field", _bias),
    Contrast("CT-like", _ct_like),
)


def _sitk(image: Tensor, pair: LabelledPair) -> sitk.Image:
    outcome = sitk.GetImageFromArray(unit(image)[0, 0].numpy())
    outcome.SetSpacing(list(pair.grid.spacing[::-1]))
    return outcome


def _from_xy(field: np.ndarray, pair: LabelledPair) -> Tensor:
    """``(H, W, 2)`` in mm, x before y, as voxels in array order."""
    voxels = field[..., ::-1] / np.array(pair.grid.spacing)
    return torch.from_numpy(np.ascontiguousarray(voxels, dtype=np.float32)).movedim(-1, 0)[None]
