"""Linear alignment of two slices in their plane, before the deformable registration.

The candidates are the identity and rigid transforms that superimpose the centres of mass at several angles. SimpleITK
optimises the best of them. The transform with the most mutual information is kept.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from .options import Prealignment
from .plan import (
    ALIGNMENT_BINS,
    ALIGNMENT_ITERATIONS,
    CANDIDATE_ANGLES,
    COARSE_SIZE,
    FINE_SIZE,
    FIRST_STEP,
    LAST_STEP,
    MIN_INFORMATION_GAIN,
    MIN_OVERLAP,
    MIN_PIXELS,
    NEAR_SHARE,
    PLAUSIBLE_SCALES,
    SAMPLED_SHARE,
    SAMPLING_SEED,
)

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class PlanarImage:
    """One slice in patient space.

    Attributes:
        pixels: ``(rows, columns)`` intensities.
        inside: ``(rows, columns)`` bool, the pixels that the volume covers.
        ijk_to_ras: ``(4, 4)``, from (column, row, 0) to RAS mm.
    """

    pixels: NDArray[Any]
    inside: NDArray[np.bool_]
    ijk_to_ras: Matrix

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.inside.shape != self.pixels.shape or np.shape(self.ijk_to_ras) != (4, 4):
            raise ValueError(
                "A planar image needs pixels (rows, columns), coverage of the same shape and a 4 x 4 matrix, not"
                f" {self.pixels.shape}, {self.inside.shape} and {np.shape(self.ijk_to_ras)}."
            )


class Prealigned(NamedTuple):
    """Result of a pre-alignment.

    Attributes:
        matrix: ``(4, 4)``, RAS mm from fixed to moving; the identity if the images stay unchanged.
        sentence: What was done, for a person.
    """

    matrix: Matrix
    sentence: str


def align_in_plane(
    fixed: PlanarImage, moving: PlanarImage, kind: Prealignment, mask: NDArray[np.bool_] | None = None
) -> Prealigned:
    """The linear transform in the plane that brings the moving image onto the fixed one.

    Args:
        fixed: The fixed slice.
        moving: The moving slice, on any rectangle of the same plane with parallel axes.
        kind: ``"auto"``, ``"rigid"`` or ``"affine"``.
        mask: ``(rows, columns)`` bool, the region of the fixed slice to compare.

    Raises:
        ValueError: The kind is not one of the three.

    Source:
        Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE TMI 2003.
    """
    check_kind(kind)
    region = fixed.inside if mask is None else fixed.inside & mask
    if not all(len(part) and np.ptp(part) > 0 for part in (fixed.pixels[region], moving.pixels[moving.inside])):
        return _unchanged("one image shows nothing there")
    frame, radius = _frame_of(fixed, region)
    whole = _image(fixed, fixed.pixels, frame), _image(fixed, region, frame)
    other = _image(moving, moving.pixels, frame), _image(moving, moving.inside, frame)
    if min(_fewest_pixels(image, 2 / COARSE_SIZE) for image in (whole[0], other[0])) < MIN_PIXELS:
        return _unchanged("the slice is too narrow for it")
    coarse, fine = (_Pair(*_shrunk(*whole, 2 / n), *_shrunk(*other, 2 / n)) for n in (COARSE_SIZE, FINE_SIZE))
    identity = np.eye(3)
    start = max([identity, *_superimposed_centres(coarse)], key=coarse.similarity)
    found = fine.optimised(coarse.optimised(start, "rigid"), "rigid")
    if kind == "affine":
        found = fine.optimised(found, "affine")
    before, after = fine.similarity(identity), fine.similarity(found)
    if after < before + MIN_INFORMATION_GAIN:
        return _unchanged("no better position was found")
    if kind == "auto" and before > NEAR_SHARE * after:
        return _unchanged("they are near enough")
    matrix = np.eye(4)
    matrix[:2, :2], matrix[:2, 3] = found[:2, :2], found[:2, 2]
    return Prealigned(frame @ matrix @ np.linalg.inv(frame), _described(found, radius, kind))


def check_kind(kind: object) -> None:
    """Refuses a kind of alignment that does not exist.

    Raises:
        ValueError: It is not ``"auto"``, ``"rigid"`` or ``"affine"``; the sentence lists them.
    """
    choices = [choice for choice in typing.get_args(Prealignment) if choice != "none"]
    if kind not in choices:
        raise ValueError(f"There is no pre-alignment {kind!r}; choose one of {', '.join(choices)}.")


def _unchanged(reason: str) -> Prealigned:
    return Prealigned(np.eye(4), f"pre-alignment left the images unchanged: {reason}")


@dataclass(frozen=True)
class _Pair:
    """Two images on one plane, in radii of the fixed slice, each with its mask."""

    fixed: sitk.Image
    fixed_mask: sitk.Image
    moving: sitk.Image
    moving_mask: sitk.Image

    def similarity(self, matrix: Matrix) -> float:
        """Mutual information under a ``(3, 3)`` matrix, nats; minus infinity if the images hardly overlap."""
        if self._overlap(matrix) < MIN_OVERLAP:
            return -np.inf
        method = self._method()
        method.SetInitialTransform(_filled(sitk.AffineTransform(2), matrix))
        return -float(method.MetricEvaluate(self.fixed, self.moving))

    def optimised(self, start: Matrix, kind: Prealignment) -> Matrix:
        """A nearby ``(3, 3)`` matrix of that kind with more mutual information, or the start."""
        transform = _filled(sitk.AffineTransform(2) if kind == "affine" else sitk.Euler2DTransform(), start)
        method = self._method()
        method.SetOptimizerAsRegularStepGradientDescent(FIRST_STEP, LAST_STEP, ALIGNMENT_ITERATIONS, 0.6)
        method.SetInitialTransform(transform, True)
        try:
            method.Execute(self.fixed, self.moving)
        except RuntimeError:  # The images no longer overlap.
            return start
        found = np.eye(3)
        found[:2, :2], found[:2, 2] = np.reshape(transform.GetMatrix(), (2, 2)), transform.GetTranslation()
        scales = np.linalg.svd(found[:2, :2], compute_uv=False)
        plausible = PLAUSIBLE_SCALES[0] < scales.min() and scales.max() < PLAUSIBLE_SCALES[1]
        return found if plausible and self.similarity(found) > self.similarity(start) else start

    def _method(self) -> sitk.ImageRegistrationMethod:
        """With one thread and one seed, so that the result is reproducible."""
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(ALIGNMENT_BINS)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(SAMPLED_SHARE, SAMPLING_SEED)
        method.SetMetricFixedMask(self.fixed_mask)
        method.SetMetricMovingMask(self.moving_mask)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetNumberOfThreads(1)
        return method

    def _overlap(self, matrix: Matrix) -> float:
        """Common area over that of the smaller image."""
        masks = (self.fixed_mask, self.moving_mask)
        areas = [float(np.prod(mask.GetSpacing())) * _pixels(mask).sum() for mask in masks]
        points = _positions(self.fixed_mask)[_pixels(self.fixed_mask)] @ matrix[:2, :2].T + matrix[:2, 2]
        index = np.rint((points - self.moving_mask.GetOrigin()) / self.moving_mask.GetSpacing()).astype(int)
        within = ((index >= 0) & (index < self.moving_mask.GetSize())).all(axis=1)
        common = _pixels(self.moving_mask)[index[within, 1], index[within, 0]].sum()
        return float(np.prod(self.fixed_mask.GetSpacing()) * common / min(areas))


def _frame_of(image: PlanarImage, region: NDArray[np.bool_]) -> tuple[Matrix, float]:
    """From coordinates of about -1..1 in the plane to RAS, ``(4, 4)``, and the mm of one such unit.

    The origin is the centre of mass. A rotation by 1 then moves the border as far as a translation by 1, which gives
    the optimiser steps of equal size.
    """
    pixels = image.pixels
    sides = np.linalg.norm(image.ijk_to_ras[:3, :2], axis=0)
    radius = float((sides * pixels.shape[::-1]).max()) / 2
    weights = np.where(region, pixels - pixels[region].min(), 0)
    centre = [float((weights * axis).sum() / max(weights.sum(), 1e-9)) for axis in np.indices(pixels.shape)[::-1]]
    frame = np.array(image.ijk_to_ras, dtype=np.float64)
    frame[:3, :2] *= radius / sides
    frame[:, 3] = image.ijk_to_ras @ [*centre, 0, 1]
    return frame, radius


def _image(plane: PlanarImage, pixels: NDArray[Any], frame: Matrix) -> sitk.Image:
    image = sitk.GetImageFromArray(pixels.astype(np.uint8 if pixels.dtype == bool else np.float32))
    to_frame = np.linalg.inv(frame) @ plane.ijk_to_ras
    image.SetSpacing([float(to_frame[0, 0]), float(to_frame[1, 1])])
    image.SetOrigin(to_frame[:2, 3].tolist())
    return image


def _fewest_pixels(image: sitk.Image, step: float) -> int:
    """Pixels along the shorter side once none is smaller than ``step``."""
    sides = zip(image.GetSize(), image.GetSpacing(), strict=True)
    return min(int(size * side / max(side, step)) for size, side in sides)


def _shrunk(image: sitk.Image, mask: sitk.Image, step: float) -> tuple[sitk.Image, sitk.Image]:
    """Both with pixels of ``step`` where the pixels are smaller."""
    spacing = np.maximum(image.GetSpacing(), step)
    size = np.ceil(np.array(image.GetSize()) * image.GetSpacing() / spacing - 1e-6).astype(int)
    origin = image.GetOrigin() + (spacing - image.GetSpacing()) / 2
    smooth = sitk.SmoothingRecursiveGaussian(image, (0.5 * spacing).tolist())
    grid = (size.tolist(), sitk.Transform(2, sitk.sitkIdentity))
    place = (origin.tolist(), spacing.tolist())
    return (
        sitk.Resample(smooth, *grid, sitk.sitkLinear, *place, image.GetDirection()),
        sitk.Resample(mask, *grid, sitk.sitkNearestNeighbor, *place, image.GetDirection()),
    )


def _pixels(mask: sitk.Image) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = sitk.GetArrayViewFromImage(mask) > 0
    return inside


def _positions(image: sitk.Image) -> Matrix:
    """``(rows, columns, 2)``, the position of every pixel."""
    index = np.moveaxis(np.indices(image.GetSize()[::-1])[::-1], 0, -1)
    positions: Matrix = index * image.GetSpacing() + image.GetOrigin()
    return positions


def _centre_of_mass(image: sitk.Image, mask: sitk.Image) -> Matrix:
    """Of the intensities above the lowest, ``(2,)``."""
    pixels, inside = sitk.GetArrayViewFromImage(image), _pixels(mask)
    weights = np.where(inside, pixels - pixels[inside].min(), 0)[..., None]
    centre: Matrix = (weights * _positions(image)).sum(axis=(0, 1)) / max(float(weights.sum()), 1e-9)
    return centre


def _superimposed_centres(pair: _Pair) -> list[Matrix]:
    """Rigid transforms that superimpose the centres of mass, at several angles."""
    fixed, moving = _centre_of_mass(pair.fixed, pair.fixed_mask), _centre_of_mass(pair.moving, pair.moving_mask)
    candidates = []
    for angle in np.deg2rad(CANDIDATE_ANGLES):
        matrix = np.eye(3)
        matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix[:2, 2] = moving - matrix[:2, :2] @ fixed
        candidates.append(matrix)
    return candidates


def _filled(transform: Any, matrix: Matrix) -> Any:  # SimpleITK has no types.
    transform.SetMatrix(matrix[:2, :2].ravel().tolist())
    transform.SetTranslation(matrix[:2, 2].tolist())
    return transform


def _described(matrix: Matrix, radius: float, kind: Prealignment) -> str:
    left, scales, right = np.linalg.svd(matrix[:2, :2])
    rotation = left @ right
    degrees = abs(np.rad2deg(np.arctan2(rotation[1, 0], rotation[0, 0])))
    scaled = f" and scaled it by {np.sqrt(scales.prod()):.2f}" if kind == "affine" else ""
    shift = radius * np.linalg.norm(matrix[:2, 2])
    return f"pre-alignment shifted the moving image by {shift:.1f} mm, turned it by {degrees:.1f} degrees{scaled}"
