"""The command ``dicom`` writes a transform between two series as a DICOM object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.scene.exchange.dicom_registration import readDicomRegistration

SHIFT = (3.0, -2.0, 1.0)  # LPS mm, from the fixed to the moving position.


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    """Two folders with an image of 3 slices each."""
    return [writeSlices(tmp_path / name) for name in ("fixed", "moving")]


def writeSlices(folder: Path) -> Path:
    folder.mkdir()
    image = pydicom.Dataset()
    image.PatientName, image.PatientID, image.Modality = "Doe^Jo", "7", "CT"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    image.SOPClassUID, image.ImageOrientationPatient = CTImageStorage, [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.Rows, image.Columns, image.SamplesPerPixel = [1, 1], 20, 24, 1
    image.PhotometricInterpretation, image.BitsAllocated, image.BitsStored = "MONOCHROME2", 16, 16
    image.HighBit, image.PixelRepresentation = 15, 1
    for index in range(3):
        image.SOPInstanceUID, image.InstanceNumber = generate_uid(), index + 1
        image.ImagePositionPatient = [0, 0, 2 * index]
        image.PixelData = np.full((20, 24), index, np.int16).tobytes()
        image.file_meta = pydicom.dataset.FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(folder / f"{index}.dcm", image, enforce_file_format=True)
    return folder


def writeField(path: Path) -> Path:
    """A displacement field that shifts everything; stored by SimpleITK as from the fixed to the moving position."""
    field = sitk.GetImageFromArray(np.broadcast_to(np.array(SHIFT), (3, 20, 24, 3)).copy(), isVector=True)
    field.SetSpacing((1, 1, 2))
    sitk.WriteTransform(sitk.DisplacementFieldTransform(field), str(path))
    return path


def run(series: list[Path], transform: Path, output: Path) -> int:
    return main(["dicom", *map(str, series), "--transform", str(transform), "--output", str(output)])


def test_a_field_becomes_a_deformable_registration(series: list[Path], tmp_path: Path, capsys: Any, scene: Any) -> None:
    output = tmp_path / "new" / "registration.dcm"
    assert run(series, writeField(tmp_path / "field.h5"), output) == 0
    assert "Deformable Spatial Registration of 3 moving to 3 fixed instances" in capsys.readouterr().out
    node = readDicomRegistration(scene, output)
    moved = np.array(node.GetTransformFromParent().TransformPoint((-10.0, -10.0, 2.0))) * [-1, -1, 1]
    assert moved == pytest.approx(np.add((10, 10, 2), SHIFT), abs=1e-4)


def test_a_matrix_becomes_a_spatial_registration(series: list[Path], tmp_path: Path, scene: Any) -> None:
    transform = sitk.AffineTransform(3)
    transform.SetTranslation(SHIFT)
    sitk.WriteTransform(transform, str(tmp_path / "matrix.tfm"))
    output = tmp_path / "registration.dcm"
    assert run(series, tmp_path / "matrix.tfm", output) == 0
    item = pydicom.dcmread(output).RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
    matrix = np.reshape([float(value) for value in item.FrameOfReferenceTransformationMatrix], (4, 4))
    assert matrix[:3, 3] == pytest.approx(np.negative(SHIFT))  # From the moving to the fixed position.


def test_images_without_dicom_headers_are_refused(series: list[Path], tmp_path: Path, capsys: Any) -> None:
    picture = tmp_path / "picture.nrrd"
    sitk.WriteImage(sitk.Image([24, 20, 3], sitk.sitkInt16), str(picture))
    output = tmp_path / "registration.dcm"
    assert run([series[0], picture], writeField(tmp_path / "field.h5"), output) == 2
    assert "is no DICOM file" in capsys.readouterr().err
    assert not output.exists()


def test_a_folder_in_place_of_the_file_is_a_sentence(series: list[Path], tmp_path: Path, capsys: Any) -> None:
    assert run(series, writeField(tmp_path / "field.h5"), tmp_path) == 2
    assert "registration" in capsys.readouterr().err
