"""Which model fits two volumes of the scene."""

from __future__ import annotations

import slicer
import slicer.util

from ...core.models.choice import Traits, choose_model, traits_of
from ...core.models.model_file import load_model
from ...core.models.selection import model_files
from ..geometry.planes import volumeSize
from .model_folders import modelFolders

_DICOM_QUANTITIES = {"112031": "CT", "110852": "MR"}  # Attenuation coefficient and MR signal intensity, PS 3.16.


def chooseModel(fixedVolume: slicer.vtkMRMLVolumeNode, movingVolume: slicer.vtkMRMLVolumeNode) -> tuple[str, str]:
    """Name of the model for two volumes, and the reason in words; see ``core.choice``.

    Raises:
        ValueError: A volume is empty.
    """
    models, lost = {}, []
    for name, path in model_files(modelFolders()).items():
        try:
            models[name] = load_model(path)
        except (ValueError, OSError):  # Named below; a file that nobody chose must not stop the work.
            lost.append(name)
    name, reason = choose_model(traitsOf(fixedVolume), traitsOf(movingVolume), models)
    return name, reason + "".join(f" '{name}' cannot be read and was left out." for name in lost)


def traitsOf(volumeNode: slicer.vtkMRMLVolumeNode) -> Traits:
    """What a volume tells of itself: its voxels, name and description, what DICOM said, and a window that was chosen.

    Raises:
        ValueError: It is empty.
    """
    volumeSize(volumeNode)
    display, window = volumeNode.GetDisplayNode(), None
    if isinstance(display, slicer.vtkMRMLScalarVolumeDisplayNode) and not display.GetAutoWindowLevel():
        window = (display.GetWindow(), display.GetLevel())
    study, modality = _fromHierarchy(volumeNode)
    return traits_of(
        slicer.util.arrayFromVolume(volumeNode),
        " ".join([volumeNode.GetName() or "", volumeNode.GetDescription() or "", study]),
        _quantityOf(volumeNode) or modality,
        window,
    )


def _quantityOf(volumeNode: slicer.vtkMRMLVolumeNode) -> str:
    """Modality by the quantity that DICOM volumes carry, or nothing."""
    quantity = volumeNode.GetVoxelValueQuantity() if volumeNode.IsA("vtkMRMLScalarVolumeNode") else None
    return "" if quantity is None else _DICOM_QUANTITIES.get(quantity.GetCodeValue() or "", "")


def _fromHierarchy(volumeNode: slicer.vtkMRMLVolumeNode) -> tuple[str, str]:
    """Description of the study and modality of the series, as the DICOM module notes them; nothing elsewhere."""
    names = slicer.vtkMRMLSubjectHierarchyConstants
    scene = volumeNode.GetScene()
    hierarchy = None if scene is None else scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    item = 0 if hierarchy is None else hierarchy.GetItemByDataNode(volumeNode)
    if not item:
        return "", ""
    study = hierarchy.GetAttributeFromItemAncestor(
        item, names.GetDICOMStudyDescriptionAttributeName(), names.GetDICOMLevelStudy()
    )
    return study or "", hierarchy.GetItemAttribute(item, names.GetDICOMSeriesModalityAttributeName()) or ""
