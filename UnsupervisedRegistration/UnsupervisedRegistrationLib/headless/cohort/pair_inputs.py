"""The files of a pair as nodes of a scene."""

from __future__ import annotations

import csv
import typing
from pathlib import Path

import numpy as np
import slicer

from ...scene.geometry.planes import Orientation, SlicePlane, ijkToWorld, normalAxis, planeFromIndex, volumeSize
from ...scene.landmarks.markups import addLandmarks
from ..readers import readLandmarks, readMask, readVolume
from ..session import Inputs, newScene
from .pair_table import CohortPair


def readPairInputs(pair: CohortPair) -> Inputs:
    """Read the files of a pair into a new scene.

    Raises:
        OSError: A file is missing or cannot be opened.
        ValueError: A file or the slice is not usable.
    """
    scene = newScene()
    fixed, moving = readVolume(scene, pair.fixed), readVolume(scene, pair.moving)
    index = _sliceIndex(fixed, pair.slice)
    return Inputs(
        fixed,
        moving,
        _slicePlane(fixed, index),
        mask=pair.fixedMask and readMask(scene, pair.fixedMask),
        movingMask=pair.movingMask and readMask(scene, pair.movingMask),
        fixedLandmarks=pair.fixedLandmarks and _landmarks(pair.fixedLandmarks, fixed, index),
        movingLandmarks=pair.movingLandmarks and _landmarks(pair.movingLandmarks, moving, index),
    )


def _sliceIndex(volume: slicer.vtkMRMLVolumeNode, index: int | None) -> int:
    size = volumeSize(volume)
    count = 1 if 1 in size else size[2]
    return count // 2 if index is None else index


def _slicePlane(volume: slicer.vtkMRMLVolumeNode, index: int) -> SlicePlane:
    """The plane of a slice along the first array axis, as the file stores it; of a single slice, its plane."""
    if 1 in volumeSize(volume):
        return planeFromIndex(volume, None, index)
    for orientation in typing.get_args(Orientation):
        if normalAxis(volume, orientation) == 2:
            return planeFromIndex(volume, orientation, index)
    raise ValueError(f"The axes of '{volume.GetName()}' have no orientation; check its header.")


def _landmarks(path: Path, volume: slicer.vtkMRMLVolumeNode, index: int) -> slicer.vtkMRMLMarkupsFiducialNode:
    """A point list of Slicer, or the pixels in a CSV file; the labels are then the numbers of the rows."""
    if path.suffix.lower() == ".json":
        return readLandmarks(volume.GetScene(), path)
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = [{(name or "").strip().upper(): value for name, value in row.items()} for row in csv.DictReader(stream)]
    if not rows or not {"X", "Y"} <= rows[0].keys():
        raise ValueError(f"'{path}' needs the columns X and Y, in pixels, and at least one row.")
    slices = volumeSize(volume)[2]
    try:
        pixels = [[float(row["X"]), float(row["Y"]), float(row.get("Z") or min(index, slices - 1))] for row in rows]
    except (TypeError, ValueError) as error:
        raise ValueError(f"'{path}' has a row without a number in X, Y or Z; pixels are needed.") from error
    if not np.isfinite(pixels).all():
        raise ValueError(f"'{path}' has a position that is NaN or infinite; take the row out.")
    world = np.column_stack([pixels, np.ones(len(pixels))]) @ ijkToWorld(volume).T
    positions = {str(number): tuple(point[:3].tolist()) for number, point in enumerate(world, start=1)}
    return addLandmarks(volume.GetScene(), path.name.split(".")[0], positions)
