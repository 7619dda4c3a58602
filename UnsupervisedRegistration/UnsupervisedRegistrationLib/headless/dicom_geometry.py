"""Where the slices of a DICOM series lie, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

_SAME_MM = 0.01  # Positions in headers are rounded; scanners do not know them better.
_EVEN = 0.1  # Share of the distance by which a slice may lie off an even grid and is only noted.
_SAME_AXES = 1e-3  # Cosines in headers have at least three digits.
_TILT_PIXELS = 0.1  # Total shift in the plane, in pixels, below which nothing can be seen.


@dataclass(frozen=True)
class Placed:
    """A slice where its header says that it lies.

    Attributes:
        name: For sentences.
        position: ``(3,)`` centre of the first pixel, LPS mm.
        rows: ``(3,)`` direction along a row.
        columns: ``(3,)`` direction along a column.
        differs: What may tell slices of one place apart, such as the time point.
    """

    name: str
    position: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    differs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Stack:
    """The order of the slices and the even grid that they lie on.

    Attributes:
        order: Indices of the slices along the normal.
        origin: ``(3,)`` of the first one, LPS mm.
        direction: ``(3, 3)``, columns are the directions of I, J and K.
        distance: From slice to slice along the normal, mm.
        shift: ``(3,)`` shift in the plane from slice to slice, LPS mm; not 0 if the gantry was tilted.
        notes: What a user has to know.
    """

    order: tuple[int, ...]
    origin: np.ndarray
    direction: np.ndarray
    distance: float
    shift: np.ndarray
    notes: tuple[str, ...] = ()


def stackOf(slices: Sequence[Placed], pixelSpacing: float) -> Stack:
    """Order slices of different places.

    Args:
        slices: At least two.
        pixelSpacing: Of the finer axis in the plane, mm.

    Raises:
        ValueError: They are no even stack of parallel slices.
    """
    direction = _direction(slices)
    along = np.array([one.position for one in slices]) @ direction[:, 2]
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order])
    _checkDoubled([slices[index] for index in order], along[order])
    distance, notes = _distance(along[order], steps)
    positions = np.array([slices[index].position for index in order])
    shift = _shift(positions, direction[:, 2], pixelSpacing)
    if shift.any():
        total = np.linalg.norm(shift) * len(steps)
        degrees = np.degrees(np.arctan2(np.linalg.norm(shift), distance))
        notes.append(
            f"the gantry was tilted by {degrees:.1f} degrees; the slices were shifted in their plane by up to"
            f" {total:.1f} mm, so that the volume is upright"
        )
    return Stack(tuple(order.tolist()), positions[0], direction, distance, shift, tuple(notes))


def checkAxes(one: Placed) -> None:
    """Refuse a slice without a plane.

    Raises:
        ValueError: Its axes are not perpendicular, or a number is not finite.
    """
    numbers = np.concatenate([one.position, one.rows, one.columns])
    lengths = np.linalg.norm([one.rows, one.columns], axis=1)
    if not np.isfinite(numbers).all() or np.abs(lengths - 1).max() > 0.01 or abs(one.rows @ one.columns) > 0.01:
        raise ValueError(
            f"{one.name} has axes that are not perpendicular (ImageOrientationPatient"
            f" {', '.join(f'{value:g}' for value in numbers[3:])}); correct its header, or export the series again."
        )


def upright(image: sitk.Image, stack: Stack) -> sitk.Image:
    """Undo the tilt of the gantry: each slice is shifted in its plane, and the grid grows by the shift.

    Args:
        image: The slices one above the other, as if nothing were tilted.
        stack: How they lie.
    """
    if not stack.shift.any():
        return image
    normal = stack.direction[:, 2]
    transform = sitk.AffineTransform(3)
    transform.SetCenter(stack.origin.tolist())
    transform.SetMatrix((np.eye(3) - np.outer(stack.shift, normal) / stack.distance).ravel().tolist())
    total = (stack.direction.T @ stack.shift)[:2] * (image.GetDepth() - 1) / image.GetSpacing()[:2]
    more = np.ceil(np.abs(total) - 1e-6).astype(int)
    first = [-int(count) if moved < 0 else 0 for count, moved in zip(more, total, strict=True)]
    reference = sitk.Image([*(np.add(image.GetSize()[:2], more)).tolist(), image.GetDepth()], sitk.sitkUInt8)
    reference.SetOrigin(image.TransformContinuousIndexToPhysicalPoint([*map(float, first), 0.0]))
    reference.SetSpacing(image.GetSpacing())
    reference.SetDirection(image.GetDirection())
    lowest = float(sitk.GetArrayViewFromImage(image).min())
    isColour = image.GetNumberOfComponentsPerPixel() > 1
    pixelType = image.GetPixelID() if isColour else sitk.sitkFloat32  # ITK cuts the fractions of whole numbers off.
    return sitk.Resample(image, reference, transform, sitk.sitkLinear, lowest, pixelType)


def _direction(slices: Sequence[Placed]) -> np.ndarray:
    for one in slices:
        checkAxes(one)
    first = slices[0]
    for one in slices[1:]:
        if max(np.abs(one.rows - first.rows).max(), np.abs(one.columns - first.columns).max()) > _SAME_AXES:
            raise ValueError(
                f"{first.name} and {one.name} are not parallel; give a folder with the slices of one orientation."
            )
    normal = np.cross(first.rows, first.columns)
    columns = np.cross(normal, first.rows)
    axes = np.column_stack([first.rows, columns, normal])
    return np.asarray(axes / np.linalg.norm(axes, axis=0))


def _checkDoubled(slices: Sequence[Placed], along: np.ndarray) -> None:
    """Refuse two slices of one place, with what tells them apart."""
    groups = np.split(np.arange(len(along)), np.flatnonzero(np.diff(along) > _SAME_MM) + 1)
    doubled = next((group for group in groups if len(group) > 1), None)
    if doubled is None:
        return
    several = [slices[index] for index in doubled]
    values = {name: sorted({dict(one.differs).get(name, "none") for one in several}) for name, _ in several[0].differs}
    differing = next((f"{name} {' and '.join(found)}" for name, found in values.items() if len(found) > 1), "nothing")
    counts = {len(group) for group in groups}
    if len(counts) == 1 and len(groups) > 1:
        raise ValueError(
            f"it has {len(doubled)} images of each of {len(groups)} places, such as time points or echoes, which differ"
            f" in {differing}; give a folder with one of them."
        )
    raise ValueError(
        f"it has {len(doubled)} images of one place, {several[0].name} and {several[1].name}, which differ in"
        f" {differing}; take out all but one."
    )


def _distance(along: np.ndarray, steps: np.ndarray) -> tuple[float, list[str]]:
    """The distance of the slices, mm, and notes."""
    usual = float(np.median(steps))
    multiples = np.rint(steps / usual)
    number = int(np.argmax(multiples))
    if multiples[number] > 1 and np.abs(steps - multiples * usual).max() <= max(_EVEN * usual, _SAME_MM):
        raise ValueError(
            f"slices are missing, {int(multiples.sum()) - len(steps)} of {int(multiples.sum()) + 1}, the most between"
            f" {along[number]:g} and {along[number + 1]:g} mm along the normal; the others are {usual:g} mm apart. Copy"
            " the series completely."
        )
    mean = float(along[-1] - along[0]) / len(steps)
    off = float(np.abs(along - along[0] - mean * np.arange(len(along))).max())
    varies = f"the distances of the slices vary from {steps.min():g} to {steps.max():g} mm"
    if off > max(_EVEN * mean, _SAME_MM):
        raise ValueError(f"{varies}; needed is one distance. Resample it, or give a part with one distance.")
    if off > _SAME_MM:
        return mean, [f"{varies}; they are read as {mean:.4g} mm, so a slice lies up to {off:.2g} mm off its place"]
    return mean, []


def _shift(positions: np.ndarray, normal: np.ndarray, pixelSpacing: float) -> np.ndarray:
    """``(3,)`` shift in the plane from slice to slice, LPS mm; 0 if it is too small to be seen."""
    inPlane = positions - np.outer(positions @ normal, normal)
    shift = (inPlane[-1] - inPlane[0]) / (len(positions) - 1)
    jumps = np.linalg.norm(inPlane - inPlane[0] - np.outer(np.arange(len(positions)), shift), axis=1)
    if jumps.max() > max(_TILT_PIXELS * pixelSpacing, _SAME_MM):
        raise ValueError(
            f"its slices jump sideways by up to {jumps.max():.2g} mm; give the slices of one scan, one above the other."
        )
    total = np.linalg.norm(shift) * (len(positions) - 1)
    return shift if total > max(_TILT_PIXELS * pixelSpacing, _SAME_MM) else np.zeros(3)
