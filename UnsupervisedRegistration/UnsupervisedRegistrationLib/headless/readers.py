"""Image, transform and landmark files into nodes of a scene."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

from ..scene.phantoms import addVolume

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def readVolume(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLVolumeNode:
    """A scalar or colour volume from NIfTI, NRRD, MHA, PNG, JPEG, a DICOM file or a folder with a DICOM series.

    A 2-D file becomes a volume of one slice. Files without a position, such as PNG, start at the origin with pixels
    of 1 mm, rows to the patient's back.

    Raises:
        OSError: There is no such file.
        ValueError: It is no image that can be read.
    """
    image = _readImage(path)
    name = path.name.split(".")[0] or path.resolve().name
    volume = addVolume(scene, name, _voxels(image), _ijkToRas(image))
    volume.CreateDefaultDisplayNodes()
    return volume


def readMask(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLLabelMapVolumeNode:
    """A labelmap volume; several layers, as in a segmentation file, are joined."""
    image = _readImage(path)
    voxels = _voxels(image)
    voxels = voxels.max(axis=-1) if voxels.ndim == 4 else voxels
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", path.name.split(".")[0])
    slicer.util.updateVolumeFromArray(mask, (np.nan_to_num(voxels) > 0).astype(np.uint8))
    mask.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(_ijkToRas(image)))
    return mask


def readTransform(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLTransformNode:
    """A transform of any kind that Slicer reads (.h5, .tfm, .txt, .mat, .nrrd, .nii.gz)."""
    _checkFile(path)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", path.name.split(".")[0])
    if not _read(slicer.vtkMRMLTransformStorageNode(), path, node):
        scene.RemoveNode(node)
        raise ValueError(f"'{path}' is no transform that Slicer can read; save it as .h5 or .tfm.")
    return node


def readLandmarks(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLMarkupsFiducialNode:
    """A point list from Slicer's .mrk.json."""
    _checkFile(path)
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", path.name.split(".")[0])
    try:
        json.loads(path.read_text(encoding="utf-8"))
        done = _read(slicer.vtkMRMLMarkupsJsonStorageNode(), path, node)
    except ValueError:
        done = False
    if not done:
        scene.RemoveNode(node)
        raise ValueError(f"'{path}' holds no landmarks; save the point list in Slicer as .mrk.json.")
    return node


def _read(storage: slicer.vtkMRMLStorageNode, path: Path, node: slicer.vtkMRMLStorableNode) -> bool:
    storage.SetFileName(str(path))
    return bool(storage.ReadData(node))


def _checkFile(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"There is no file '{path}'; check the path.")


def _readImage(path: Path) -> sitk.Image:
    _checkFile(path)
    try:
        image = _readSeries(path) if path.is_dir() else sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ValueError(
            f"'{path}' cannot be read as an image; needed is NIfTI, NRRD, MHA, PNG, JPEG, a DICOM file or a folder with"
            " a DICOM series, complete and of a common pixel type."
        ) from error
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3:
        raise ValueError(
            f"'{path}' has {image.GetDimension()} dimensions; needed is a 2-D or 3-D image. Split it first."
        )
    return image


def _readSeries(folder: Path) -> sitk.Image:
    """The DICOM series with the most files."""
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise ValueError(f"The folder '{folder}' holds no DICOM series; give a folder with DICOM files, or one file.")
    files = max((sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), s) for s in series), key=len)
    return sitk.ReadImage(files)


def _voxels(image: sitk.Image) -> np.ndarray:
    """``(K, J, I)`` or ``(K, J, I, components)``, in a type that MRML stores on every system."""
    voxels = sitk.GetArrayFromImage(image)
    if np.iscomplexobj(voxels):
        voxels = np.abs(voxels)
    return voxels.astype(np.float32) if voxels.dtype.itemsize > 4 else voxels


def _ijkToRas(image: sitk.Image) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return _LPS_TO_RAS @ matrix
