"""Whatever bytes a file holds, reading it succeeds or ends with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_writer import dicomSlice
from UnsupervisedRegistrationLib.core.models.model_file import load_model
from UnsupervisedRegistrationLib.headless.point_files import readPoints, writePoints
from UnsupervisedRegistrationLib.headless.readers import readLandmarks, readTransform, readVolume
from UnsupervisedRegistrationLib.scene.registration.model_folders import modelFolders

QUICK = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SMALL = 20_000  # Bytes of a model file that are enough to spoil it.
VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def writeImage(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path))


def writeSlice(path: Path) -> None:
    pydicom.dcmwrite(path, dicomSlice((0, 0, 0), 1), enforce_file_format=True)


def writeTransform(path: Path) -> None:
    sitk.WriteTransform(sitk.Euler3DTransform((1, 2, 3), 0.1, 0.2, 0.3), str(path))


def writeModel(path: Path) -> None:
    path.write_bytes(next(folder / "any-contrast.pt" for folder in modelFolders()).read_bytes())


def inScene(read: Callable[..., Any]) -> Callable[[Path], Any]:
    return lambda path: read(slicer.vtkMRMLScene(), path)


KINDS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "a.nii": (writeImage, inScene(readVolume)),
    "a.nii.gz": (writeImage, inScene(readVolume)),
    "a.nrrd": (writeImage, inScene(readVolume)),
    "a.mha": (writeImage, inScene(readVolume)),
    "a.dcm": (writeSlice, inScene(readVolume)),
    "a.mrk.json": (lambda path: writePoints([("nose", (1.0, 2.0, 3.0))], path), inScene(readLandmarks)),
    "a.fcsv": (lambda path: writePoints([("nose", (1.0, 2.0, 3.0))], path), inScene(readLandmarks)),
    "a.csv": (lambda path: writePoints([("nose", (1.0, 2.0, 3.0))], path), inScene(readLandmarks)),
    "a.tfm": (writeTransform, inScene(readTransform)),
    "a.pt": (writeModel, load_model),
}
kinds = pytest.mark.parametrize("name", KINDS)


@kinds
@QUICK
@given(content=st.binary(max_size=600))
def test_random_bytes_end_with_a_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, OSError)) as caught:
        KINDS[name][1](tmp_path / name)
    assert " " in str(caught.value)


@kinds
@QUICK
@given(place=st.floats(0, 1), content=st.binary(min_size=1, max_size=8), share=st.floats(0.05, 1))
def test_a_spoilt_file_is_read_or_ends_with_a_sentence(tmp_path, name, place, content, share):
    write, read = KINDS[name]
    write(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    start = int(place * min(len(whole), SMALL))
    spoilt = (whole[:start] + content + whole[start + len(content) :])[: max(int(share * len(whole)), start + 1)]
    (tmp_path / name).write_bytes(spoilt)
    try:
        read(tmp_path / name)
    except (ValueError, OSError) as error:
        assert " " in str(error)  # noqa: PT017


positions = st.tuples(*[st.floats(-10_000, 10_000)] * 3)
labels = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


@pytest.mark.parametrize("ending", ["mrk.json", "fcsv", "csv"])
@QUICK
@given(points=st.lists(st.tuples(labels, positions), max_size=5))
def test_points_come_back_as_they_were_written(tmp_path, ending, points):
    writePoints(points, tmp_path / f"p.{ending}")
    assert readPoints(tmp_path / f"p.{ending}") == points
