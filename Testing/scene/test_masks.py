"""Masks drawn as labelmaps or segmentations, on the pixels of a plane."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex, shiftedPlane
from UnsupervisedRegistrationLib.scene.geometry.sampling import sampleMask
from UnsupervisedRegistrationLib.scene.geometry.volumes import addVolume

KINDS = pytest.mark.parametrize("kind", ["labelmap", "segmentation"])
SHAPE = (5, 20, 24)


def blocks():
    """Two labels, the first on slices 1 to 3, the second on slice 3 alone."""
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[1:4, 4:9, 10:20] = 1
    voxels[3, 12:18, 2:8] = 2
    return voxels


@pytest.fixture
def makeMask(scene):
    def make(kind, voxels, ijkToRas):
        return {"labelmap": addLabelmap, "segmentation": addSegmentation}[kind](scene, voxels, ijkToRas)

    return make


def addLabelmap(scene, voxels, ijkToRas):
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    return node


def addSegmentation(scene, voxels, ijkToRas):
    """A segment for every label, cut to its extent as Slicer's editor does."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mask")
    for label in np.unique(voxels[voxels > 0]):
        k, j, i = (np.flatnonzero((voxels == label).any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
        part = (voxels == label)[k[0] : k[-1] + 1, j[0] : j[-1] + 1, i[0] : i[-1] + 1].astype(np.uint8)
        image = slicer.vtkOrientedImageData()
        image.SetExtent(i[0], i[-1], j[0], j[-1], k[0], k[-1])
        image.GetPointData().SetScalars(numpy_to_vtk(part.ravel(), deep=True))
        image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
        node.AddSegmentFromBinaryLabelmapRepresentation(image, f"Label {label}")
    return node


@KINDS
@pytest.mark.parametrize("index", [1, 2, 3])
def test_a_mask_covers_the_pixels_of_its_voxels(scene, makeMask, orientation, kind, index):
    volume = addVolume(scene, "Volume", np.zeros(SHAPE, np.int16), orientation.ijkToRas)
    mask = makeMask(kind, blocks(), orientation.ijkToRas)
    name = next(name for name, axis in orientation.normalAxis.items() if axis == 2)
    np.testing.assert_array_equal(sampleMask(mask, planeFromIndex(volume, name, index)), blocks()[index] > 0)


@KINDS
def test_a_mask_moves_with_its_linear_parent(scene, makeMask, makeParent, oblique, kind):
    volume = addVolume(scene, "Volume", np.zeros(SHAPE, np.int16), oblique.ijkToRas)
    mask = makeMask(kind, blocks(), oblique.ijkToRas)
    for node in (volume, mask):
        node.SetAndObserveTransformNodeID(makeParent("linear").GetID())
    np.testing.assert_array_equal(sampleMask(mask, planeFromIndex(volume, "axial", 3)), blocks()[3] > 0)


@KINDS
def test_a_parent_moves_the_mask_over_the_volume(scene, makeMask, oblique, kind):
    volume = addVolume(scene, "Volume", np.zeros(SHAPE, np.int16), oblique.ijkToRas)
    mask = makeMask(kind, blocks(), oblique.ijkToRas)
    parent = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Shift")
    shift = vtk.vtkTransform()
    shift.Translate(2 * oblique.ijkToRas[:3, 0])
    parent.SetAndObserveTransformToParent(shift)
    mask.SetAndObserveTransformNodeID(parent.GetID())
    covered = sampleMask(mask, planeFromIndex(volume, "axial", 3))
    np.testing.assert_array_equal(covered[:, 2:], (blocks()[3] > 0)[:, :-2])


@KINDS
def test_a_curved_parent_moves_the_mask(scene, makeMask, makeParent, pixelPositions, oblique, kind):
    mask, parent = makeMask(kind, blocks(), oblique.ijkToRas), makeParent("grid")
    plane = planeFromIndex(addVolume(scene, "Volume", np.zeros(SHAPE, np.int16), oblique.ijkToRas), "axial", 2)
    mask.SetAndObserveTransformNodeID(parent.GetID())
    rasToIjk = np.linalg.inv(oblique.ijkToRas)
    expected = np.zeros(SHAPE[1:], bool)
    for (row, column), _ in np.ndenumerate(expected):
        point = parent.GetTransformFromParent().TransformPoint(pixelPositions(plane)[row, column])
        kji = tuple(np.rint((rasToIjk @ [*point, 1])[2::-1]).astype(int))
        expected[row, column] = all(0 <= n < size for n, size in zip(kji, SHAPE, strict=True)) and blocks()[kji] > 0
    np.testing.assert_array_equal(sampleMask(mask, plane), expected)


@KINDS
def test_a_mask_that_misses_the_slice_is_refused(scene, makeMask, oblique, kind):
    volume = addVolume(scene, "Volume", np.zeros(SHAPE, np.int16), oblique.ijkToRas)
    with pytest.raises(ValueError, match="'Mask' has no pixel on the axial slice 0; draw it there"):
        sampleMask(makeMask(kind, blocks(), oblique.ijkToRas), planeFromIndex(volume, "axial", 0))


def test_a_mask_far_away_is_refused(scene, makeMask, oblique):
    plane = planeFromIndex(addVolume(scene, "Volume", np.zeros(SHAPE, np.int16), oblique.ijkToRas))
    with pytest.raises(ValueError, match="has no pixel"):
        sampleMask(makeMask("labelmap", blocks(), oblique.ijkToRas), shiftedPlane(plane, np.array([0, 0, 400.0])))


def test_an_empty_segment_is_ignored(scene, makeMask, oblique):
    volume = addVolume(scene, "Volume", np.zeros(SHAPE, np.int16), oblique.ijkToRas)
    mask = makeMask("segmentation", blocks(), oblique.ijkToRas)
    mask.AddSegmentFromBinaryLabelmapRepresentation(slicer.vtkOrientedImageData(), "Nothing")
    np.testing.assert_array_equal(sampleMask(mask, planeFromIndex(volume, "axial", 2)), blocks()[2] > 0)


def test_a_segmentation_without_segments_is_refused(scene, makeVolume, oblique):
    plane = planeFromIndex(makeVolume(oblique.ijkToRas))
    with pytest.raises(ValueError, match="'Nothing' has no pixel"):
        sampleMask(scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nothing"), plane)


def test_a_segmentation_of_surfaces_alone_is_refused(scene, makeVolume, oblique):
    plane = planeFromIndex(makeVolume(oblique.ijkToRas))
    mask = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Surface")
    segment, sphere = slicer.vtkSegment(), vtk.vtkSphereSource()
    segment.SetName("Sphere")
    sphere.Update()
    segment.AddRepresentation("Closed surface", sphere.GetOutput())
    mask.GetSegmentation().SetSourceRepresentationName("Closed surface")
    mask.GetSegmentation().AddSegment(segment)
    with pytest.raises(ValueError, match="'Surface' has no binary labelmap; create one in the Segmentations module"):
        sampleMask(mask, plane)


def test_a_node_that_is_no_mask_is_refused(scene, makeVolume, oblique):
    plane = planeFromIndex(makeVolume(oblique.ijkToRas))
    with pytest.raises(ValueError, match="'Points' is no mask; choose a segmentation or a labelmap volume"):
        sampleMask(scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Points"), plane)
