"""Small input files for the command, with a known relation between fixed and moving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from scipy.ndimage import gaussian_filter

from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks

SHIFT = (6.0, -4.0, 0.0)  # RAS mm from where the moving image belongs to where its file says it is.
SLICES_MM = 3.0
POINTS = {"nose": (-20.0, -15.0, 6.0), "chin": (-40.0, -30.0, 6.0)}  # On slice 2 of the fixed image.


def writeFiles(folder: Path) -> SimpleNamespace:
    """The moving volume is the fixed one, one slice further up in the file, and shifted by ``SHIFT``.

    The initial transform takes the shift back; the landmarks of the moving file lie on the same structures.
    """
    noise = gaussian_filter(np.random.default_rng(1).standard_normal((6, 64, 64)), (0, 2, 2))
    voxels = (1000 * (noise - noise.min()) / np.ptp(noise)).astype(np.int16)
    mask = np.zeros((5, 64, 64), np.uint8)
    mask[:, 10:50, 10:50] = 1
    files = {
        "fixed": _write(voxels[1:], folder / "fixed.nii.gz"),
        "moving": _write(voxels[:-1], folder / "moving.nrrd", SHIFT),
        "mask": _write(mask, folder / "mask.nrrd"),
        "initial": folder / "initial.tfm",
        "fixedLandmarks": writeLandmarks(folder / "F.mrk.json", POINTS),
        "movingLandmarks": writeLandmarks(
            folder / "M.mrk.json", {k: tuple(np.sum([v, SHIFT, (0, 0, SLICES_MM)], axis=0)) for k, v in POINTS.items()}
        ),
    }
    transform = sitk.AffineTransform(3)  # From the fixed to the moving image, LPS.
    transform.SetTranslation((-SHIFT[0], -SHIFT[1], SHIFT[2]))
    sitk.WriteTransform(transform, str(files["initial"]))
    return SimpleNamespace(**files)


def _write(voxels: np.ndarray, path: Path, shift: tuple[float, float, float] = (0, 0, 0)) -> Path:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1, 1, SLICES_MM))
    image.SetOrigin((-shift[0], -shift[1], shift[2]))
    sitk.WriteImage(image, str(path))
    return path


def writeLandmarks(path: Path, points: dict[str, tuple[float, float, float]]) -> Path:
    scene, storage = slicer.vtkMRMLScene(), slicer.vtkMRMLMarkupsJsonStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(addLandmarks(scene, path.name.split(".")[0], points))
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    return writeFiles(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def landmarkFile(tmp_path: Path) -> Callable[..., Path]:
    """A point list with the given labels."""
    return lambda *labels: writeLandmarks(tmp_path / "L.mrk.json", dict.fromkeys(labels, (0.0, 0.0, 0.0)))
