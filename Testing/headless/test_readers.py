"""Files become nodes whose voxels lie where the file says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import slicer.util
from scipy.spatial.transform import Rotation

from UnsupervisedRegistrationLib.headless.readers import readLandmarks, readMask, readTransform, readVolume
from UnsupervisedRegistrationLib.scene.landmarks.markups import addLandmarks

MM = 1e-4  # NIfTI keeps positions in float32.
FLIP = np.diag([-1.0, -1, 1, 1])  # LPS to RAS.
DIRECTIONS = {
    "LPS": np.eye(3),
    "RAS": np.diag([-1.0, -1, 1]),
    "sagittal": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
    "oblique": Rotation.from_euler("xyz", [20, -15, 35], degrees=True).as_matrix(),
}
SPACING, ORIGIN = (0.7, 0.9, 2.5), (10.0, -20.0, 30.0)
RANDOM = np.random.default_rng(0)


def itkImage(voxels, direction=DIRECTIONS["LPS"], **options):
    image = sitk.GetImageFromArray(voxels, **options)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(direction.ravel())
    return image


def expectedMatrix(direction):
    matrix = np.eye(4)
    matrix[:3, :3] = direction * SPACING
    matrix[:3, 3] = ORIGIN
    return FLIP @ matrix


def ijkToRas(volume):
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def writeDicom(folder, voxels, direction, series="1.2.3.4"):
    """One file a slice, numbered against the order of their positions."""
    folder.mkdir(exist_ok=True)
    writer, image = sitk.ImageFileWriter(), itkImage(voxels, direction)
    writer.KeepOriginalImageUIDOn()
    for k in range(len(voxels)):
        part = image[:, :, k : k + 1]
        position = image.TransformIndexToPhysicalPoint((0, 0, k))
        cosines = [*direction[:, 0], *direction[:, 1]]
        for tag, value in {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4",  # MR Image Storage.
            "0008|0060": "MR",
            "0008|103e": "cine sax",
            "0018|0015": "HEART",
            "0008|0018": f"{series}.{k + 1}",
            "0020|000d": "1.2.3",
            "0020|000e": series,
            "0020|0013": str(len(voxels) - k),
            "0020|0032": "\\".join(f"{x:.9f}" for x in position),
            "0020|0037": "\\".join(f"{x:.9f}" for x in cosines),
            "0018|0050": str(SPACING[2]),
        }.items():
            part.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{series}.{len(voxels) - k}.dcm"))
        writer.Execute(part)
    return folder


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_a_volume_file_keeps_voxels_and_position(scene, tmp_path, ending, direction):
    voxels = RANDOM.integers(-100, 900, (3, 4, 5)).astype(np.int16)
    sitk.WriteImage(itkImage(voxels, DIRECTIONS[direction]), str(tmp_path / f"head.{ending}"))
    volume = readVolume(scene, tmp_path / f"head.{ending}")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), voxels)
    np.testing.assert_allclose(ijkToRas(volume), expectedMatrix(DIRECTIONS[direction]), atol=MM)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_folder_of_dicom_files_keeps_voxels_and_position(scene, tmp_path, direction):
    voxels = RANDOM.integers(0, 900, (3, 4, 5)).astype(np.int16)
    volume = readVolume(scene, writeDicom(tmp_path / "series", voxels, DIRECTIONS[direction]))
    np.testing.assert_allclose(ijkToRas(volume), expectedMatrix(DIRECTIONS[direction]), atol=MM)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), voxels)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_one_dicom_file_is_a_volume_of_one_slice(scene, tmp_path, direction):
    voxels = RANDOM.integers(0, 900, (1, 4, 5)).astype(np.int16)
    folder = writeDicom(tmp_path, voxels, DIRECTIONS[direction])
    volume = readVolume(scene, folder / "1.2.3.4.1.dcm")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), voxels)
    np.testing.assert_allclose(ijkToRas(volume), expectedMatrix(DIRECTIONS[direction]), atol=MM)


def test_modality_and_descriptions_of_dicom_files_are_noted(scene, tmp_path):
    voxels = RANDOM.integers(0, 900, (3, 4, 5)).astype(np.int16)
    folder = writeDicom(tmp_path / "series", voxels, np.eye(3))
    for source in (folder, folder / "1.2.3.4.1.dcm"):
        volume = readVolume(scene, source)
        assert volume.GetVoxelValueQuantity().GetCodeMeaning() == "MR signal intensity"
        assert volume.GetDescription() == "HEART cine sax"


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_a_file_of_two_dimensions_is_one_slice(scene, tmp_path, ending):
    pixels = RANDOM.random((6, 7)).astype(np.float32)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((0.5, 0.6))
    sitk.WriteImage(image, str(tmp_path / f"slice.{ending}"))
    volume = readVolume(scene, tmp_path / f"slice.{ending}")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), pixels[None])
    np.testing.assert_allclose(volume.GetSpacing()[:2], (0.5, 0.6), atol=MM)


@pytest.mark.parametrize("type_", ["uint8", "uint16"])
def test_a_png_keeps_its_pixels(scene, tmp_path, type_):
    pixels = RANDOM.integers(0, np.iinfo(type_).max, (6, 7)).astype(type_)
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(tmp_path / "film.png"))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(readVolume(scene, tmp_path / "film.png")), pixels[None])


def test_a_png_lies_as_it_is_looked_at(scene, tmp_path):
    """1 mm pixels at the origin, columns to the patient's left and rows to the back."""
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((6, 7), np.uint8)), str(tmp_path / "film.png"))
    np.testing.assert_array_equal(ijkToRas(readVolume(scene, tmp_path / "film.png")), FLIP)


def test_a_jpeg_keeps_its_pixels_nearly(scene, tmp_path):
    pixels = np.tile(np.arange(0, 240, 10, np.uint8), (24, 1))
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(tmp_path / "film.jpg"))
    read = slicer.util.arrayFromVolume(readVolume(scene, tmp_path / "film.jpg")).astype(int)
    np.testing.assert_allclose(read[0], pixels, atol=8)  # Its compression loses a few grey values of 255.


def test_a_colour_png_keeps_its_colours(scene, tmp_path):
    colours = RANDOM.integers(0, 255, (6, 7, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / "photo.png"))
    volume = readVolume(scene, tmp_path / "photo.png")
    assert volume.IsA("vtkMRMLVectorVolumeNode")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), colours[None])


@pytest.mark.parametrize("type_", ["int64", "float64", "uint32"])
def test_wide_numbers_keep_their_value(scene, tmp_path, type_):
    voxels = RANDOM.integers(0, 5000, (2, 3, 4)).astype(type_)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "wide.nrrd"))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(readVolume(scene, tmp_path / "wide.nrrd")), voxels)


def test_of_complex_numbers_the_magnitude_is_read(scene, tmp_path):
    voxels = np.full((2, 3, 4), 3 - 4j, np.complex64)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "k.nii"))
    np.testing.assert_allclose(slicer.util.arrayFromVolume(readVolume(scene, tmp_path / "k.nii")), 5)


@pytest.mark.parametrize("name", ["head.nii.gz", "head.nrrd"])
def test_a_volume_is_named_after_its_file(scene, tmp_path, name):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4), np.uint8)), str(tmp_path / name))
    assert readVolume(scene, tmp_path / name).GetName() == "head"


def test_a_missing_file_is_named(scene, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*nowhere\.nii'; check the path"):
        readVolume(scene, tmp_path / "nowhere.nii")


def test_text_with_the_ending_of_an_image_is_refused(scene, tmp_path):
    (tmp_path / "text.nii").write_text("This is no image.")
    with pytest.raises(ValueError, match=r"text\.nii' cannot be read as an image; needed is NIfTI"):
        readVolume(scene, tmp_path / "text.nii")


def test_a_series_over_time_is_refused(scene, tmp_path):
    image = sitk.JoinSeries([sitk.GetImageFromArray(np.zeros((2, 3, 4), np.uint8))] * 2)
    sitk.WriteImage(image, str(tmp_path / "time.nii.gz"))
    with pytest.raises(ValueError, match="has 4 dimensions; needed is a 2-D or 3-D image"):
        readVolume(scene, tmp_path / "time.nii.gz")


def test_a_folder_without_dicom_is_refused(scene, tmp_path):
    with pytest.raises(ValueError, match="holds no DICOM series"):
        readVolume(scene, tmp_path)


def test_a_mask_is_every_label_above_nought(scene, tmp_path):
    voxels = RANDOM.integers(0, 4, (3, 4, 5)).astype(np.uint8)
    sitk.WriteImage(itkImage(voxels, DIRECTIONS["oblique"]), str(tmp_path / "mask.nrrd"))
    mask = readMask(scene, tmp_path / "mask.nrrd")
    assert mask.IsA("vtkMRMLLabelMapVolumeNode")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(mask), voxels > 0)
    np.testing.assert_allclose(ijkToRas(mask), expectedMatrix(DIRECTIONS["oblique"]), atol=MM)


def test_layers_of_a_mask_are_joined(scene, tmp_path):
    layers = RANDOM.integers(0, 2, (3, 4, 5, 2)).astype(np.uint8)
    sitk.WriteImage(itkImage(layers, isVector=True), str(tmp_path / "mask.seg.nrrd"))
    mask = readMask(scene, tmp_path / "mask.seg.nrrd")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(mask), layers.any(axis=-1))


@pytest.mark.parametrize("ending", ["h5", "tfm"])
def test_a_transform_maps_as_in_itk(scene, tmp_path, ending):
    """ITK's maps fixed to moving in LPS; that is Slicer's transform from the parent in RAS."""
    transform = sitk.Euler3DTransform((1, 2, 3), 0.1, -0.2, 0.3, (4, 5, 6))
    sitk.WriteTransform(transform, str(tmp_path / f"t.{ending}"))
    fromParent = readTransform(scene, tmp_path / f"t.{ending}").GetTransformFromParent()
    expected = np.array(transform.TransformPoint((-7.0, -8.0, 9.0))) * [-1, -1, 1]
    np.testing.assert_allclose(fromParent.TransformPoint(7, 8, 9), expected, atol=MM)


def test_landmarks_keep_label_and_position(scene, tmp_path):
    written = addLandmarks(scene, "Points", {"nose": (1.0, 2.0, 3.0), "chin": (-4.0, 5.0, -6.0)})
    storage = slicer.vtkMRMLMarkupsJsonStorageNode()
    storage.SetFileName(str(tmp_path / "points.mrk.json"))
    assert storage.WriteData(written)
    node = readLandmarks(scene, tmp_path / "points.mrk.json")
    assert [node.GetNthControlPointLabel(index) for index in range(2)] == ["nose", "chin"]
    np.testing.assert_allclose(slicer.util.arrayFromMarkupsControlPoints(node), [[1, 2, 3], [-4, 5, -6]])


@pytest.mark.parametrize("content", ["This is no list.", json.dumps({"points": []}), "[]", ""])
def test_a_file_without_landmarks_is_refused_and_leaves_no_node(scene, tmp_path, content):
    (tmp_path / "points.mrk.json").write_text(content)
    before = scene.GetNumberOfNodes()
    with pytest.raises(ValueError, match=r"points\.mrk\.json' holds no landmarks"):
        readLandmarks(scene, tmp_path / "points.mrk.json")
    assert scene.GetNumberOfNodes() == before


def test_a_file_without_transform_is_refused_and_leaves_no_node(scene, tmp_path):
    (tmp_path / "t.h5").write_text("This is no transform.")
    before = scene.GetNumberOfNodes()
    with pytest.raises(ValueError, match=r"t\.h5' is no transform that Slicer can read"):
        readTransform(scene, tmp_path / "t.h5")
    assert scene.GetNumberOfNodes() == before


@pytest.mark.parametrize("read", [readMask, readTransform, readLandmarks])
def test_every_missing_file_is_named(scene, tmp_path, read):
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*nowhere'"):
        read(scene, tmp_path / "nowhere")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_nifti_file_with_voxels_that_are_no_numbers_is_refused(scene, tmp_path, ending, value):
    voxels = np.ones((3, 20, 20), np.float32)
    voxels[1, 3, 4] = value
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / f"a.{ending}"))
    with pytest.raises(ValueError, match="NaN or infinite"):
        readVolume(scene, tmp_path / f"a.{ending}")


def test_a_cut_file_is_refused(scene, tmp_path):
    voxels = np.random.default_rng(1).integers(0, 1000, (8, 40, 40)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "a.nii.gz"))
    whole = (tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated or damaged"):
        readVolume(scene, tmp_path / "a.nii.gz")


def test_the_opacity_of_a_picture_is_no_mask(scene, tmp_path):
    picture = np.zeros((20, 20, 4), np.uint8)
    picture[..., 3] = 255
    picture[5:8, 5:8, :3] = 255
    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(tmp_path / "mask.png"))
    assert slicer.util.arrayFromVolume(readMask(scene, tmp_path / "mask.png")).sum() == 9
