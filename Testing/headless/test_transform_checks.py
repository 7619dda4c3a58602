"""Transform files, masks and points that look right and are not are refused, or noted where they can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import slicer.util

from UnsupervisedRegistrationLib.headless.point_files import readPoints
from UnsupervisedRegistrationLib.headless.readers import readMask, readTransform
from UnsupervisedRegistrationLib.headless.reading import readingInputs
from UnsupervisedRegistrationLib.headless.transform_checks import noteCoverage

AFFINE = (
    "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
    "Parameters: 1 0 0 0 1 0 0 0 1 4 5 6\nFixedParameters: 0 0 0\n"
)
VECTORS = np.random.default_rng(0).random((6, 7, 8, 3))

LONGEST = np.linalg.norm(VECTORS, axis=-1).max()  # mm; it is on the border.


def vectorImage(vectors: np.ndarray) -> sitk.Image:
    return sitk.GetImageFromArray(vectors, isVector=True)


def writeField(path: Path, vectors: np.ndarray = VECTORS) -> Path:
    sitk.WriteTransform(
        sitk.DisplacementFieldTransform(sitk.Cast(vectorImage(vectors), sitk.sitkVectorFloat64)), str(path)
    )
    return path


def read(path: Path) -> tuple[slicer.vtkMRMLTransformNode, list[str]]:
    with readingInputs({"transform": path}) as reading:
        node = readTransform(slicer.vtkMRMLScene(), path)
    return node, reading.notes.get("transform", [])


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 4])
def test_a_text_file_cut_after_some_lines_is_refused(tmp_path, lines):
    path = tmp_path / "t.tfm"
    path.write_text("".join(AFFINE.splitlines(keepends=True)[:lines]))
    with pytest.raises(ValueError, match=r"is truncated: a transform lacks|is no transform"):
        read(path)


def test_a_whole_text_file_is_read(tmp_path):
    (tmp_path / "t.tfm").write_text(AFFINE)
    node, notes = read(tmp_path / "t.tfm")
    assert node.GetTransformFromParent().TransformPoint(0, 0, 0) == (-4, -5, 6)
    assert notes == []


@pytest.mark.parametrize("matrix", ["0 0 0 0 0 0 0 0 0", "1 0 0 0 1 0 0 0 0", "1 1 0 1 1 0 0 0 1"])
def test_a_zero_or_singular_matrix_is_refused(tmp_path, matrix):
    (tmp_path / "t.tfm").write_text(AFFINE.replace("1 0 0 0 1 0 0 0 1", matrix))
    with pytest.raises(ValueError, match="maps the image to a plane, a line or a point"):
        read(tmp_path / "t.tfm")


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
@pytest.mark.parametrize("name", ["t.h5", "t.nrrd", "t.nii.gz"])
def test_a_cut_field_is_refused(tmp_path, name, share):
    path = tmp_path / name
    sitk.WriteImage(vectorImage(VECTORS), str(path)) if name != "t.h5" else writeField(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"is no transform that Slicer can read|is truncated or damaged"):
        read(path)


@pytest.mark.parametrize("ending", ["h5", "tfm"])
def test_a_planar_transform_is_read_and_noted(tmp_path, ending):
    sitk.WriteTransform(sitk.TranslationTransform(2, (5.0, 6.0)), str(tmp_path / f"t.{ending}"))
    node, notes = read(tmp_path / f"t.{ending}")
    np.testing.assert_allclose(node.GetTransformFromParent().TransformPoint(10, 20, 30), (5, 14, 30))
    assert notes == ["it is a 2-D transform, and moves points along the axes left and back only"]


@pytest.mark.parametrize("vectors", [VECTORS[..., 0], VECTORS[..., :2], VECTORS[0, ..., :2]])
def test_an_image_that_is_no_field_is_refused(tmp_path, vectors):
    sitk.WriteImage(sitk.GetImageFromArray(vectors, isVector=vectors.shape[-1] == 2), str(tmp_path / "t.nrrd"))
    with pytest.raises(ValueError, match="a displacement field has 3 of both"):
        read(tmp_path / "t.nrrd")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_field_with_values_that_are_no_numbers_is_refused(tmp_path, value):
    vectors = VECTORS.copy()
    vectors[2, 3, 4, 0] = value
    with pytest.raises(ValueError, match="has displacements that are NaN or infinite"):
        read(writeField(tmp_path / "t.h5", vectors))


class TestCoverage:
    """The field has voxels at 0 to 7, 0 to 6 and 0 to 5 mm to the left, back and up."""

    def note(self, node: slicer.vtkMRMLTransformNode, size: tuple[int, int, int]) -> list[str]:
        volume = slicer.vtkMRMLScene().AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        slicer.util.updateVolumeFromArray(volume, np.zeros(size, np.uint8))
        volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
        with readingInputs({"transform": Path("t.h5")}) as reading:
            noteCoverage(Path("t.h5"), node, volume)
        return reading.notes.get("transform", [])

    def test_a_field_that_covers_the_image_needs_no_note(self, tmp_path):
        assert self.note(read(writeField(tmp_path / "t.h5"))[0], (6, 7, 8)) == []

    def test_a_field_that_ends_inside_the_image_is_noted(self, tmp_path):
        node, _ = read(writeField(tmp_path / "t.h5"))
        assert self.note(node, (12, 7, 8)) == [
            f"its displacement field covers about 56 % of the image; outside, the displacements of its border, up to"
            f" {LONGEST:.2g} mm, are repeated"
        ]

    def test_a_field_whose_border_is_0_needs_no_note(self, tmp_path):
        vectors = np.zeros_like(VECTORS)
        vectors[1:-1, 1:-1, 1:-1] = 1
        assert self.note(read(writeField(tmp_path / "t.h5", vectors))[0], (12, 7, 8)) == []

    def test_a_matrix_before_the_field_counts(self, tmp_path):
        field = sitk.DisplacementFieldTransform(sitk.Cast(vectorImage(VECTORS), sitk.sitkVectorFloat64))
        both = sitk.CompositeTransform([field, sitk.TranslationTransform(3, (0.0, 0.0, 3.0))])  # The last one is first.
        sitk.WriteTransform(both, str(tmp_path / "t.h5"))
        assert len(self.note(read(tmp_path / "t.h5")[0], (6, 7, 8))) == 1


def test_voxels_of_a_mask_that_are_no_numbers_count_as_outside(tmp_path):
    voxels = np.ones((2, 4, 5), np.float32)
    voxels[0, 0], voxels[1, 0, 0] = np.nan, np.inf
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "m.nrrd"))
    with readingInputs({"mask": tmp_path / "m.nrrd"}) as reading:
        mask = slicer.util.arrayFromVolume(readMask(slicer.vtkMRMLScene(), tmp_path / "m.nrrd"))
    np.testing.assert_array_equal(mask, np.isfinite(voxels))
    assert reading.notes == {"mask": ["6 of its voxels are NaN or infinite, and count as outside"]}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a,nan,0,0", "lies at"),
        ("a,inf,0,0", "lies at"),
        ("a,100000,0,0", "lies at"),
        ("a,1,2,three", "a point has the position 1, 2, three; needed are three numbers in mm"),
    ],
)
def test_a_point_that_makes_no_sense_is_refused(tmp_path, row, sentence):
    (tmp_path / "p.csv").write_text(f"label,r,a,s\n{row}\n")
    with pytest.raises(ValueError, match=sentence):
        readPoints(tmp_path / "p.csv")
