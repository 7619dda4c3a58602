"""Symmetric demons of SimpleITK, and the B-splines of elastix."""

from __future__ import annotations

import tempfile
from typing import Any

import SimpleITK as sitk

from training.benchmark.method import THREADS, Call, Read, from_xy, to_sitk, unit_array
from training.data.labelled_pairs import LabelledPair

_FACTORS = (4, 2, 1)


def demons(pair: LabelledPair) -> tuple[Call, Read]:
    """Fast symmetric forces demons, 50 iterations at 1/4, 1/2 and full resolution, field smoothed by 1.5 voxels."""
    fixed, moving = (to_sitk(image, pair) for image in (pair.fixed, pair.moving))

    def call() -> sitk.Image | None:
        field: sitk.Image | None = None
        for factor in _FACTORS:
            images = [_shrunk(image, factor) for image in (fixed, moving)]
            demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
            demons.SetNumberOfThreads(THREADS)
            demons.SetNumberOfIterations(50)
            demons.SetStandardDeviations(1.5)
            field = (
                demons.Execute(*images) if field is None else demons.Execute(*images, sitk.Resample(field, images[0]))
            )
        return field

    return call, lambda field: from_xy(sitk.GetArrayFromImage(field), pair.grid.spacing)


def _shrunk(image: sitk.Image, factor: int) -> sitk.Image:
    return sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, factor / 2), [factor] * 2) if factor > 1 else image


def elastix(pair: LabelledPair) -> tuple[Call, Read]:
    """The default B-spline parameters of itk-elastix, four resolutions of 500 iterations."""
    import itk  # type: ignore[import-untyped, import-not-found]

    images = [itk.image_from_array(unit_array(image)) for image in (pair.fixed, pair.moving)]
    for image in images:
        image.SetSpacing(list(pair.grid.spacing[::-1]))
    parameters = itk.ParameterObject.New()
    settings = itk.ParameterObject.GetDefaultParameterMap("bspline", 4)
    settings["MaximumNumberOfIterations"] = ("500",)
    parameters.AddParameterMap(settings)

    def call() -> Any:
        return itk.elastix_registration_method(*images, parameter_object=parameters, log_to_console=False)

    def read(result: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:  # It writes a file.
            field = itk.transformix_deformation_field(images[1], result[1], output_directory=folder)
        return from_xy(itk.array_from_image(field), pair.grid.spacing)

    return call, read
