"""Volumes resampled on the grid of another volume."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from ..geometry.planes import volumeSize
from .node_map import NodeMap
from .resample_options import LABELMAP_OPTIONS as LABELMAP_OPTIONS
from .resample_options import PixelType as PixelType
from .resample_options import ResampleOptions as ResampleOptions
from .resample_options import VolumeInterpolation as VolumeInterpolation

_SCALAR_TYPES = {
    "uint8": vtk.VTK_UNSIGNED_CHAR,
    "int16": vtk.VTK_SHORT,
    "uint16": vtk.VTK_UNSIGNED_SHORT,
    "int32": vtk.VTK_INT,
    "float32": vtk.VTK_FLOAT,
}


def resampledImage(
    volumeNode: slicer.vtkMRMLVolumeNode, mapping: NodeMap, options: ResampleOptions
) -> vtk.vtkImageData:
    """The voxels of a volume on the grid of the reference volume; origin 0 and spacing 1, as MRML stores them.

    Args:
        volumeNode: Scalar volume, vector volume or labelmap.
        mapping: Of that volume; see ``nodeMap``.
        options: Interpolation, background value and pixel type.

    Raises:
        ValueError: A volume is empty, or the pixel type cannot hold the background value.
    """
    size = volumeSize(mapping.reference)
    volumeSize(volumeNode)
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        options = LABELMAP_OPTIONS
    source = volumeNode.GetImageData()
    scalarType = _SCALAR_TYPES.get(options.pixelType, source.GetScalarType())
    _checkBackground(options.background, scalarType)
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(source)
    reslice.SetResliceTransform(_indexTransform(volumeNode, mapping))
    reslice.TransformInputSamplingOff()
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
    reslice.SetOutputScalarType(scalarType)
    reslice.SetBackgroundColor(*[options.background] * 4)
    _setInterpolation(reslice, options.interpolation)
    reslice.Update()
    return reslice.GetOutput()


def _setInterpolation(reslice: vtk.vtkImageReslice, interpolation: VolumeInterpolation) -> None:
    {
        "nearest": reslice.SetInterpolationModeToNearestNeighbor,
        "linear": reslice.SetInterpolationModeToLinear,
        "cubic": reslice.SetInterpolationModeToCubic,
    }[interpolation]()


def _indexTransform(volumeNode: slicer.vtkMRMLVolumeNode, mapping: NodeMap) -> vtk.vtkGeneralTransform:
    """From voxel indices of the reference volume to those of the volume."""
    toRas, toIndices = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    mapping.reference.GetIJKToRASMatrix(toRas)
    volumeNode.GetRASToIJKMatrix(toIndices)
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(toRas)
    chain.Concatenate(mapping.after.GetInverse())
    chain.Concatenate(toIndices)
    return chain


def _checkBackground(background: float, scalarType: int) -> None:
    probe = vtk.vtkDataArray.CreateDataArray(scalarType)
    low, high = probe.GetDataTypeMin(), probe.GetDataTypeMax()
    isWhole = scalarType in (vtk.VTK_FLOAT, vtk.VTK_DOUBLE) or float(background).is_integer()
    if not (np.isfinite(background) and low <= background <= high and isWhole):
        raise ValueError(
            f"Voxels of the type {probe.GetDataTypeAsString()} cannot hold the background value {background:g};"
            " choose another value or another pixel type."
        )
