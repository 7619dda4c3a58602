"""Transforms of ``register`` warp alike in SimpleITK, nibabel with SciPy, and Slicer, however the slice lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.readers import readTransform, readVolume
from UnsupervisedRegistrationLib.scene.geometry.transforms import mapPoints

SHARE = 1e-3  # Of the range of intensities.
BACK_MM = 0.05
EDGE = 4  # Pixels; at the border of the volume the programs extrapolate differently.
OBLIQUE = Rotation.from_euler("xyz", [20, -15, 35], degrees=True).as_matrix()
LYING = {
    "axial": ("axial", np.eye(3)),
    "coronal": ("coronal", np.eye(3)),
    "sagittal": ("sagittal", np.eye(3)),
    "oblique": ("axial", OBLIQUE),
}


@dataclass(frozen=True)
class Registered:
    """The folder of a run, its moving volume, and the positions of the pixels of its warped slice, LPS mm."""

    folder: Path
    moving: sitk.Image
    positions: np.ndarray


@pytest.fixture(scope="module", params=LYING)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Registered:
    plane, direction = LYING[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    noise = gaussian_filter(np.random.default_rng(1).standard_normal((48, 56, 52)), 5)
    blobs = (1000 * (noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    for name, voxels in (("fixed", blobs[:, 2:-2, 2:-2]), ("moving", blobs[:, 1:-3, 3:-1])):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((1.1, 0.9, 1.3))
        image.SetOrigin((-20, 15, 30))
        image.SetDirection(direction.ravel())
        sitk.WriteImage(image, str(folder / f"{name}.nrrd"))
    arguments = [
        "register", str(folder / "fixed.nrrd"), str(folder / "moving.nrrd"), "--output", str(folder / "out"),
        "--plane", plane, "--preset", "fast", "--model", "any-contrast", "--device", "cpu", "--prealignment", "none",
        "--write", "transform,inverse,warped,displacement.nii.gz",
    ]  # fmt: skip
    assert main(arguments) in (0, 3)
    warped = sitk.ReadImage(str(folder / "out" / "warped.nrrd"))
    indices = np.moveaxis(np.indices(warped.GetSize()[::-1])[::-1], 0, -1)
    axes = np.reshape(warped.GetDirection(), (3, 3)) * warped.GetSpacing()
    positions = indices @ axes.T + warped.GetOrigin()
    return Registered(folder / "out", sitk.ReadImage(str(folder / "moving.nrrd")), positions)


def inner(pixels: np.ndarray) -> np.ndarray:
    """Without the border of the slice, whichever axis it has one pixel along."""
    return pixels[tuple(slice(EDGE, -EDGE) if size > 1 else slice(None) for size in pixels.shape[:3])]


def warpedBy(done: Registered, mapped: np.ndarray) -> np.ndarray:
    """The moving image at positions ``(.., 3)`` LPS mm, by SciPy."""
    axes = np.reshape(done.moving.GetDirection(), (3, 3)) * done.moving.GetSpacing()
    indices = (mapped - done.moving.GetOrigin()) @ np.linalg.inv(axes).T
    return np.asarray(
        map_coordinates(
            sitk.GetArrayFromImage(done.moving), np.moveaxis(indices[..., ::-1], -1, 0), order=1, mode="nearest"
        )
    )


def check(done: Registered, found: np.ndarray) -> None:
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(done.folder / "warped.nrrd")))
    np.testing.assert_allclose(inner(found), inner(expected), atol=SHARE * np.ptp(expected))


def bySimpleItk(path: Path, points: np.ndarray) -> np.ndarray:
    transform = sitk.ReadTransform(str(path))
    return np.array([transform.TransformPoint(point) for point in points.reshape(-1, 3)]).reshape(points.shape)


def bySlicer(path: Path, points: np.ndarray) -> np.ndarray:
    transform = readTransform(slicer.vtkMRMLScene(), path).GetTransformFromParent()
    return mapPoints(transform, points.reshape(-1, 3) * [-1, -1, 1]).reshape(points.shape) * [-1, -1, 1]


def byNibabel(path: Path, points: np.ndarray) -> np.ndarray:
    """A displacement image as nibabel reads it: a RAS matrix, and vectors in LPS as ITK defines them."""
    image = nibabel.load(path)
    vectors = image.get_fdata()[:, :, :, 0]
    indices = (points * [-1, -1, 1] - image.affine[:3, 3]) @ np.linalg.inv(image.affine[:3, :3]).T
    places = np.moveaxis(indices, -1, 0)
    moved = [map_coordinates(vectors[..., part], places, order=1, mode="nearest") for part in range(3)]
    return points + np.stack(moved, axis=-1)


def test_simpleitk_resamples_as_the_warped_slice(done):
    reference = sitk.ReadImage(str(done.folder / "warped.nrrd"))
    transform = sitk.ReadTransform(str(done.folder / "transform.h5"))
    check(done, sitk.GetArrayFromImage(sitk.Resample(done.moving, reference, transform)))


@pytest.mark.parametrize(
    ("read", "name"),
    [(bySlicer, "transform.h5"), (bySlicer, "displacement.nii.gz"), (byNibabel, "displacement.nii.gz")],
)
def test_slicer_and_nibabel_warp_alike(done, read, name):
    check(done, warpedBy(done, read(done.folder / name, done.positions)))


@pytest.mark.parametrize("read", [bySimpleItk, bySlicer])
def test_points_come_back_by_the_inverse(done, read):
    points = inner(done.positions)
    moved = read(done.folder / "transform.h5", points)
    back = read(done.folder / "inverse.h5", moved)
    assert np.linalg.norm(moved - points, axis=-1).max() > 1
    assert np.percentile(np.linalg.norm(back - points, axis=-1), 99) <= BACK_MM


def test_slicer_shows_the_warped_slice_where_the_fixed_one_lies(done):
    volume = readVolume(slicer.vtkMRMLScene(), done.folder / "warped.nrrd")
    np.testing.assert_allclose(np.array(volume.GetOrigin()) * [-1, -1, 1], done.positions[0, 0, 0], atol=1e-3)
