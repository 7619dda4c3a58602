"""Pixels out of volumes and masks, and back into a volume node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .planes import SlicePlane, volumeSize

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709, as for sRGB.


@dataclass(frozen=True)
class SampledSlice:
    """What a plane shows of a volume.

    Attributes:
        pixels: ``(rows, columns)`` float32; outside the volume the lowest intensity inside.
        inside: ``(rows, columns)`` bool, where the volume is.
        notes: What was done to the image, in words.
    """

    pixels: np.ndarray
    inside: np.ndarray
    notes: tuple[str, ...]


def worldToLocal(parent: slicer.vtkMRMLTransformNode | None) -> vtk.vtkAbstractTransform:
    """From the world into the space below a transform node, through all its parents; a matrix where that is enough."""
    if parent is None:
        return vtk.vtkTransform()
    if parent.IsTransformToWorldLinear():
        matrix, linear = vtk.vtkMatrix4x4(), vtk.vtkTransform()
        parent.GetMatrixTransformFromWorld(matrix)
        linear.SetMatrix(matrix)
        return linear
    general = vtk.vtkGeneralTransform()
    parent.GetTransformFromWorld(general)
    return general


def sampleVolume(
    volumeNode: slicer.vtkMRMLVolumeNode, plane: SlicePlane, fromWorld: vtk.vtkAbstractTransform | None = None
) -> SampledSlice:
    """The pixels that a plane cuts out of a volume, by linear interpolation.

    Args:
        volumeNode: Scalar, or colour, which is turned into luminance.
        plane: Where.
        fromWorld: From the world to the RAS space of the volume; without it, through its parent transforms.

    Raises:
        ValueError: The volume is empty, not finite, a vector field, or does not meet the plane.
    """
    image, notes = _scalarImage(volumeNode)
    if fromWorld is None:
        fromWorld = worldToLocal(volumeNode.GetParentTransformNode())
    rasToIjk = vtk.vtkMatrix4x4()
    volumeNode.GetRASToIJKMatrix(rasToIjk)
    pixels = _reslice(image, plane, fromWorld, rasToIjk, linear=True)
    inside = ~np.isnan(pixels)
    if not inside.any():
        raise ValueError(
            f"The volume '{volumeNode.GetName()}' does not meet the {plane.name}; fixed and moving must overlap in"
            " space. Place one over the other with a transform first, or choose another slice."
        )
    return SampledSlice(np.where(inside, pixels, pixels[inside].min()), inside, notes)


def sampleStack(
    volumeNode: slicer.vtkMRMLVolumeNode, plane: SlicePlane, count: int, fromWorld: vtk.vtkAbstractTransform
) -> np.ndarray:
    """``(count, rows, columns)`` float32 of a plane and those that follow along its normal, as ``sampleVolume``.

    Raises:
        ValueError: As ``sampleVolume``, if none meets the volume.
    """
    image, _ = _scalarImage(volumeNode)
    rasToIjk = vtk.vtkMatrix4x4()
    volumeNode.GetRASToIJKMatrix(rasToIjk)
    pixels = _reslice(image, plane, fromWorld, rasToIjk, linear=True, count=count)
    inside = ~np.isnan(pixels)
    if not inside.any():
        raise ValueError(
            f"The volume '{volumeNode.GetName()}' does not meet the {plane.name}; fixed and moving must overlap in"
            " space. Place one over the other with a transform first, or choose other slices."
        )
    return np.where(inside, pixels, pixels[inside].min())


def sampleMask(
    maskNode: slicer.vtkMRMLNode,
    plane: SlicePlane,
    fromWorld: vtk.vtkAbstractTransform | None = None,
    count: int | None = None,
) -> np.ndarray:
    """Where a labelmap volume or any segment of a segmentation covers a plane, ``(rows, columns)`` bool.

    Args:
        maskNode: Labelmap volume or segmentation.
        plane: Where.
        fromWorld: As of ``sampleVolume``.
        count: Of planes, as of ``sampleStack``; the outcome is then ``(count, rows, columns)``.

    Raises:
        ValueError: Nothing is there, or a segmentation has no binary labelmap.
    """
    covered = np.zeros(plane.shape if count is None else (count, *plane.shape), dtype=bool)
    if fromWorld is None:
        fromWorld = worldToLocal(maskNode.GetParentTransformNode())
    for image, rasToIjk in _maskImages(maskNode):
        pixels = _reslice(image, plane, fromWorld, rasToIjk, linear=False, count=count)
        covered |= np.nan_to_num(pixels) > 0
    if not covered.any():
        where = f"the {plane.name}" if count is None else "any of the slices"
        raise ValueError(f"The mask '{maskNode.GetName()}' has no pixel on {where}; draw it there, or choose no mask.")
    return covered


def addVolume(
    scene: slicer.vtkMRMLScene, name: str, array: np.ndarray, ijkToRas: np.ndarray
) -> slicer.vtkMRMLScalarVolumeNode:
    """A volume node from voxels ``(K, J, I)``, or ``(K, J, I, components)`` for colour."""
    kind = "vtkMRMLVectorVolumeNode" if array.ndim == 4 else "vtkMRMLScalarVolumeNode"
    node = scene.AddNewNodeByClass(kind, name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    return node


def showAsVolume(
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    pixels: np.ndarray,
    plane: SlicePlane,
    like: slicer.vtkMRMLVolumeNode,
) -> None:
    """Fills a volume node with one slice of pixels, or several, displayed with the window of another volume."""
    slicer.util.updateVolumeFromArray(volumeNode, np.ascontiguousarray(pixels.reshape(-1, *plane.shape)))
    matrix = slicer.util.vtkMatrixFromArray(plane.ijkToRas)
    volumeNode.SetIJKToRASMatrix(matrix)
    volumeNode.SetAndObserveTransformNodeID(None)
    if volumeNode.GetDisplayNode() is None:
        volumeNode.CreateDefaultDisplayNodes()
    source, display = like.GetDisplayNode(), volumeNode.GetDisplayNode()
    if isinstance(source, slicer.vtkMRMLScalarVolumeDisplayNode):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(source.GetWindow(), source.GetLevel())


def _scalarImage(volumeNode: slicer.vtkMRMLVolumeNode) -> tuple[vtk.vtkImageData, tuple[str, ...]]:
    size = volumeSize(volumeNode)
    image, name = volumeNode.GetImageData(), volumeNode.GetName()
    array = vtk_to_numpy(image.GetPointData().GetScalars())
    if array.dtype.kind == "f" and not np.isfinite([array.min(), array.max()]).all():
        raise ValueError(
            f"The volume '{name}' has {np.count_nonzero(~np.isfinite(array))} voxels that are NaN or infinite;"
            " replace them (for example with the Simple Filters module) before the registration."
        )
    components = image.GetNumberOfScalarComponents()
    if components == 1:
        return image, ()
    if components not in (3, 4):
        raise ValueError(f"The volume '{name}' has {components} values a voxel; choose a scalar or colour volume.")
    grey = vtk.vtkImageData()
    grey.SetDimensions(size)
    grey.GetPointData().SetScalars(numpy_to_vtk((array[:, :3] @ _LUMINANCE).astype(np.float32), deep=True))
    return grey, (f"'{name}' is a colour image; its luminance was registered",)


def _maskImages(maskNode: slicer.vtkMRMLNode) -> list[tuple[vtk.vtkImageData, vtk.vtkMatrix4x4]]:
    """Images of a mask node with their matrices from its RAS space to voxel indices."""
    rasToIjk = vtk.vtkMatrix4x4()
    if isinstance(maskNode, slicer.vtkMRMLVolumeNode):
        volumeSize(maskNode)
        maskNode.GetRASToIJKMatrix(rasToIjk)
        return [(maskNode.GetImageData(), rasToIjk)]
    if not isinstance(maskNode, slicer.vtkMRMLSegmentationNode):
        raise ValueError(f"'{maskNode.GetName()}' is no mask; choose a segmentation or a labelmap volume.")
    images = []
    for segmentId in maskNode.GetSegmentation().GetSegmentIDs():
        labelmap = slicer.vtkOrientedImageData()
        if not maskNode.GetBinaryLabelmapRepresentation(segmentId, labelmap):
            raise ValueError(
                f"The segmentation '{maskNode.GetName()}' has no binary labelmap;"
                " create one in the Segmentations module."
            )
        if labelmap.IsEmpty():
            continue
        matrix = vtk.vtkMatrix4x4()
        labelmap.GetWorldToImageMatrix(matrix)
        images.append((_withoutGeometry(labelmap), matrix))
    return images


def _withoutGeometry(image: vtk.vtkImageData) -> vtk.vtkImageData:
    """The same voxels with their indices as positions; the extent need not start at 0."""
    plain = vtk.vtkImageData()
    plain.SetExtent(image.GetExtent())
    plain.GetPointData().SetScalars(image.GetPointData().GetScalars())
    return plain


def _reslice(
    image: vtk.vtkImageData,
    plane: SlicePlane,
    fromWorld: vtk.vtkAbstractTransform,
    rasToIjk: vtk.vtkMatrix4x4,
    linear: bool,
    count: int | None = None,
) -> np.ndarray:
    """``(rows, columns)`` or ``(count, rows, columns)`` float32 of an image that lies on its indices; NaN outside."""
    chain = vtk.vtkTransform() if isinstance(fromWorld, vtk.vtkTransform) else vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(slicer.util.vtkMatrixFromArray(plane.ijkToRas))
    chain.Concatenate(fromWorld)
    chain.Concatenate(rasToIjk)
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceTransform(chain)
    reslice.TransformInputSamplingOff()
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(0, plane.shape[1] - 1, 0, plane.shape[0] - 1, 0, (count or 1) - 1)
    reslice.SetOutputScalarType(vtk.VTK_FLOAT)
    reslice.SetBackgroundLevel(float("nan"))
    reslice.SetInterpolationModeToLinear() if linear else reslice.SetInterpolationModeToNearestNeighbor()
    reslice.Update()
    shape = plane.shape if count is None else (count, *plane.shape)
    return vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars()).reshape(shape).copy()
