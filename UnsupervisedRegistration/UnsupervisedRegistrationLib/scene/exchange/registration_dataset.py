"""The attributes of a DICOM registration object, by the modules of PS3.3 A.39."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from .deformation_grid import DeformationGrid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SPATIAL = "1.2.840.10008.5.1.4.1.1.66.1"
_DEFORMABLE = "1.2.840.10008.5.1.4.1.1.66.3"
_ORTHOGONAL = 1e-4  # Largest deviation of a rotation matrix from orthogonality.
_MAKER = "SlicerUnsupervisedRegistration"
# Taken from the fixed image, empty if it has none; the registration belongs to its study.
_SHARED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator"),
)


def registrationDataset(
    registration: np.ndarray | DeformationGrid,
    fixedHeaders: Sequence[Dataset],
    movingHeaders: Sequence[Dataset],
) -> Dataset:
    """The object with all mandatory modules, ready to be saved.

    Its first item is the fixed image with the identity, its second the moving image with the registration.

    Args:
        registration: Deformation, or ``(4, 4)`` matrix from the moving to the fixed image, LPS mm.
        fixedHeaders: Headers of the fixed image.
        movingHeaders: Headers of the moving image.
    """
    isDeformable = isinstance(registration, DeformationGrid)
    dataset = _emptyObject(_DEFORMABLE if isDeformable else _SPATIAL)
    _addGeneral(dataset, fixedHeaders[0], movingHeaders[0])
    items = [_imageItem(headers, isDeformable) for headers in (fixedHeaders, movingHeaders)]
    if isinstance(registration, DeformationGrid):
        _addMatrices(items[0], np.eye(4))
        _addMatrices(items[1], registration.post)
        items[1].DeformableRegistrationGridSequence = [_gridItem(registration)]
        dataset.DeformableRegistrationSequence = items
    else:
        items[0].MatrixRegistrationSequence = [_matrixRegistration(np.eye(4))]
        items[1].MatrixRegistrationSequence = [_matrixRegistration(registration)]
        dataset.RegistrationSequence = items
    _addInstanceReferences(dataset, [*fixedHeaders, *movingHeaders])
    return dataset


def _emptyObject(sopClassUid: str) -> Dataset:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    sopClass, instance = UID(sopClassUid), generate_uid()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sopClass, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sopClass, instance
    dataset.SeriesInstanceUID = generate_uid()
    return dataset


def _addGeneral(dataset: Dataset, fixed: Dataset, moving: Dataset) -> None:
    """Patient, study, series, frame of reference, equipment and content."""
    now = datetime.now()
    date, time = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    if "SpecificCharacterSet" in fixed:
        dataset.SpecificCharacterSet = fixed.SpecificCharacterSet
    for name in _SHARED:
        setattr(dataset, name, fixed.get(name) or "")
    descriptions = [header.get("SeriesDescription") or "image" for header in (moving, fixed)]
    dataset.Modality, dataset.Laterality, dataset.SeriesNumber, dataset.InstanceNumber = "REG", "", 1, 1
    dataset.SeriesDescription = " to ".join(descriptions)[:64]
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = date
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = time
    dataset.Manufacturer = dataset.ManufacturerModelName = _MAKER
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "0", "0.1"
    dataset.ContentLabel, dataset.ContentDescription, dataset.ContentCreatorName = "REGISTRATION", "", ""


def _imageItem(headers: Sequence[Dataset], isDeformable: bool) -> Dataset:
    """An item of the registration sequence that names the images of one side."""
    from pydicom.dataset import Dataset

    item = Dataset()
    frame = headers[0].FrameOfReferenceUID
    if isDeformable:
        item.SourceFrameOfReferenceUID = frame
        item.RegistrationTypeCodeSequence = []
    else:
        item.FrameOfReferenceUID = frame
    item.ReferencedImageSequence = [_instance(header) for header in headers]
    return item


def _matrixRegistration(matrix: np.ndarray) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.RegistrationTypeCodeSequence = []
    item.MatrixSequence = [_matrixItem(matrix)]
    return item


def _addMatrices(item: Dataset, post: np.ndarray) -> None:
    """The matrices before and after the grid; readers in use expect both."""
    item.PreDeformationMatrixRegistrationSequence = [_matrixItem(np.eye(4))]
    item.PostDeformationMatrixRegistrationSequence = [_matrixItem(post)]


def _matrixItem(matrix: np.ndarray) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.FrameOfReferenceTransformationMatrixType = _matrixType(matrix)
    item.FrameOfReferenceTransformationMatrix = [_decimal(value) for value in matrix.ravel()]
    return item


def _matrixType(matrix: np.ndarray) -> str:
    """The defined term of a matrix: rigid, rigid with scales along the axes, or affine."""
    product = matrix[:3, :3].T @ matrix[:3, :3]
    scales = np.sqrt(np.diag(product))
    if np.abs(product / np.outer(scales, scales) - np.eye(3)).max() > _ORTHOGONAL:
        return "AFFINE"
    return "RIGID" if np.abs(scales - 1).max() < _ORTHOGONAL else "RIGID_SCALE"


def _gridItem(grid: DeformationGrid) -> Dataset:
    from pydicom.dataset import Dataset

    resolution = np.linalg.norm(grid.ijkToLps[:3, :3], axis=0)
    axes = grid.ijkToLps[:3, :3] / resolution
    item = Dataset()
    item.ImagePositionPatient = [_decimal(value) for value in grid.ijkToLps[:3, 3]]
    item.ImageOrientationPatient = [_decimal(value) for value in axes[:, :2].T.ravel()]
    item.GridDimensions = list(grid.offsets.shape[2::-1])
    item.GridResolution = resolution.tolist()
    item.VectorGridData = grid.offsets.astype("<f4").tobytes()
    return item


def _addInstanceReferences(dataset: Dataset, headers: Sequence[Dataset]) -> None:
    """All referenced instances by study and series: those of the own study, and those of other studies."""
    from pydicom.dataset import Dataset

    studies = {}
    for study, members in groupby(sorted(headers, key=_place), key=lambda header: header.StudyInstanceUID):
        series = []
        for uid, instances in groupby(members, key=lambda header: header.SeriesInstanceUID):
            item = Dataset()
            item.SeriesInstanceUID = uid
            item.ReferencedInstanceSequence = [_instance(header) for header in instances]
            series.append(item)
        studies[study] = series
    own = studies.pop(dataset.StudyInstanceUID, None)
    if own:
        dataset.ReferencedSeriesSequence = own
    if studies:
        others = [Dataset() for _ in studies]
        for item, (study, series) in zip(others, studies.items(), strict=True):
            item.StudyInstanceUID, item.ReferencedSeriesSequence = study, series
        dataset.StudiesContainingOtherReferencedInstancesSequence = others


def _place(header: Dataset) -> tuple[str, str]:
    return header.StudyInstanceUID, header.SeriesInstanceUID


def _instance(header: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return item


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters, as DICOM demands."""
    from pydicom.valuerep import format_number_as_ds

    return str(format_number_as_ds(float(value) + 0.0))
