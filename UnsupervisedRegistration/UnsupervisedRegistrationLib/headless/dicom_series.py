"""DICOM files and folders, read only if they are a whole image; what is not is refused with a sentence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom

from .dicom_frames import frameHeaders
from .dicom_geometry import Placed, Stack, checkAxes, stackOf, upright
from .file_checks import checkFile, checkSize
from .path_names import checkName
from .reading import chosenSeries, noteInput

_DICOM_ENDINGS = ("", ".dcm", ".ima", ".dicom")
_DIFFERENCES = (
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "EchoTime",
    "TriggerTime",
    "DiffusionBValue",
    "ImageType",
    "AcquisitionTime",
    "ContentTime",
    "InstanceNumber",
)
"""What tells images of one place apart, the most telling first."""
_DESCRIBED = {"Modality": "0008|0060", "BodyPartExamined": "0018|0015", "SeriesDescription": "0008|103e"}
"""Header entries that the volume keeps, and their tags as ITK writes them."""


@dataclass(frozen=True)
class DicomFile:
    """A file and its header, without pixels."""

    path: Path
    header: Dataset

    @property
    def frames(self) -> int:
        """Number of images in the file."""
        return int(self.header.get("NumberOfFrames") or 1)


def isDicomFile(path: Path) -> bool:
    """Return whether a file is DICOM, by its content, or by its ending if it is of before the DICOM file format."""
    return path.is_file() and (bool(is_dicom(path)) or path.suffix.lower() in _DICOM_ENDINGS[1:])


def readDicom(path: Path) -> sitk.Image:
    """Read a DICOM file, or the series of a folder.

    Raises:
        OSError: A file cannot be read.
        ValueError: The slices are no whole image on an even grid, or the folder has several series.
    """
    files = seriesFiles(path)
    first = files[0]
    size = [int(first.header.get(name) or 0) for name in ("Columns", "Rows")]
    checkSize(path, [*size, len(files) * first.frames], 4 * int(first.header.get("SamplesPerPixel") or 1))
    if first.header.get("PhotometricInterpretation") == "MONOCHROME1":
        noteInput(path, "its grey values (MONOCHROME1) were inverted, so that high values are bright")
    try:
        image, notes = _readStack(files) if len(files) * first.frames > 1 else _readSingle(first)
    except ValueError as error:
        raise ValueError(f"'{path}' cannot be read as a volume: {error}") from error
    for note in notes:
        noteInput(path, note)
    for name, tag in _DESCRIBED.items():
        if first.header.get(name):
            image.SetMetaData(tag, str(first.header.get(name)).encode(errors="replace").decode())
    return image


def seriesFiles(path: Path) -> list[DicomFile]:
    """Return the files of an image in any order, each place once.

    Raises:
        OSError: A file cannot be read.
        ValueError: There is no DICOM series, or more than one and none was chosen; a file is truncated.
    """
    checkFile(path)
    if path.is_file():
        if not isDicomFile(path):
            raise ValueError(f"'{path}' is no DICOM file; give an image that came from DICOM.")
        files = [DicomFile(path, _header(path))]
    else:
        files = _chosen(path, _seriesOf(path))
    for file in files:
        _checkWhole(file.path)
    return _withoutCopies(path, files)


def _seriesOf(folder: Path) -> dict[str, list[DicomFile]]:
    """Series UID to files with images."""
    series: dict[str, list[DicomFile]] = defaultdict(list)
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        checkName(path)
        if path.stat().st_size == 0 and path.suffix.lower() in _DICOM_ENDINGS:
            raise ValueError(f"The file '{path}' is empty; copy the series again.")
        if isDicomFile(path):
            header = _header(path)
            if header.get("Rows"):
                series[str(header.get("SeriesInstanceUID", "none"))].append(DicomFile(path, header))
    if not series:
        raise ValueError(f"The folder '{folder}' holds no DICOM series; give a folder with DICOM files, or one file.")
    return series


def _header(path: Path) -> Dataset:
    """The header of a file; one that ends within it is refused."""
    try:
        header = dcmread(path, stop_before_pixels=True, force=True)
    except (InvalidDicomError, EOFError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"'{path}' is no DICOM file that can be read; copy or export it again.") from error
    kind = header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID")
    isImage = kind is None or "Image Storage" in getattr(kind, "name", "")
    if isImage and not (header.get("Rows") and header.get("Columns")):
        raise ValueError(f"'{path}' is truncated: it ends within its header; copy it again.")
    return header


def _chosen(folder: Path, series: dict[str, list[DicomFile]]) -> list[DicomFile]:
    wanted = {text.strip().casefold() for text in chosenSeries()}
    described = {uid: _described(files[0].header) for uid, files in series.items()}
    found = [uid for uid, texts in described.items() if wanted & {text.casefold() for text in (uid, *texts)}]
    if len(found) == 1:
        return series[found[0]]
    if len(series) == 1:
        if wanted:
            noteInput(folder, "its only series is not the one of --series; it was taken")
        return next(iter(series.values()))
    listed = "; ".join(
        f"{' '.join(text for text in texts if text)} ({len(series[uid])} files, {uid})"
        for uid, texts in described.items()
    )
    raise ValueError(
        f"The folder '{folder}' holds {len(series)} series: {listed}. Choose one by --series with its number,"
        " description or UID."
    )


def _described(header: Dataset) -> tuple[str, str]:
    return str(header.get("SeriesNumber") or "").strip(), str(header.get("SeriesDescription") or "").strip()


def _checkWhole(path: Path) -> None:
    """Refuse a file whose pixels end early.

    Raises:
        ValueError: They do.
    """
    try:
        data = dcmread(path, force=True)
    except (EOFError, ValueError) as error:
        raise ValueError(f"'{path}' is truncated; copy it again.") from error
    pixels = data.get("PixelData", b"")
    if getattr(data.file_meta.get("TransferSyntaxUID"), "is_encapsulated", False):
        isWhole = pixels.startswith(b"\xfe\xff\x00\xe0") and b"\xfe\xff\xdd\xe0" in path.read_bytes()[-4096:]
    else:
        values = math.prod(int(data.get(name) or 1) for name in ("Rows", "Columns", "NumberOfFrames"))
        samples = int(data.get("SamplesPerPixel") or 1)
        samples -= data.get("PhotometricInterpretation") == "YBR_FULL_422"  # Two of three, for every second pixel.
        isWhole = len(pixels) >= values * samples * int(data.get("BitsAllocated") or 8) // 8
    if not isWhole:
        raise ValueError(
            f"'{path}' is truncated: it has {len(pixels)} bytes of pixels, fewer than it says; copy it again."
        )


def _withoutCopies(path: Path, files: Sequence[DicomFile]) -> list[DicomFile]:
    """One file of each instance, if copies of it have equal headers and pixels."""
    kept: dict[str, DicomFile] = {}
    for file in files:
        name = str(file.header.get("SOPInstanceUID") or file.path)
        other = kept.setdefault(name, file)
        if other is not file and dcmread(other.path, force=True) != dcmread(file.path, force=True):
            raise ValueError(
                f"'{other.path}' and '{file.path}' differ, but have one SOPInstanceUID; take out the wrong one."
            )
    if len(kept) < len(files):
        noteInput(path, f"{len(files) - len(kept)} files are copies of others and were left out")
    return list(kept.values())


def _readSingle(file: DicomFile) -> tuple[sitk.Image, Sequence[str]]:
    if file.header.get("ImageOrientationPatient") and file.header.get("ImagePositionPatient"):
        checkAxes(_placed(file.path.name, file.header))
    image = sitk.ReadImage(str(file.path))
    return (sitk.JoinSeries(image) if image.GetDimension() == 2 else image), ()


def _readStack(files: Sequence[DicomFile]) -> tuple[sitk.Image, Sequence[str]]:
    """Read several slices, of several files or of one with frames."""
    several = next((file for file in files if file.frames > 1), None)
    if several is not None and len(files) > 1:
        raise ValueError(
            f"it has {len(files)} files, and '{several.path.name}' alone has {several.frames} frames; give one of the"
            " files."
        )
    headers = [file.header for file in files] if several is None else frameHeaders(several.header)
    names = (
        [file.path.name for file in files] if several is None else [f"frame {n}" for n in range(1, len(headers) + 1)]
    )
    spacing = _pixelSpacing(headers, names)
    stack = stackOf([_placed(name, header) for name, header in zip(names, headers, strict=True)], min(spacing))
    if several is None:
        image = sitk.ReadImage([str(files[index].path) for index in stack.order])
    else:
        frames = sitk.ReadImage(str(several.path))
        image = sitk.GetImageFromArray(
            sitk.GetArrayViewFromImage(frames)[list(stack.order)], frames.GetNumberOfComponentsPerPixel() > 1
        )
    return _positioned(image, stack, spacing), stack.notes


def _positioned(image: sitk.Image, stack: Stack, spacing: tuple[float, float]) -> sitk.Image:
    image.SetOrigin(stack.origin.tolist())
    image.SetSpacing((*spacing, stack.distance))
    image.SetDirection(stack.direction.ravel().tolist())
    return upright(image, stack)


def _pixelSpacing(headers: Sequence[Dataset], names: Sequence[str]) -> tuple[float, float]:
    """Along rows and columns, mm, equal in all slices like the number of pixels."""
    grids = []
    for header, name in zip(headers, names, strict=True):
        spacing = [float(value) for value in header.get("PixelSpacing") or ()][::-1]
        if len(spacing) != 2 or not all(math.isfinite(value) and value > 0 for value in spacing):
            raise ValueError(f"{name} has no PixelSpacing above 0; correct its header, or give it alone as a picture.")
        grids.append((float(header.get("Columns") or 0), float(header.get("Rows") or 0), *spacing))
        if not np.allclose(grids[-1], grids[0], rtol=1e-4):
            raise ValueError(
                f"{names[0]} and {name} differ in the number or size of their pixels; give slices of one grid."
            )
    return grids[0][2], grids[0][3]


def _placed(name: str, header: Dataset) -> Placed:
    position, axes = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
    if position is None or axes is None or len(position) != 3 or len(axes) != 6:
        raise ValueError(
            f"{name} has no position or orientation; give one file as a picture, or export the series again."
        )
    numbers = np.array([float(value) for value in (*position, *axes)])
    differs = tuple((tag, str(header.get(tag))) for tag in _DIFFERENCES if header.get(tag) is not None)
    return Placed(name, numbers[:3], numbers[3:6], numbers[6:], differs)
