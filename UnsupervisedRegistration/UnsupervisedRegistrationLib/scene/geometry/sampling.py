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
_OUTSIDE = np.finfo(np.float32).max  # Marks pixels outside the volume; NaN may occur inside.


@dataclass(frozen=True)
class SampledSlice:
    """The pixels of a volume on a plane.

    Attributes:
        pixels: ``(rows, columns)`` float32; outside the volume the lowest intensity of those inside.
        inside: ``(rows, columns)`` bool, true inside the volume.
        notes: One sentence for each change of the image, such as colour to luminance.
    """

    pixels: np.ndarray
    inside: np.ndarray
    notes: tuple[str, ...]


def sampleVolume(
    volumeNode: slicer.vtkMRMLVolumeNode, plane: SlicePlane, fromWorld: vtk.vtkAbstractTransform | None = None
) -> SampledSlice:
    """Sample a volume on a plane by linear interpolation.

    Args:
        volumeNode: Scalar or colour volume; colours are converted to luminance.
        plane: Pixels to sample.
        fromWorld: From the world to the RAS space of the volume; by default through its parent transforms.

    Raises:
        ValueError: The volume is empty, is a vector field, misses the plane, or has NaN or infinite voxels there.
    """
    if fromWorld is None:
        fromWorld = worldToLocal(volumeNode.GetParentTransformNode())
    pixels, inside, notes = _sampled(volumeNode, plane, fromWorld)
    if not inside.any():
        raise ValueError(
            f"The volume '{volumeNode.GetName()}' does not meet the {plane.name}; fixed and moving must overlap in"
            " space. Move one of them with a transform first, or choose another slice."
        )
    return SampledSlice(np.where(inside, pixels, pixels[inside].min()), inside, notes)


def sampleStack(
    volumeNode: slicer.vtkMRMLVolumeNode, plane: SlicePlane, count: int, fromWorld: vtk.vtkAbstractTransform
) -> np.ndarray:
    """Sample ``count`` planes that follow each other along the normal; ``(count, rows, columns)`` float32.

    Raises:
        ValueError: As for ``sampleVolume``; at least one plane must meet the volume.
    """
    sampled = sampleSlices(volumeNode, plane, count, fromWorld)
    if not sampled.inside.any():
        raise ValueError(
            f"The volume '{volumeNode.GetName()}' does not meet the {plane.name}; fixed and moving must overlap in"
            " space. Move one of them with a transform first, or choose other slices."
        )
    return sampled.pixels


def sampleSlices(
    volumeNode: slicer.vtkMRMLVolumeNode, plane: SlicePlane, count: int, fromWorld: vtk.vtkAbstractTransform
) -> SampledSlice:
    """As ``sampleStack``, with the pixels inside the volume, which may be none; the arrays have three axes.

    Raises:
        ValueError: The volume is empty, is a vector field, or has NaN or infinite voxels there.
    """
    pixels, inside, notes = _sampled(volumeNode, plane, fromWorld, count)
    lowest = pixels[inside].min() if inside.any() else 0
    return SampledSlice(np.where(inside, pixels, lowest), inside, notes)


def sampleMask(
    maskNode: slicer.vtkMRMLNode,
    plane: SlicePlane,
    fromWorld: vtk.vtkAbstractTransform | None = None,
    count: int | None = None,
) -> np.ndarray:
    """Sample a mask on a plane, ``(rows, columns)`` bool; all labels or segments are joined.

    Args:
        maskNode: Labelmap volume or segmentation.
        plane: Pixels to sample.
        fromWorld: As for ``sampleVolume``.
        count: Number of planes, as for ``sampleStack``; the mask is then ``(count, rows, columns)``.

    Raises:
        ValueError: The mask has no pixel there, or a segmentation has no binary labelmap.
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


def sampleStructures(
    node: slicer.vtkMRMLNode, plane: SlicePlane, count: int, fromWorld: vtk.vtkAbstractTransform
) -> dict[str, np.ndarray]:
    """Sample each structure of a segmentation or labelmap on planes that follow each other.

    Args:
        node: Segmentation or labelmap volume.
        plane: Pixels to sample.
        count: Number of planes along the normal.
        fromWorld: From the world to the RAS space of the node.

    Returns:
        Name of the segment, or of the label in the colour table, to ``(count, rows, columns)`` bool; some may be empty.

    Raises:
        ValueError: The node holds no structures, or a segmentation has no binary labelmap.
    """
    images = _maskImages(node, skipEmpty=False)
    sampled = [
        _reslice(image, plane, fromWorld, rasToIjk, linear=False, count=count)
        if image.GetNumberOfPoints()
        else np.zeros((count, *plane.shape), dtype=np.float32)
        for image, rasToIjk in images
    ]
    if isinstance(node, slicer.vtkMRMLVolumeNode):
        labels = [int(label) for label in np.unique(slicer.util.arrayFromVolume(node)) if label]
        return {_labelName(node, label): sampled[0] == label for label in labels}
    segmentation = node.GetSegmentation()
    names = [segmentation.GetSegment(segmentId).GetName() for segmentId in segmentation.GetSegmentIDs()]
    return {name: (pixels > 0) & (pixels != _OUTSIDE) for name, pixels in zip(names, sampled, strict=True)}


def _labelName(node: slicer.vtkMRMLLabelMapVolumeNode, label: int) -> str:
    display = node.GetDisplayNode()
    colours = None if display is None else display.GetColorNode()
    return (colours.GetColorName(label) if colours is not None else None) or f"label {label}"


def sampleLabels(
    volumeNode: slicer.vtkMRMLVolumeNode, plane: SlicePlane, fromWorld: vtk.vtkAbstractTransform | None = None
) -> np.ndarray:
    """Sample a labelmap on a plane by the nearest voxel, ``(rows, columns)`` float32; 0 outside the volume.

    Args:
        volumeNode: One label a voxel.
        plane: Pixels to sample.
        fromWorld: As for ``sampleVolume``.

    Raises:
        ValueError: The volume is empty, or has several values a voxel.
    """
    volumeSize(volumeNode)
    image, rasToIjk = volumeNode.GetImageData(), vtk.vtkMatrix4x4()
    if image.GetNumberOfScalarComponents() != 1:
        raise ValueError(f"'{volumeNode.GetName()}' is no labelmap; one number a voxel is needed.")
    if fromWorld is None:
        fromWorld = worldToLocal(volumeNode.GetParentTransformNode())
    volumeNode.GetRASToIJKMatrix(rasToIjk)
    labels = _reslice(image, plane, fromWorld, rasToIjk, linear=False)
    return np.where(labels == _OUTSIDE, 0, labels)


def _sampled(
    volumeNode: slicer.vtkMRMLVolumeNode,
    plane: SlicePlane,
    fromWorld: vtk.vtkAbstractTransform,
    count: int | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Pixels of one plane or several, the pixels inside the volume, and notes; see ``sampleVolume``."""
    volumeSize(volumeNode)
    image, name, rasToIjk = volumeNode.GetImageData(), volumeNode.GetName(), vtk.vtkMatrix4x4()
    components = image.GetNumberOfScalarComponents()
    if components not in (1, 3, 4):
        raise ValueError(f"The volume '{name}' has {components} values per voxel; choose a scalar or colour volume.")
    volumeNode.GetRASToIJKMatrix(rasToIjk)
    pixels = _reslice(image, plane, fromWorld, rasToIjk, linear=True, count=count)
    inside = (pixels if components == 1 else pixels[..., 0]) != _OUTSIDE
    notes: tuple[str, ...] = ()
    if components > 1:
        pixels, notes = pixels[..., :3] @ _LUMINANCE, (f"'{name}' is a colour image; its luminance was registered",)
    if not np.isfinite(pixels).all():
        bad = np.count_nonzero(~np.isfinite(vtk_to_numpy(image.GetPointData().GetScalars())))
        raise ValueError(
            f"The volume '{name}' has {bad} voxels that are NaN or infinite, some of them on the {plane.name};"
            " replace them (for example with the Simple Filters module) before the registration."
        )
    return pixels, inside, notes


def _maskImages(
    maskNode: slicer.vtkMRMLNode, skipEmpty: bool = True
) -> list[tuple[vtk.vtkImageData, vtk.vtkMatrix4x4]]:
    """The images of a mask node, each with the matrix from the RAS space of the node to voxel indices."""
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
        if labelmap.IsEmpty() and skipEmpty:
            continue
        matrix = vtk.vtkMatrix4x4()
        labelmap.GetWorldToImageMatrix(matrix)
        images.append((_withoutGeometry(labelmap), matrix))
    return images


def _withoutGeometry(image: vtk.vtkImageData) -> vtk.vtkImageData:
    """The same voxels, positioned at their indices; the extent need not start at 0."""
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
    """Sample an image whose positions are its voxel indices; ``([count,] rows, columns[, components])`` float32.

    Pixels outside the image are ``_OUTSIDE``.
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
