"""A slice that was taken out of a volume, and deformed, is found again."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from scipy.ndimage import gaussian_filter, map_coordinates, zoom
from scipy.spatial.transform import Rotation

from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.registration.slice_search import findSlice
from UnsupervisedRegistrationLib.scene.registration_options import RegistrationOptions

ALONE = RegistrationOptions(preset="fast", prealignment="none", device="cpu", model="any-contrast")
MM = 1e-6
SPACING = np.diag([1.5, 1.5, 4.0, 1.0])


@pytest.fixture(scope="module")
def voxels():
    """Structures that change from slice to slice, ``(12, 72, 64)``."""
    texture = gaussian_filter(np.random.default_rng(2).standard_normal((12, 72, 64)), (1.0, 4, 4))
    rows, columns = np.indices((72, 64))
    body = ((rows - 35.5) / 32) ** 2 + ((columns - 31.5) / 26) ** 2 < 1
    return (body * (100 + 40 * texture / texture.std())).astype(np.float32)


def deformed(pixels):
    """Moved by up to 2 pixels, smoothly."""
    field = gaussian_filter(np.random.default_rng(5).standard_normal((2, *pixels.shape)), (0, 10, 10))
    rows, columns = np.indices(pixels.shape) + 2 * field / np.abs(field).max()
    return map_coordinates(pixels, [rows, columns], order=1, mode="nearest").astype(np.float32)


def matrixOf(volume):
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


@pytest.mark.parametrize("index", [2, 9])
@pytest.mark.parametrize("rotation", [[0, 0, 0], [25, -10, 40]])
def test_the_slice_and_its_place_are_found(scene, voxels, index, rotation):
    toRas = np.eye(4)
    toRas[:3, :3] = Rotation.from_euler("xyz", rotation, degrees=True).as_matrix()
    toRas = toRas @ SPACING
    volume = addVolume(scene, "volume", voxels, toRas)
    elsewhere = toRas.copy()
    elsewhere[:3, 3] += toRas[:3, 2] * 4.5  # The file says that it lies between slices 4 and 5.
    given = addVolume(scene, "given", deformed(voxels[index])[None], elsewhere)
    search = findSlice(given, volume, None, ALONE)
    assert search.indices[search.best] == index
    assert len(search.similarity) == len(voxels)
    found = search.matrix @ matrixOf(given) @ [10, 20, 0, 1]
    np.testing.assert_allclose(found, toRas @ [10, 20, index, 1], atol=MM)


@pytest.mark.parametrize("orientation", ["axial", "coronal", "sagittal"])
def test_a_picture_without_position_is_placed_centre_on_centre(scene, voxels, orientation):
    isotropic = zoom(voxels, (4, 1, 1), order=1)
    volume = addVolume(scene, "volume", isotropic, np.diag([1.5, 1.5, 1.5, 1.0]))
    axis = ["axial", "coronal", "sagittal"].index(orientation)
    index = isotropic.shape[axis] // 3
    given = addVolume(scene, "picture", isotropic.take(index, axis)[None], np.diag([1.5, 1.5, 1.0, 1.0]))
    given.SetOrigin(500, 500, 500)
    search = findSlice(given, volume, orientation, ALONE)
    assert search.indices[search.best] == index
    found = (search.matrix @ matrixOf(given) @ [3, 5, 0, 1])[:3]
    np.testing.assert_allclose(found, planeFromIndex(volume, orientation, index).ijkToRas[:3] @ [3, 5, 0, 1], atol=MM)


def test_a_slice_that_was_turned_is_aligned_in_its_plane(scene, voxels):
    volume = addVolume(scene, "volume", voxels, SPACING)
    given = addVolume(scene, "given", voxels[7][None], SPACING)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", 12, degrees=True).as_matrix()
    centre = (SPACING @ [31.5, 35.5, 0, 1])[:3]
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    given.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(turn @ SPACING))
    options = RegistrationOptions(preset="fast", prealignment="rigid", device="cpu", model="any-contrast")
    search = findSlice(given, volume, None, options)
    assert search.indices[search.best] == 7
    found = (search.matrix @ turn @ SPACING @ [10, 20, 0, 1])[:3]
    np.testing.assert_allclose(found, (SPACING @ [10, 20, 7, 1])[:3], atol=1.0)  # Pre-alignment: 0.5 pixels of 1.5 mm.


def test_a_slice_that_is_oblique_to_the_volume_has_no_index(scene, voxels):
    volume = addVolume(scene, "volume", voxels, SPACING)
    tilted = np.eye(4)
    tilted[:3, :3] = Rotation.from_euler("x", 10, degrees=True).as_matrix()
    given = addVolume(scene, "given", voxels[5][None], tilted @ SPACING)
    search = findSlice(given, volume, None, ALONE)
    assert search.indices is None
    assert "mm along the normal" in search.name


def test_empty_slices_are_left_out(scene, voxels):
    padded = voxels.copy()
    padded[:3] = 0
    volume = addVolume(scene, "volume", padded, SPACING)
    search = findSlice(addVolume(scene, "given", voxels[6][None], SPACING), volume, None, ALONE)
    assert np.isnan(search.similarity[:3]).all()
    assert search.best == 6


def test_a_slice_far_from_the_volume_is_refused(scene, voxels):
    volume = addVolume(scene, "volume", voxels, SPACING)
    given = addVolume(scene, "given", voxels[6][None], SPACING)
    given.SetOrigin(900, 0, 0)
    with pytest.raises(ValueError, match="do not overlap in space; choose the orientation of the slices with --plane"):
        findSlice(given, volume, None, ALONE)


def test_a_volume_of_one_slice_is_refused(scene, voxels):
    volume = addVolume(scene, "volume", voxels[:1], SPACING)
    given = addVolume(scene, "given", voxels[6][None], SPACING)
    with pytest.raises(ValueError, match="'volume' has a single slice parallel to the given one"):
        findSlice(given, volume, None, ALONE)
