"""Reading, sampling and writing are exact for volumes that are mirrored, turned by quarters or shifted by voxels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import slicer.util
from hypothesis import given
from hypothesis import strategies as st
from test_random_files import QUICK

from UnsupervisedRegistrationLib.headless.output_files import saveNode
from UnsupervisedRegistrationLib.headless.readers import readVolume
from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.geometry.sampling import sampleVolume

VOXELS = np.random.default_rng(0).integers(-500, 500, (4, 5, 6)).astype(np.int16)
axes = st.tuples(st.permutations(range(3)), st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
origins = st.tuples(*[st.integers(-50, 50)] * 3)
shifts = st.tuples(*[st.integers(-1, 1)] * 3)


def written(path, order, signs, origin):
    """The voxels along permuted and mirrored axes of 2 mm."""
    image = sitk.GetImageFromArray(VOXELS)
    image.SetDirection((np.eye(3)[:, list(order)] * signs).ravel().tolist())
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin([float(value) for value in origin])
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
@QUICK
@given(axes=axes, origin=origins)
def test_a_volume_is_read_and_written_bit_for_bit(tmp_path, ending, axes, origin):
    written(tmp_path / f"a.{ending}", *axes, origin)
    volume = readVolume(slicer.vtkMRMLScene(), tmp_path / f"a.{ending}")
    saveNode(slicer.vtkMRMLVolumeArchetypeStorageNode(), volume, tmp_path / f"b.{ending}")
    first, second = (sitk.ReadImage(str(tmp_path / f"{name}.{ending}")) for name in "ab")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(second), VOXELS)
    for get in ("GetOrigin", "GetSpacing", "GetDirection"):
        np.testing.assert_allclose(getattr(second, get)(), getattr(first, get)(), atol=1e-5)


@pytest.mark.parametrize("name", ["axial", "sagittal", "coronal"])
@QUICK
@given(axes=axes, origin=origins, shift=shifts)
def test_a_plane_through_voxels_takes_them_as_they_are(tmp_path, name, axes, origin, shift):
    written(tmp_path / "a.nrrd", *axes, origin)
    scene = slicer.vtkMRMLScene()
    fixed = readVolume(scene, tmp_path / "a.nrrd")
    written(tmp_path / "b.nrrd", *axes, np.add(origin, np.multiply(shift, 2)))
    moving = readVolume(scene, tmp_path / "b.nrrd")
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    moving.GetRASToIJKMatrix(matrix)
    plane = planeFromIndex(fixed, name)
    sampled = sampleVolume(moving, plane)
    for row, column in itertools.product(*map(range, plane.shape)):
        index = slicer.util.arrayFromVTKMatrix(matrix) @ plane.ijkToRas @ [column, row, 0, 1]
        i, j, k = np.rint(index[:3]).astype(int)
        if sampled.inside[row, column]:
            assert sampled.pixels[row, column] == VOXELS[k, j, i]
        else:
            assert not all(0 <= place < size for place, size in zip((k, j, i), VOXELS.shape, strict=True))
