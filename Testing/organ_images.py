"""Two organs in a body, with a texture, and landmarks on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
from scipy.ndimage import gaussian_filter

from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks

SIZE = (44, 48, 24)
SPACING = (2.0, 2.0, 3.0)
LPS = np.array([-1.0, -1.0, 1.0])
_CENTRES = {1: (14, 18, 12), 2: (30, 30, 11)}  # Voxels.


def organs() -> tuple[sitk.Image, sitk.Image]:
    """A body with two spheres of 12 mm, and their labels."""
    k, j, i = np.indices(SIZE[::-1])
    noise = gaussian_filter(np.random.default_rng(1).standard_normal(SIZE[::-1]), 1)
    body = ((i - 21.5) / 19) ** 2 + ((j - 23.5) / 21) ** 2 < 1
    labels = np.zeros(SIZE[::-1], np.uint8)
    for label, centre in _CENTRES.items():
        distance = [(a - c) * s for a, c, s in zip((i, j, k), centre, SPACING, strict=True)]
        labels[np.linalg.norm(distance, axis=0) < 12] = label
    voxels = body * (300.0 + 120.0 * labels + 150 * noise / noise.std())
    return _image(voxels.astype(np.float32)), _image(labels)


def _image(voxels: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING)
    return image


def writeLandmarkPair(folder: Path, transform: sitk.Transform) -> dict[str, Path]:
    """Four fixed points, and where a transform from fixed to moving maps them; the files are in RAS."""
    fixed = {str(n): np.array(p, float) for n, p in enumerate([(28, 36, 36), (60, 60, 33), (40, 50, 30), (50, 30, 40)])}
    moving = {label: np.array(transform.TransformPoint(point.tolist())) for label, point in fixed.items()}
    return {
        f"{side}Landmarks": _writePoints(folder / f"{side}.mrk.json", {k: tuple(LPS * p) for k, p in points.items()})
        for side, points in (("fixed", fixed), ("moving", moving))
    }


def _writePoints(path: Path, points: dict[str, tuple[float, ...]]) -> Path:
    scene, storage = slicer.vtkMRMLScene(), slicer.vtkMRMLMarkupsJsonStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(addLandmarks(scene, path.name.split(".")[0], points))
    return path
