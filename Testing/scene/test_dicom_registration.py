"""DICOM registration objects: written, checked by dciodvfy, and applied by a reader made from PS3.3 C.20 alone."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest
import slicer
import slicer.util
import vtk
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.ndimage import map_coordinates

from UnsupervisedRegistrationLib.headless.readers import readVolume
from UnsupervisedRegistrationLib.scene.exchange.dicom_headers import headersOfFiles, headersOfVolume
from UnsupervisedRegistrationLib.scene.exchange.dicom_registration import (
    readDicomRegistration,
    writeDicomRegistration,
)
from UnsupervisedRegistrationLib.scene.geometry.result_transform import fixedRole, movingRole, setResultTransform
from UnsupervisedRegistrationLib.scene.propagation.hardened_copy import hardenedCopy
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs, samplePair

LPS = np.array([-1.0, -1.0, 1.0])
TILTED = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
DEFORMABLE, SPATIAL = "1.2.840.10008.5.1.4.1.1.66.3", "1.2.840.10008.5.1.4.1.1.66.1"


def writeSeries(folder: Path, seed: int, study: str, axes: np.ndarray) -> Path:
    """A CT series of 5 slices of 32 x 40 pixels, 0.8 x 0.9 x 3 mm, with smooth random voxels."""
    from scipy.ndimage import gaussian_filter

    folder.mkdir()
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((5, 32, 40)), (0.5, 2, 2))
    voxels = (1000 * (noise - noise.min()) / np.ptp(noise)).astype(np.int16)
    series, frame = generate_uid(), generate_uid()
    for index, pixels in enumerate(voxels):
        header = pydicom.Dataset()
        header.PatientName, header.PatientID, header.PatientBirthDate, header.PatientSex = "Doe^Jo", "7", "", "O"
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, frame
        header.StudyDate, header.StudyTime, header.StudyID, header.AccessionNumber = "20200101", "1200", "1", ""
        header.ReferringPhysicianName, header.Modality, header.SeriesDescription = "", "CT", f"Series {seed}"
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, generate_uid()
        header.InstanceNumber, header.PositionReferenceIndicator = index + 1, ""
        header.ImageOrientationPatient = [f"{value:.6f}" for value in axes[:, :2].T.ravel()]
        header.ImagePositionPatient = [f"{value:.6f}" for value in axes @ [-20, 15, 3 * index - 6]]
        header.PixelSpacing, header.SliceThickness = [0.9, 0.8], 3
        header.Rows, header.Columns, header.SamplesPerPixel = *pixels.shape, 1
        header.PhotometricInterpretation, header.BitsAllocated, header.BitsStored = "MONOCHROME2", 16, 16
        header.HighBit, header.PixelRepresentation, header.RescaleSlope, header.RescaleIntercept = 15, 1, 1, 0
        header.PixelData = pixels.tobytes()
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(folder / f"{index}.dcm", header, enforce_file_format=True)
    return folder


@pytest.fixture(params=[np.eye(3), TILTED], ids=["axial", "tilted"])
def images(request: pytest.FixtureRequest, scene: Any, tmp_path: Path) -> SimpleNamespace:
    """A fixed and a moving image of two studies, as nodes and as headers."""
    folders = [writeSeries(tmp_path / f"series{n}", n, generate_uid(), request.param) for n in range(2)]
    fixed, moving = (readVolume(scene, folder) for folder in folders)
    headers = [headersOfFiles(sorted(folder.iterdir())) for folder in folders]
    return SimpleNamespace(fixed=fixed, moving=moving, headers=headers, folders=folders, path=tmp_path / "reg.dcm")


def write(images: Any, node: Any) -> str:
    return writeDicomRegistration(node, images.fixed, *images.headers, images.path)


def resultOf(images: Any, transform: vtk.vtkAbstractTransform) -> Any:
    node = images.fixed.GetScene().AddNewNodeByClass("vtkMRMLTransformNode", "Result")
    setResultTransform(node, transform, None, images.fixed, images.moving)
    return node


@pytest.fixture
def result(images: Any, handmade: Callable[..., Any]) -> Any:
    """A deformation of the middle slice, as the module makes it, after a pre-alignment of 2 mm."""
    import dataclasses

    pair = samplePair(SliceInputs(images.fixed, images.moving))
    shift = np.eye(4)
    shift[:3, 3] = 2.0, 1.0, 0.0
    pair = dataclasses.replace(pair, prealignmentMatrix=shift)
    return showSliceResult(pair, handmade(pair.plane.shape), SliceOutputs()).transformNode


# The reader of the tests, from PS3.3. C.20.3.1.1: source = M_post (M_pre registered + offset).
# C.20.2.1.1: registered = M source.


def sourcePosition(path: Path, registered: np.ndarray) -> np.ndarray:
    """Where positions ``(N, 3)`` of the registered frame of reference lie in the source frame; LPS mm."""
    dataset = pydicom.dcmread(path)
    if dataset.SOPClassUID == SPATIAL:
        item = dataset.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
        return apply(np.linalg.inv(matrixIn(item)), registered)
    item = dataset.DeformableRegistrationSequence[1]
    pre = matrixIn(item.PreDeformationMatrixRegistrationSequence[0])
    post = matrixIn(item.PostDeformationMatrixRegistrationSequence[0])
    grid = item.DeformableRegistrationGridSequence[0]
    row, column = np.reshape([float(value) for value in grid.ImageOrientationPatient], (2, 3))
    axes = np.stack([row, column, np.cross(row, column)], axis=1)
    start = np.array([float(value) for value in grid.ImagePositionPatient])
    indices = (registered - start) @ axes / grid.GridResolution
    size = list(grid.GridDimensions)
    values = np.frombuffer(grid.VectorGridData, "<f4").reshape(size[2], size[1], size[0], 3)
    offsets = [map_coordinates(values[..., c], indices.T[::-1], order=1, mode="constant") for c in range(3)]
    return apply(post, apply(pre, registered) + np.stack(offsets, axis=-1))


def matrixIn(item: Any) -> np.ndarray:
    return np.reshape([float(value) for value in item.FrameOfReferenceTransformationMatrix], (4, 4))


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def voxelPositions(volume: Any, k: int) -> np.ndarray:
    """RAS of the inner voxels of a slice, ``(N, 3)`` mm."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    j, i = np.indices((32, 40))[:, 4:-4, 4:-4].reshape(2, -1)
    return np.stack([i, j, np.full_like(i, k), np.ones_like(i)], -1) @ slicer.util.arrayFromVTKMatrix(matrix)[:3].T


def mapped(node: Any, points: np.ndarray) -> np.ndarray:
    return np.array([node.GetTransformFromParent().TransformPoint(point) for point in points])


def test_a_deformation_maps_every_fixed_voxel_as_the_transform_does(images: Any, result: Any) -> None:
    assert write(images, result) == "Deformable Spatial Registration"
    for k in range(5):
        points = voxelPositions(images.fixed, k)
        read = sourcePosition(images.path, points * LPS) * LPS
        assert np.abs(read - mapped(result, points)).max() < 1e-4  # mm, float32 offsets


@pytest.mark.parametrize("kind", ["grid", "spline"])
def test_any_other_transform_is_sampled_at_the_fixed_voxels(images: Any, makeParent: Any, kind: str) -> None:
    node = resultOf(images, makeParent(kind).GetTransformFromParent())
    write(images, node)
    points = voxelPositions(images.fixed, 2)
    assert np.abs(sourcePosition(images.path, points * LPS) * LPS - mapped(node, points)).max() < 1e-4


def test_an_inverse_of_a_grid_is_not_taken_for_the_grid(images: Any, makeParent: Any) -> None:
    node = resultOf(images, makeParent("grid").GetTransformToParent())
    write(images, node)
    points = voxelPositions(images.fixed, 2)
    assert np.abs(sourcePosition(images.path, points * LPS) * LPS - mapped(node, points)).max() < 1e-4


def test_a_linear_registration_takes_the_moving_to_the_fixed_position(images: Any, makeParent: Any) -> None:
    """Proven by one landmark: at ``fixed`` in the fixed image, and at ``moving`` in the moving one."""
    node = resultOf(images, makeParent("linear").GetTransformFromParent())
    assert write(images, node) == "Spatial Registration"
    fixed = np.array([4.0, -7.0, 3.0])
    moving = np.array(node.GetTransformFromParent().TransformPoint(fixed))
    item = pydicom.dcmread(images.path).RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
    assert item.FrameOfReferenceTransformationMatrixType == "RIGID"
    assert apply(matrixIn(item), moving[None] * LPS) * LPS == pytest.approx(fixed[None], abs=1e-9)


def test_a_deformation_takes_the_fixed_to_the_moving_position(images: Any) -> None:
    """A landmark at ``fixed`` lies 5 mm to the left and 2 mm up in the moving image; nothing else is known here."""
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    fixed = voxelPositions(images.fixed, 2)[300]
    moving = np.add(fixed, (-5.0, 0.0, 2.0))
    for start, end in ((fixed, moving), *((fixed + p, fixed + p) for p in 90 * np.eye(3))):
        source.InsertNextPoint(start)
        target.InsertNextPoint(end)
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    write(images, resultOf(images, spline))
    assert sourcePosition(images.path, fixed[None] * LPS) * LPS == pytest.approx(moving[None], abs=0.1)


def test_the_warped_image_is_the_same_after_reading_back(images: Any, result: Any) -> None:
    write(images, result)
    read = readDicomRegistration(images.fixed.GetScene(), images.path, images.fixed, images.moving)
    first = slicer.util.arrayFromVolume(hardenedCopy(images.moving, result)).astype(float)
    images.moving.SetAndObserveTransformNodeID(read.GetID())
    second = slicer.util.arrayFromVolume(hardenedCopy(images.moving, read)).astype(float)
    assert np.ptp(first) > 500
    assert np.abs(first - second).max() <= 1e-3 * np.ptp(first)


def test_a_linear_registration_is_the_same_after_reading_back(images: Any, makeParent: Any) -> None:
    node = resultOf(images, makeParent("linear").GetTransformFromParent())
    write(images, node)
    read = readDicomRegistration(images.fixed.GetScene(), images.path)
    points = voxelPositions(images.fixed, 1)
    assert read.IsLinear()
    assert np.abs(mapped(read, points) - mapped(node, points)).max() < 1e-8


def test_both_roles_are_set_when_reading_back(images: Any, result: Any) -> None:
    write(images, result)
    read = readDicomRegistration(images.fixed.GetScene(), images.path, images.fixed, images.moving)
    assert read.GetNodeReference(fixedRole()) is images.fixed
    assert read.GetNodeReference(movingRole()) is images.moving
    assert read.GetName() == "Series 1 to Series 0"


def test_a_matrix_before_the_grid_is_applied_when_reading(images: Any, makeParent: Any) -> None:
    write(images, resultOf(images, makeParent("spline").GetTransformFromParent()))
    dataset = pydicom.dcmread(images.path)
    item = dataset.DeformableRegistrationSequence[1].PreDeformationMatrixRegistrationSequence[0]
    item.FrameOfReferenceTransformationMatrix = [0, -1, 0, 3, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    dataset.save_as(images.path)
    read = readDicomRegistration(images.fixed.GetScene(), images.path)
    points = voxelPositions(images.fixed, 2)
    assert np.abs(mapped(read, points) - sourcePosition(images.path, points * LPS) * LPS).max() < 1e-3


def test_the_parent_of_the_fixed_volume_is_part_of_the_way(images: Any, makeParent: Any) -> None:
    node, parent = resultOf(images, makeParent("grid").GetTransformFromParent()), makeParent("linear")
    images.fixed.SetAndObserveTransformNodeID(parent.GetID())
    write(images, node)
    points = voxelPositions(images.fixed, 2)
    world = np.array([parent.GetTransformToParent().TransformPoint(point) for point in points])
    assert np.abs(sourcePosition(images.path, points * LPS) * LPS - mapped(node, world)).max() < 1e-4


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="The package dicom3tools is not installed.")
@pytest.mark.parametrize("kind", ["linear", "grid"])
def test_dciodvfy_reports_no_error(images: Any, makeParent: Any, kind: str) -> None:
    write(images, resultOf(images, makeParent(kind).GetTransformFromParent()))
    said = subprocess.run(["dciodvfy", images.path], capture_output=True, text=True, check=False)
    errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    assert errors == []
    assert "SpatialRegistration" in said.stdout + said.stderr


def test_all_instances_of_both_images_are_named(images: Any, result: Any) -> None:
    write(images, result)
    dataset = pydicom.dcmread(images.path)
    (own,), (other,) = dataset.ReferencedSeriesSequence, dataset.StudiesContainingOtherReferencedInstancesSequence
    named = [own, other.ReferencedSeriesSequence[0]]
    for item, series, headers in zip(dataset.DeformableRegistrationSequence, named, images.headers, strict=True):
        instances = {header.SOPInstanceUID for header in headers}
        assert {each.ReferencedSOPInstanceUID for each in item.ReferencedImageSequence} == instances
        assert {each.ReferencedSOPInstanceUID for each in series.ReferencedInstanceSequence} == instances
        assert item.SourceFrameOfReferenceUID == headers[0].FrameOfReferenceUID
    assert dataset.FrameOfReferenceUID == images.headers[0][0].FrameOfReferenceUID


def test_a_volume_that_did_not_come_from_dicom_is_refused(scene: Any, makeVolume: Any) -> None:
    with pytest.raises(ValueError, match="'Volume' has no DICOM instances in the database"):
        headersOfVolume(makeVolume(np.eye(4)))


def test_the_headers_of_a_volume_come_from_the_database(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {pydicom.dcmread(path).SOPInstanceUID: str(path) for path in images.folders[0].iterdir()}
    monkeypatch.setattr(slicer, "dicomDatabase", SimpleNamespace(fileForInstance=files.get), raising=False)
    images.fixed.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    assert {header.SOPInstanceUID for header in headersOfVolume(images.fixed)} == set(files)
    images.fixed.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    with pytest.raises(ValueError, match="has no DICOM instances in the database"):
        headersOfVolume(images.fixed)


def test_an_image_without_a_frame_of_reference_is_refused(images: Any) -> None:
    path = images.folders[0] / "0.dcm"
    dataset = pydicom.dcmread(path)
    del dataset.FrameOfReferenceUID
    dataset.save_as(path)
    with pytest.raises(ValueError, match="has no FrameOfReferenceUID"):
        headersOfFiles([path])


def test_a_singular_matrix_is_refused(images: Any) -> None:
    flat = vtk.vtkTransform()
    flat.Scale(1, 1, 0)
    with pytest.raises(ValueError, match="singular"):
        write(images, resultOf(images, flat))
    assert not images.path.exists()


def test_an_image_is_no_registration(images: Any) -> None:
    with pytest.raises(ValueError, match="holds no registration of one moving image"):
        readDicomRegistration(images.fixed.GetScene(), images.folders[0] / "0.dcm")


def test_a_text_file_is_no_registration(images: Any) -> None:
    images.path.write_text("x" * 200)
    with pytest.raises(ValueError, match="is no DICOM file"):
        readDicomRegistration(images.fixed.GetScene(), images.path)
