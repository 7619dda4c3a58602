"""Image, transform and landmark files into nodes of a scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

from ..scene.geometry.volumes import addVolume
from ..scene.landmarks.markups import addLandmarks
from .dicom_series import isDicomFile, readDicom
from .file_checks import checkAxesOf, checkFile, checkImageFile, hasNegativeSpacing
from .nifti_files import checkNifti, isNiftiFile, notePlace
from .point_files import readPoints
from .reading import noteInput
from .transform_checks import checkTransform, checkTransformFile

_MODEL_ENDINGS = (".vtk", ".vtp", ".stl", ".ply", ".obj")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MODALITY, _DESCRIPTIONS = "0008|0060", ("0018|0015", "0008|103e")  # Body part examined, series description.
# What Slicer notes for them: code, scheme and meaning.
_QUANTITIES = {
    "CT": ("112031", "DCM", "Attenuation Coefficient"),
    "MR": ("110852", "DCM", "MR signal intensity"),
}


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
    _noteHeader(volume, image)
    return volume


def readMask(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLLabelMapVolumeNode:
    """A labelmap volume; several layers, as in a segmentation file, are joined, the opacity of a picture is not."""
    image = _readImage(path)
    voxels = _voxels(image)
    if voxels.ndim == 4:
        opaque = path.suffix.lower() == ".png" and voxels.shape[-1] in (2, 4)
        voxels = (voxels[..., :-1] if opaque else voxels).max(axis=-1)
    isNumber = np.isfinite(voxels)
    if not isNumber.all():
        noteInput(path, f"{voxels.size - isNumber.sum()} of its voxels are NaN or infinite, and count as outside")
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", path.name.split(".")[0])
    slicer.util.updateVolumeFromArray(mask, (np.where(isNumber, voxels, 0) > 0).astype(np.uint8))
    mask.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(_ijkToRas(image)))
    return mask


def isSegmentationFile(path: Path) -> bool:
    """Return whether the name of a file is that of a segmentation of Slicer."""
    return path.name.lower().endswith(".seg.nrrd")


def isModelFile(path: Path) -> bool:
    """Return whether the name of a file is that of a surface model."""
    return path.suffix.lower() in _MODEL_ENDINGS


def readModel(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLModelNode:
    """A surface model from VTK, VTP, STL, PLY or OBJ.

    Raises:
        OSError: There is no such file.
        ValueError: It cannot be read.
    """
    checkFile(path)
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", path.name.split(".")[0])
    if not _read(slicer.vtkMRMLModelStorageNode(), path, model) or not model.GetPolyData().GetNumberOfPoints():
        scene.RemoveNode(model)
        raise ValueError(f"'{path}' is no surface model that Slicer can read; save it again as .vtk, .stl or .ply.")
    return model


def readLabels(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLNode:
    """Structures: a segmentation from .seg.nrrd with its names, or a labelmap volume with its numbers from other files.

    Raises:
        OSError: There is no such file.
        ValueError: It cannot be read, or has values that are no labels.
    """
    checkFile(path)
    if isSegmentationFile(path):
        segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", path.name.split(".")[0])
        if not _read(slicer.vtkMRMLSegmentationStorageNode(), path, segmentation):
            scene.RemoveNode(segmentation)
            raise ValueError(f"'{path}' is no segmentation that Slicer can read; save it again as .seg.nrrd.")
        return segmentation
    image = _readImage(path)
    voxels = _voxels(image)
    if voxels.ndim != 3 or not np.array_equal(voxels, np.rint(voxels)) or voxels.min() < 0:
        raise ValueError(f"'{path}' is no labelmap; needed is one whole number from 0 per voxel.")
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", path.name.split(".")[0])
    slicer.util.updateVolumeFromArray(labels, voxels.astype(np.int32))
    labels.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(_ijkToRas(image)))
    return labels


def readTransform(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLTransformNode:
    """A transform of any kind that Slicer reads (.h5, .tfm, .txt, .mat, .nrrd, .nii.gz)."""
    checkFile(path)
    checkTransformFile(path)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", path.name.split(".")[0])
    if not _read(slicer.vtkMRMLTransformStorageNode(), path, node):
        scene.RemoveNode(node)
        raise ValueError(f"'{path}' is no transform that Slicer can read; save it as .h5 or .tfm.")
    checkTransform(path, node)
    return node


def readLandmarks(scene: slicer.vtkMRMLScene, path: Path) -> slicer.vtkMRMLMarkupsFiducialNode:
    """A point list from Slicer's .mrk.json or .fcsv, or from a CSV file; see ``point_files.readPoints``."""
    checkFile(path)
    points = readPoints(path)
    labels = [label for label, _ in points]
    doubled = next((label for label in labels if not label.strip() or labels.count(label) > 1), None)
    if not points or doubled is not None:
        found = "holds no landmarks" if not points else f"has a label that is empty or occurs twice: '{doubled}'"
        raise ValueError(f"'{path}' {found}; landmarks are paired by label, so give each point one of its own.")
    return addLandmarks(scene, path.name.split(".")[0], dict(points))


def _read(storage: slicer.vtkMRMLStorageNode, path: Path, node: slicer.vtkMRMLStorableNode) -> bool:
    storage.SetFileName(str(path))
    return bool(storage.ReadData(node))


def _readImage(path: Path) -> sitk.Image:
    checkFile(path)
    isDicom = path.is_dir() or isDicomFile(path)
    if not isDicom:
        checkImageFile(path)
    if isNiftiFile(path):
        checkNifti(path)
    try:
        image = readDicom(path) if isDicom else sitk.ReadImage(str(path))
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
    checkAxesOf(path, _ijkToRas(image))
    if isNiftiFile(path):
        notePlace(path, _ijkToRas(image))
    elif path.suffix.lower() in (".mha", ".mhd") and hasNegativeSpacing(path):
        noteInput(path, "a spacing in its header is negative; this axis was read as running backwards")
    return image


def _noteHeader(volume: slicer.vtkMRMLVolumeNode, image: sitk.Image) -> None:
    """What a DICOM header says of modality and body part, where Slicer's own reader puts the one and people read."""
    tags = {
        tag: image.GetMetaData(tag).encode(errors="replace").decode().strip()  # Old files have other alphabets.
        for tag in (_MODALITY, *_DESCRIPTIONS)
        if image.HasMetaDataKey(tag)
    }
    quantity = _QUANTITIES.get(tags.get(_MODALITY, ""))
    if quantity is not None and volume.IsA("vtkMRMLScalarVolumeNode"):
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(*quantity)
        volume.SetVoxelValueQuantity(entry)
    volume.SetDescription(" ".join(tags[tag] for tag in _DESCRIPTIONS if tags.get(tag)))


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
