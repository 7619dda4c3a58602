"""Files that ITK reads without a word, though they are cut, too large or without a size, are refused."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from UnsupervisedRegistrationLib.headless.readers import readTransform, readVolume

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
