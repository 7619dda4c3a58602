"""Files that ITK reads without a word, though they are cut, too large or without a size, are refused."""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.application import outputName
from UnsupervisedRegistrationLib.headless.path_names import checkName
from UnsupervisedRegistrationLib.headless.readers import readTransform, readVolume
from UnsupervisedRegistrationLib.headless.reading import readingInputs

VOXELS = np.random.default_rng(0).integers(0, 255, (1, 60, 80)).astype(np.uint8)


def refused(path, sentence, read=readVolume):
    with pytest.raises((ValueError, OSError), match=sentence):
        read(slicer.vtkMRMLScene(), path)


def halved(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_cut_nifti_file(tmp_path, name):
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / name))
    refused(halved(tmp_path / name), "truncated or damaged")


@pytest.mark.parametrize("share", [0.98, 0.5, 0.02])
@pytest.mark.parametrize("name", ["a.NII", "a.tif", "a.png", "a.nrrd", "a.mha"])
def test_a_cut_file(tmp_path, name, share):
    pixels = VOXELS if name[-3:] in ("nrd", "mha", "NII") else VOXELS[0]
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(tmp_path / name.lower()))
    content = (tmp_path / name.lower()).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    refused(tmp_path / name, "truncated or damaged|cannot be read as an image")


def test_a_cut_pair_of_header_and_voxels(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / "a.hdr"))
    halved(tmp_path / "a.img")
    for name in ("a.hdr", "a.img"):
        refused(tmp_path / name, "truncated or damaged")


@pytest.mark.parametrize("name", ["a.jpg", "a.bmp"])
def test_a_cut_picture(tmp_path, name):
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS[0]), str(tmp_path / name))
    assert readVolume(slicer.vtkMRMLScene(), tmp_path / name).GetImageData().GetDimensions()[:2] == (80, 60)
    refused(halved(tmp_path / name), "truncated or damaged|cannot be read as an image")


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_a_nifti_file_whose_voxels_have_no_size(tmp_path, value):
    path = tmp_path / "a.nii"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path))
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, 80, value)
    path.write_bytes(content)
    refused(path, "needed are sizes above 0|cannot be read as an image")


def test_a_picture_that_unpacks_to_more_than_memory(tmp_path):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">2I5B", 60000, 60000, 8, 0, 0, 0, 0)
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    refused(path, "60000 x 60000 voxels, more than 2 GiB|cannot be read as an image")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders.")
def test_a_named_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    refused(tmp_path / "a.nii", "is a pipe or a device")


@pytest.mark.skipif(os.name == "nt", reason="Names of Windows are always Unicode.")
def test_a_name_that_is_not_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.nii")
    path.touch()
    refused(path, "is not UTF-8; rename the file")


def test_a_singular_transform(tmp_path):
    (tmp_path / "t.tfm").write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        "Parameters: 1 0 0 0 1 0 0 0 0 0 0 0\nFixedParameters: 0 0 0\n"
    )
    refused(tmp_path / "t.tfm", "maps the image to a plane|is no transform", readTransform)


class TestNiftiPlace:
    """Voxels of 1 x 2 x 3 mm; the sform is at byte 280, the qform at 256, their codes at 252."""

    @pytest.fixture
    def place(self, tmp_path):
        """Reads a file with a changed header: the spacings as they lie along R, A and S, and the notes."""

        def read(*changes):
            image = sitk.GetImageFromArray(np.concatenate(3 * [VOXELS]))
            image.SetSpacing((1, 2, 3))
            sitk.WriteImage(image, str(tmp_path / "a.nii"))
            content = bytearray((tmp_path / "a.nii").read_bytes())
            for start, kind, *values in changes:
                struct.pack_into(f"<{len(values)}{kind}", content, start, *values)
            (tmp_path / "a.nii").write_bytes(content)
            with readingInputs({"fixed": tmp_path / "a.nii"}) as reading:
                volume = readVolume(slicer.vtkMRMLScene(), tmp_path / "a.nii")
            matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
            volume.GetIJKToRASMatrix(matrix)
            return np.diag(slicer.util.arrayFromVTKMatrix(matrix))[:3].tolist(), reading.notes.get("fixed", [])

        return read

    def test_an_sform_equal_to_the_qform_needs_no_note(self, place):
        assert place() == ([-1, -2, 3], [])

    def test_of_two_that_differ_the_sform_is_taken_and_noted(self, place):
        found, notes = place((280, "f", 1, 0, 0, 50.0))
        assert found == [1, -2, 3]
        assert notes == ["its sform and qform place it up to 208 mm apart; the sform was taken"]

    def test_in_place_of_a_sheared_sform_the_qform_is_taken_and_noted(self, place):
        found, notes = place((280, "f", -1, 0.5, 0, 0))
        assert found == [-1, -2, 3]
        assert notes == ["its sform and qform place it up to 29.5 mm apart; the qform was taken"]

    def test_neither_is_noted(self, place):
        found, (note,) = place((252, "h", 0, 0))
        assert found == [-1, -2, 3]
        assert "neither sform nor qform, so its place is unknown" in note

    def test_micrometres_are_read_as_such(self, place):
        found, notes = place((123, "b", 3), (280, "f", 1, 0, 0, 50.0))
        np.testing.assert_allclose(found, [0.001, -0.002, 0.003])
        assert notes == ["its sform and qform place it up to 0.208 mm apart; the sform was taken"]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ([(280, "f", -1, 0.5, 0, 0), (252, "h", 0, 1)], "has a sheared sform, and no qform"),
            ([(280, "f", 0, 0, 0, 0), (252, "h", 0, 1)], "has a sheared sform, and no qform"),
            ([(280, "f", 5, 0, 0, 0)], "has voxels of 1, 2, 3 mm by its pixdim and of 5, 2, 3 mm by its sform"),
            ([(280, "f", float("nan"))], "an infinite value or NaN in its sform"),
            ([(256, "f", float("inf")), (252, "h", 1, 0)], "an infinite value or NaN in its qform"),
            ([(42, "h", -5)], "the file is damaged"),
            ([(40, "h", 9)], "the file is damaged"),
        ],
    )
    def test_a_place_that_cannot_be_known_is_refused(self, place, changes, sentence):
        with pytest.raises(ValueError, match=sentence):
            place(*changes)


@pytest.mark.parametrize("shape", [(3, 20, 20), (2000, 1000, 2000)])
def test_a_file_that_unpacks_to_more_than_it_says_takes_no_memory(tmp_path, shape):
    sitk.WriteImage(sitk.Image([20, 20, 3], sitk.sitkUInt8), str(tmp_path / "a.nii"))
    content = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<8h", content, 40, 3, *shape[::-1], 1, 1, 1, 1)
    with gzip.open(tmp_path / "a.nii.gz", "wb", 1) as stream:
        stream.write(content)
        for _ in range(16):
            stream.write(bytes(1 << 22))
    isLarge = shape[0] > 3
    sentence = pytest.raises(ValueError, match="2000 x 1000 x 2000 voxels, more than 2 GiB")
    tracemalloc.start()
    with sentence if isLarge else contextlib.nullcontext():
        readVolume(slicer.vtkMRMLScene(), tmp_path / "a.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_a_negative_spacing_is_noted(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / "a.mha"))
    content = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(content.replace(b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 -1 1"))
    with readingInputs({"fixed": tmp_path / "a.mha"}) as reading:
        readVolume(slicer.vtkMRMLScene(), tmp_path / "a.mha")
    assert "negative; this axis was read as running backwards" in reading.notes["fixed"][0]


def test_a_sheared_volume_is_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / "a.nrrd"))
    content = (tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "a.nrrd").write_bytes(content.replace(b"(0,1,0)", b"(0.1,1,0)"))
    refused(tmp_path / "a.nrrd", "axes that are not perpendicular")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no backslash in names.")
class TestBackslash:
    def test_it_is_read(self, tmp_path):
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / "a.nrrd"))
        (tmp_path / "a.nrrd").rename(tmp_path / "a\\b.nrrd")
        assert readVolume(slicer.vtkMRMLScene(), tmp_path / "a\\b.nrrd").GetImageData().GetDimensions() == (80, 60, 1)

    def test_it_is_not_written(self, tmp_path):
        assert outputName(Path("a\\b.nrrd")) == "a_b.nrrd"
        with pytest.raises(ValueError, match="has a backslash, which VTK takes for a folder"):
            checkName(tmp_path / "a\\b", isWritten=True)


@pytest.mark.skipif(os.name == "nt", reason="The shell is that of POSIX.")
@pytest.mark.parametrize("before", ["exec 2>&-; ", "exec 2>/dev/full; ", "LC_ALL=C "])
def test_the_exit_code_counts_whatever_standard_error_takes(tmp_path, before):
    command = f"{before}{sys.executable} -m UnsupervisedRegistrationLib.headless demo --output 'nö\\b'"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    if before.startswith("LC"):
        assert "'nö\\b' has a backslash" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Names of Windows are always Unicode.")
def test_a_folder_to_write_to_is_utf8(capsys):
    assert main(["demo", "--output", os.fsdecode(b"\xff")]) == 2
    assert "is not UTF-8; rename the file, or choose another name. (exit code 2)" in capsys.readouterr().err
