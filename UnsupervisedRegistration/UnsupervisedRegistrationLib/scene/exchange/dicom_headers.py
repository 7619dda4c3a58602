"""DICOM headers of the images that were registered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_INSTANCES = "DICOM.instanceUIDs"  # Where Slicer notes the instances of a volume.
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


def headersOfVolume(volumeNode: slicer.vtkMRMLVolumeNode) -> list[Dataset]:
    """The headers of the instances that Slicer loaded a volume from, through its DICOM database.

    Raises:
        ValueError: The volume did not come from DICOM, or its files are no longer in the database.
    """
    instances = (volumeNode.GetAttribute(_INSTANCES) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    files = [database.fileForInstance(instance) for instance in instances] if database is not None else []
    if not files or not all(files):
        raise ValueError(
            f"The volume '{volumeNode.GetName()}' has no DICOM instances in the database; load it with the DICOM"
            " module, because a DICOM registration names the instances that it registers."
        )
    return headersOfFiles([Path(file) for file in files])


def headersOfFiles(files: Sequence[Path]) -> list[Dataset]:
    """The headers of DICOM files, without voxels.

    Raises:
        ValueError: A file is no DICOM file, or its image has no frame of reference.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    headers: list[Dataset] = []
    for file in files:
        try:
            header = dcmread(file, stop_before_pixels=True)
        except InvalidDicomError as error:
            raise ValueError(
                f"'{file}' is no DICOM file; a DICOM registration needs images that came from DICOM."
            ) from error
        missing = [name for name in _NEEDED if not header.get(name)]
        if missing:
            raise ValueError(f"'{file}' has no {', '.join(missing)}; a DICOM registration needs it.")
        headers.append(header)
    return headers
