"""DICOM slices of a known volume, and every way to spoil them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

SIZE = (40, 32)  # Columns and rows.
PIXEL_MM = (0.7, 0.5)  # Along rows and columns.
INTERCEPT = -100
EVEN = tuple((0.0, 0.0, 2.0 * k) for k in range(6))
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
Change = Callable[[Dataset], Any]


def intensity(points: np.ndarray) -> np.ndarray:
    """The known volume: at points ``(..., 3)``, LPS mm; linear, so that interpolation keeps it."""
    return np.asarray(points @ [3.0, 2.0, 5.0] + 200)


def slicePixels(position: Sequence[float], axes: Sequence[float] = AXIAL) -> np.ndarray:
    rows, columns = np.array(axes[:3]), np.array(axes[3:])
    i, j = np.arange(SIZE[0]) * PIXEL_MM[0], np.arange(SIZE[1]) * PIXEL_MM[1]
    points = np.array(position) + i[None, :, None] * rows + j[:, None, None] * columns
    return np.rint(intensity(points) - INTERCEPT).astype(np.uint16)


def dicomSlice(position: Sequence[float], number: int, axes: Sequence[float] = AXIAL) -> Dataset:
    data = Dataset()
    data.Modality, data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "CT", "1.2", "1.3", "1.4"
    data.SeriesNumber, data.SeriesDescription = 3, "thin"
    data.SOPClassUID, data.SOPInstanceUID, data.InstanceNumber = CTImageStorage, f"1.5.{number}", number
    data.ImageOrientationPatient, data.ImagePositionPatient = list(axes), list(position)
    data.PixelSpacing, data.Rows, data.Columns, data.SamplesPerPixel = [*PIXEL_MM[::-1]], SIZE[1], SIZE[0], 1
    data.PhotometricInterpretation, data.BitsAllocated, data.BitsStored, data.HighBit = "MONOCHROME2", 16, 16, 15
    data.PixelRepresentation, data.RescaleSlope, data.RescaleIntercept = 0, 1, INTERCEPT
    data.PixelData = slicePixels(position, axes).tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return data


def writeSeries(
    folder: Path,
    positions: Sequence[Sequence[float]] = EVEN,
    change: Change = lambda data: None,
    axes: Sequence[float] = AXIAL,
    name: str = "",
) -> Path:
    """Write a file a slice, in an order that is not the one of their numbers."""
    folder.mkdir(exist_ok=True)
    for number, position in enumerate(positions, 1):
        data = dicomSlice(position, number, axes)
        change(data)
        dcmwrite(folder / f"{name}{len(positions) - number}.dcm", data, enforce_file_format=True)
    return folder


def writeFrames(path: Path, positions: Sequence[Sequence[float]], times: Sequence[int] = ()) -> Path:
    """Write an Enhanced CT image with a frame for each position."""
    data = dicomSlice(positions[0], 1)
    data.SOPClassUID, data.NumberOfFrames = EnhancedCTImageStorage, len(positions)
    data.PixelData = np.stack([slicePixels(position) for position in positions]).tobytes()
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [Dataset()], [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = list(AXIAL)
    shared.PixelMeasuresSequence[0].PixelSpacing = [*PIXEL_MM[::-1]]
    shared.PixelValueTransformationSequence = [Dataset()]
    transformation = shared.PixelValueTransformationSequence[0]
    transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = 1, INTERCEPT, "HU"
    for name in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(data, name)
    frames = []
    for number, position in enumerate(positions):
        frame, place, content = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = list(position)
        content.TemporalPositionIndex = times[number] if times else 1
        frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
        frames.append(frame)
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], frames
    dcmwrite(path, data, enforce_file_format=True)
    return path
