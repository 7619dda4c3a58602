"""Aligns two slices linearly in their plane before the network looks at them.

The candidates are the images as they lie, the centres of mass over each other at several angles, and what SimpleITK
makes of the best of these. The one with the most mutual information is kept.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk
import slicer
import vtk

from ..geometry.planes import SlicePlane, localIjkToRas, volumeSize
from ..geometry.sampling import SampledSlice

Prealignment = Literal["none", "auto", "rigid", "affine"]
"""``auto`` is a rigid one that leaves images as they lie if they are near enough for the network."""

_LARGEST = 256  # Pixels along the longer side of the image that the moving volume is sampled into.
_COARSE, _FINE = 40, 72  # Pixels along the longer side of the fixed image while it is compared.
_ANGLES = np.deg2rad([-30, -20, -10, 0, 10, 20, 30])
_BINS = 24  # Of the joint histogram.
_SAMPLES, _SEED = 0.5, 7  # Share of the pixels, at random within them, which avoids the bias of a common grid.
_FIRST_STEP, _LAST_STEP = 0.06, 0.0005  # Of the optimiser, in radii of the fixed slice.
_ITERATIONS = 40
_NARROW = 4  # Pixels a side that the recursive Gaussian of the comparison needs.
_SIZES = (0.6, 1.7)  # A stretch beyond is no patient.
_OVERLAP = 0.4  # Share of the smaller image that must lie on the other one.
_NEAR = 0.5  # Of the mutual information after a rigid alignment, what images have that the network brings together.
_GAIN = 0.005  # Mutual information (nats) that a candidate must win over the images as they lie.


def coveringPlane(
    plane: SlicePlane, volumeNode: slicer.vtkMRMLVolumeNode, fromWorld: vtk.vtkAbstractTransform
) -> SlicePlane:
    """The same plane made as large as a volume, with pixels coarse enough for a quick look.

    Args:
        plane: Gives position and directions.
        volumeNode: What has to fit into the rectangle.
        fromWorld: From the world to the RAS space of the volume.
    """
    ends = [(-0.5, size - 0.5) for size in volumeSize(volumeNode)]
    local = np.array([[*corner, 1.0] for corner in itertools.product(*ends)]) @ localIjkToRas(volumeNode).T
    toWorld = fromWorld.GetInverse()
    world = np.array([toWorld.TransformPoint(corner[:3]) for corner in local])
    pixels = (world - plane.ijkToRas[:3, 3]) @ np.linalg.inv(plane.ijkToRas[:3, :3]).T
    low = np.minimum(np.floor(pixels[:, :2].min(axis=0)), 0)
    high = np.maximum(np.ceil(pixels[:, :2].max(axis=0)), np.array(plane.shape)[::-1] - 1)
    step = max(1.0, float((high - low).max() + 1) / _LARGEST)
    columns, rows = np.ceil((high - low + 1) / step).astype(int)
    matrix = plane.ijkToRas.copy()
    matrix[:3, 3] += matrix[:3, :2] @ low
    matrix[:3, :2] *= step
    return SlicePlane((int(rows), int(columns)), matrix, plane.name)


def alignInPlane(
    plane: SlicePlane,
    fixed: SampledSlice,
    movingPlane: SlicePlane,
    moving: SampledSlice,
    kind: Prealignment,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, str]:
    """The linear map from fixed to moving in the plane, and what it does in words.

    Args:
        plane: Of the fixed slice.
        fixed: Its pixels.
        movingPlane: Another rectangle of the same plane.
        moving: Pixels of the moving volume on it.
        kind: All but ``"none"``.
        mask: ``(rows, columns)`` bool, the region of the fixed slice that matters.

    Returns:
        ``(4, 4)``, RAS mm, and a sentence.
    """
    there = fixed.inside if mask is None else fixed.inside & mask
    if not all(len(part) and np.ptp(part) > 0 for part in (fixed.pixels[there], moving.pixels[moving.inside])):
        return np.eye(4), "pre-alignment left the images as they lay, because one shows nothing there"
    frame, radius = _frameOf(plane, fixed.pixels, there)
    whole = _image(plane, fixed.pixels, frame), _image(plane, there, frame)
    other = _image(movingPlane, moving.pixels, frame), _image(movingPlane, moving.inside, frame)
    if min(_fewestPixels(image, 2 / _COARSE) for image in (whole[0], other[0])) < _NARROW:
        return np.eye(4), "pre-alignment left the images as they lay, because the slice is too narrow for it"
    coarse, fine = (_Pair(*_shrunk(*whole, 2 / n), *_shrunk(*other, 2 / n)) for n in (_COARSE, _FINE))
    still = np.eye(3)
    start = max([still, *_overCentres(coarse)], key=coarse.similarity)
    found = fine.optimised(coarse.optimised(start, "rigid"), "rigid")
    if kind == "affine":
        found = fine.optimised(found, "affine")
    before, after = fine.similarity(still), fine.similarity(found)
    if after < before + _GAIN:
        return np.eye(4), "pre-alignment left the images as they lay, which was best"
    if kind == "auto" and before > _NEAR * after:
        return np.eye(4), "pre-alignment left the images as they lay, near enough"
    matrix = np.eye(4)
    matrix[:2, :2], matrix[:2, 3] = found[:2, :2], found[:2, 2]
    return frame @ matrix @ np.linalg.inv(frame), _inWords(found, radius, kind)


@dataclass(frozen=True)
class _Pair:
    """Two images on one plane in radii, each with the mask of where it is."""

    fixed: sitk.Image
    fixedMask: sitk.Image
    moving: sitk.Image
    movingMask: sitk.Image

    def similarity(self, matrix: np.ndarray) -> float:
        """Mutual information under a ``(3, 3)`` matrix, nats; minus infinity if the images hardly overlap."""
        if self._overlap(matrix) < _OVERLAP:
            return -np.inf
        method = self._method()
        method.SetInitialTransform(_filled(sitk.AffineTransform(2), matrix))
        return -method.MetricEvaluate(self.fixed, self.moving)

    def optimised(self, start: np.ndarray, kind: Prealignment) -> np.ndarray:
        """A matrix of a kind with more mutual information nearby, or the start."""
        transform = _filled(sitk.AffineTransform(2) if kind == "affine" else sitk.Euler2DTransform(), start)
        method = self._method()
        method.SetOptimizerAsRegularStepGradientDescent(_FIRST_STEP, _LAST_STEP, _ITERATIONS, 0.6)
        method.SetInitialTransform(transform, True)
        try:
            method.Execute(self.fixed, self.moving)
        except RuntimeError:  # The images have slid off each other.
            return start
        found = np.eye(3)
        found[:2, :2], found[:2, 2] = np.reshape(transform.GetMatrix(), (2, 2)), transform.GetTranslation()
        sizes = np.linalg.svd(found[:2, :2], compute_uv=False)
        plausible = _SIZES[0] < sizes.min() and sizes.max() < _SIZES[1]
        return found if plausible and self.similarity(found) > self.similarity(start) else start

    def _method(self) -> sitk.ImageRegistrationMethod:
        """In one thread and with one seed, so that the outcome is the same every time."""
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(_BINS)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(_SAMPLES, _SEED)
        method.SetMetricFixedMask(self.fixedMask)
        method.SetMetricMovingMask(self.movingMask)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetNumberOfThreads(1)
        return method

    def _overlap(self, matrix: np.ndarray) -> float:
        """Common area over that of the smaller image."""
        areas = [float(np.prod(mask.GetSpacing())) * _pixels(mask).sum() for mask in (self.fixedMask, self.movingMask)]
        points = _positions(self.fixedMask)[_pixels(self.fixedMask)] @ matrix[:2, :2].T + matrix[:2, 2]
        index = np.rint((points - self.movingMask.GetOrigin()) / self.movingMask.GetSpacing()).astype(int)
        there = ((index >= 0) & (index < self.movingMask.GetSize())).all(axis=1)
        common = _pixels(self.movingMask)[index[there, 1], index[there, 0]].sum()
        return float(np.prod(self.fixedMask.GetSpacing())) * common / min(areas)


def _frameOf(plane: SlicePlane, pixels: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, float]:
    """From a plane of coordinates about -1..1 to RAS, ``(4, 4)``, and the mm of one such unit.

    The origin is the centre of mass, and a turn by 1 moves the border as far as a shift by 1 does, which is what the
    optimiser needs to make even steps.
    """
    sides = np.linalg.norm(plane.ijkToRas[:3, :2], axis=0)
    radius = float((sides * plane.shape[::-1]).max()) / 2
    weights = np.where(there, pixels - pixels[there].min(), 0)
    centre = [float((weights * axis).sum() / max(weights.sum(), 1e-9)) for axis in np.indices(pixels.shape)[::-1]]
    frame = plane.ijkToRas.copy()
    frame[:3, :2] *= radius / sides
    frame[:, 3] = plane.ijkToRas @ [*centre, 0, 1]
    return frame, radius


def _image(plane: SlicePlane, pixels: np.ndarray, frame: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(pixels.astype(np.uint8 if pixels.dtype == bool else np.float32))
    toFrame = np.linalg.inv(frame) @ plane.ijkToRas
    image.SetSpacing([float(toFrame[0, 0]), float(toFrame[1, 1])])
    image.SetOrigin(toFrame[:2, 3].tolist())
    return image


def _fewestPixels(image: sitk.Image, step: float) -> int:
    """Along the shorter side, with pixels of ``step`` where they are smaller."""
    return min(
        int(size * side / max(side, step)) for size, side in zip(image.GetSize(), image.GetSpacing(), strict=True)
    )


def _shrunk(image: sitk.Image, mask: sitk.Image, step: float) -> tuple[sitk.Image, sitk.Image]:
    """Both with pixels of ``step``, where the pixels are smaller."""
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


def _pixels(mask: sitk.Image) -> np.ndarray:
    return sitk.GetArrayViewFromImage(mask) > 0


def _positions(image: sitk.Image) -> np.ndarray:
    """``(rows, columns, 2)`` of every pixel."""
    index = np.moveaxis(np.indices(image.GetSize()[::-1])[::-1], 0, -1)
    return index * image.GetSpacing() + image.GetOrigin()


def _centreOfMass(image: sitk.Image, mask: sitk.Image) -> np.ndarray:
    """Of the intensities above the lowest."""
    pixels, inside = sitk.GetArrayViewFromImage(image), _pixels(mask)
    weights = np.where(inside, pixels - pixels[inside].min(), 0)[..., None]
    return (weights * _positions(image)).sum(axis=(0, 1)) / max(float(weights.sum()), 1e-9)


def _overCentres(pair: _Pair) -> list[np.ndarray]:
    """The centres of mass over each other, at several angles."""
    fixed, moving = _centreOfMass(pair.fixed, pair.fixedMask), _centreOfMass(pair.moving, pair.movingMask)
    candidates = []
    for angle in _ANGLES:
        matrix = np.eye(3)
        matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix[:2, 2] = moving - matrix[:2, :2] @ fixed
        candidates.append(matrix)
    return candidates


def _filled(transform: sitk.Transform, matrix: np.ndarray) -> sitk.Transform:
    transform.SetMatrix(matrix[:2, :2].ravel().tolist())
    transform.SetTranslation(matrix[:2, 2].tolist())
    return transform


def _inWords(matrix: np.ndarray, radius: float, kind: Prealignment) -> str:
    left, sizes, right = np.linalg.svd(matrix[:2, :2])
    turn = left @ right
    degrees = abs(np.rad2deg(np.arctan2(turn[1, 0], turn[0, 0])))
    scaled = f" and scaled it by {np.sqrt(sizes.prod()):.2f}" if kind == "affine" else ""
    shift = radius * np.linalg.norm(matrix[:2, 2])
    return f"pre-alignment shifted the moving image by {shift:.1f} mm, turned it by {degrees:.1f} degrees{scaled}"
