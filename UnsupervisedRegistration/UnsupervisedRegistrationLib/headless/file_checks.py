"""Checks of a file before it is read, for what the readers of ITK take without a word."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .path_names import checkName

_LARGEST = 2 << 30  # Bytes of voxels; twice 512 x 512 x 2000 of CT.
_META_HEADER = 4096  # Bytes; headers of MetaImage have some hundred.
_SHEAR = 1e-3  # Largest cosine between two axes; 0.3 mm over 300 mm.


def checkFile(path: Path) -> None:
    """Refuse what is no file or folder with a name that all readers understand.

    Raises:
        OSError: There is no such file, or it is a pipe or device.
        ValueError: Its name is not UTF-8.
    """
    checkName(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file '{path}'; check the path.")
    if not path.is_file() and not path.is_dir():
        raise OSError(f"'{path}' is a pipe or a device; needed is a file. Save the image into a file first.")


def imageHeader(path: Path) -> sitk.ImageFileReader | None:
    """Return what ITK reads of a file before its voxels; ``None`` if it can read nothing."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return reader


def checkImageFile(path: Path) -> None:
    """Refuse an image that is too large to unpack, or a picture that is cut.

    Raises:
        ValueError: It is.
    """
    reader = imageHeader(path)
    if reader is None:
        return  # The reader itself says what is wrong.
    size = sitk.Image(1, 1, reader.GetPixelIDValue(), 1).GetSizeOfPixelComponent()
    checkSize(path, reader.GetSize(), size * reader.GetNumberOfComponents())
    if _isCutPicture(path):
        raise ValueError(f"'{path}' is truncated or damaged; copy it again.")


def checkSize(path: Path, size: Sequence[int], bytesOfVoxel: int) -> None:
    """Refuse an image that is too large to unpack.

    Args:
        path: For the sentence.
        size: Number of voxels along each axis.
        bytesOfVoxel: Of all its components.

    Raises:
        ValueError: It is.
    """
    if math.prod(size) * bytesOfVoxel > _LARGEST:
        listed = " x ".join(map(str, size))
        raise ValueError(
            f"'{path}' has {listed} voxels, more than 2 GiB; cut out or resample what is to be registered."
        )


def checkAxesOf(path: Path, ijkToRas: np.ndarray) -> None:
    """Refuse a volume whose axes are not perpendicular, or have no length.

    Raises:
        ValueError: It is so.
    """
    lengths = np.linalg.norm(ijkToRas[:3, :3], axis=0)
    if np.isfinite(ijkToRas).all() and lengths.all():
        axes = ijkToRas[:3, :3] / lengths
        if np.abs(axes.T @ axes - np.eye(3)).max() <= _SHEAR:
            return
    raise ValueError(f"'{path}' has axes that are not perpendicular, or not finite; resample it to perpendicular axes.")


def hasNegativeSpacing(path: Path) -> bool:
    """Return whether the header of a MetaImage says so; ITK then turns the axis around."""
    with path.open("rb") as stream:
        lines = stream.read(_META_HEADER).split(b"ElementDataFile")[0].splitlines()
    return any(line.startswith((b"ElementSpacing", b"ElementSize")) and b"-" in line for line in lines)


def _isCutPicture(path: Path) -> bool:
    """Whether a JPEG has no end mark, or a BMP is shorter than it says."""
    content = path.read_bytes() if path.suffix.lower() in (".jpg", ".jpeg", ".bmp") else b""
    if content[:2] == b"\xff\xd8":
        return b"\xff\xd9" not in content[-1024:]
    return content[:2] == b"BM" and struct.unpack_from("<I", content, 2)[0] > len(content)
