"""The automatic mask as a labelmap on the voxels of its volume."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume
from UnsupervisedRegistrationLib.scene.registration.foreground_mask import addForeground


def ball(shape=(6, 60, 60)):
    """A cylinder of bright texture across the slices."""
    rows, columns = np.indices(shape[1:])
    inside = (rows - 30) ** 2 + (columns - 25) ** 2 < 18**2
    return (inside * np.random.default_rng(0).uniform(100, 200, shape)).astype(np.float32), inside


def test_the_mask_has_the_voxels_of_the_volume(orientation):
    scene, (voxels, inside) = slicer.vtkMRMLScene(), ball()
    volume = addVolume(scene, "Head", voxels, orientation.ijkToRas)
    mask = addForeground(volume)
    matrix = vtk.vtkMatrix4x4()
    mask.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), orientation.ijkToRas, atol=1e-9)
    found = slicer.util.arrayFromVolume(mask)
    assert found.dtype == np.uint8
    assert (found != inside).mean() < 0.02  # Pixels of the border.


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_normal_to_the_shortest_axis(axis):
    scene, (voxels, inside) = slicer.vtkMRMLScene(), ball()
    volume = addVolume(scene, "Head", np.moveaxis(voxels, 0, axis), np.eye(4))
    found = np.moveaxis(slicer.util.arrayFromVolume(addForeground(volume)), axis, 0)
    assert (found != inside).mean() < 0.02


def test_the_mask_moves_with_the_volume_and_colours_are_accepted():
    scene = slicer.vtkMRMLScene()
    voxels, _ = ball()
    volume = addVolume(scene, "Slide", np.stack([voxels] * 3, axis=-1), np.eye(4))
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    mask = addForeground(volume)
    assert mask.GetTransformNodeID() == transform.GetID()
    assert slicer.util.arrayFromVolume(mask).any()


def test_a_constant_volume_has_no_foreground():
    scene = slicer.vtkMRMLScene()
    volume = addVolume(scene, "Flat", np.full((3, 40, 40), 7, np.float32), np.eye(4))
    with pytest.raises(ValueError, match="'Flat' has no foreground: "):
        addForeground(volume)
