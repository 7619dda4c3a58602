"""Pixels of a slice plane, sampled from volumes and masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..geometry.transforms import worldToLocal
from .planes import SlicePlane, volumeSize

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # ITU-R BT.709, as for sRGB.
_OUTSIDE = np.finfo(np.float32).max  # No intensity; NaN is none either, but may be in a volume.


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


def sampleVolume(
    volumeNode: slicer.vtkMRMLVolumeNode, plane: SlicePlane, fromWorld: vtk.vtkAbstractTransform | None = None
) -> SampledSlice:
    """The pixels that a plane cuts out of a volume, by linear interpolation.

    Args:
        volumeNode: Scalar, or colour, which is turned into luminance.
        plane: Where.
        fromWorld: From the world to the RAS space of the volume; without it, through its parent transforms.

    Raises:
        ValueError: The volume is empty, not finite there, a vector field, or does not meet the plane.
    """
    if fromWorld is None:
        fromWorld = worldToLocal(volumeNode.GetParentTransformNode())
    pixels, inside, notes = _sampled(volumeNode, plane, fromWorld)
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
    pixels, inside, _ = _sampled(volumeNode, plane, fromWorld, count)
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
        covered |= (pixels > 0) & (pixels != _OUTSIDE)
    if not covered.any():
        where = f"the {plane.name}" if count is None else "any of the slices"
        raise ValueError(f"The mask '{maskNode.GetName()}' has no pixel on {where}; draw it there, or choose no mask.")
    return covered


def _sampled(
    volumeNode: slicer.vtkMRMLVolumeNode,
    plane: SlicePlane,
    fromWorld: vtk.vtkAbstractTransform,
    count: int | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Pixels of one plane or several, where the volume is, and what was done to it; see ``sampleVolume``."""
    volumeSize(volumeNode)
    image, name, rasToIjk = volumeNode.GetImageData(), volumeNode.GetName(), vtk.vtkMatrix4x4()
    components = image.GetNumberOfScalarComponents()
    if components not in (1, 3, 4):
        raise ValueError(f"The volume '{name}' has {components} values a voxel; choose a scalar or colour volume.")
    volumeNode.GetRASToIJKMatrix(rasToIjk)
    pixels = _reslice(image, plane, fromWorld, rasToIjk, linear=True, count=count)
    inside, notes = (pixels if components == 1 else pixels[..., 0]) != _OUTSIDE, ()
    if components > 1:
        pixels, notes = pixels[..., :3] @ _LUMINANCE, (f"'{name}' is a colour image; its luminance was registered",)
    if not np.isfinite(pixels).all():
        bad = np.count_nonzero(~np.isfinite(vtk_to_numpy(image.GetPointData().GetScalars())))
        raise ValueError(
            f"The volume '{name}' has {bad} voxels that are NaN or infinite, some of them on the {plane.name};"
            " replace them (for example with the Simple Filters module) before the registration."
        )
    return pixels, inside, notes


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
    """``(rows, columns)`` or ``(count, rows, columns)`` float32 of an image that lies on its indices.

    An image of several components gives as many along a last axis. Outside it all are ``_OUTSIDE``.
    """
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
    reslice.SetBackgroundColor(*[float(_OUTSIDE)] * 4)
    reslice.SetInterpolationModeToLinear() if linear else reslice.SetInterpolationModeToNearestNeighbor()
    reslice.Update()
    pixels = vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars())
    shape = plane.shape if count is None else (count, *plane.shape)
    return pixels.reshape(*shape, *pixels.shape[1:]).copy()
