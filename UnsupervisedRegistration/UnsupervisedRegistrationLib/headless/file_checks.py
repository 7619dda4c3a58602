"""Checks of a file before it is read, for what the readers of ITK take without a word."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

_LARGEST = 2 << 30  # Bytes of voxels; twice 512 x 512 x 2000 of CT.
_PIXDIM, _DIMENSIONS, _BITS, _VOXEL_OFFSET = 76, 40, 72, 108  # Places in the header of NIfTI-1.


def checkFile(path: Path) -> None:
    """Refuse what is no file or folder with a name that all readers understand.

    Raises:
        OSError: There is no such file, or it is a pipe or device.
        ValueError: Its name is not UTF-8.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"The name {str(path)!a} is not UTF-8; rename the file.") from error
    if not path.exists():
        raise FileNotFoundError(f"There is no file '{path}'; check the path.")
    if not path.is_file() and not path.is_dir():
        raise OSError(f"'{path}' is a pipe or a device; needed is a file. Save the image into a file first.")


def checkImageFile(path: Path) -> None:
    """Refuse an image that is too large to unpack, or a picture that is cut.

    Raises:
        ValueError: It is.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
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


def checkNiftiHeader(path: Path, header: bytes, length: int, order: str) -> None:
    """Refuse a NIfTI-1 file that is cut, or whose voxels have no size.

    Args:
        path: For the sentence.
        header: The first 348 bytes.
        length: Of the unpacked file, bytes.
        order: Byte order as ``struct`` writes it.

    Raises:
        ValueError: It is cut, or a spacing is not above 0.
    """
    rank, *sizes = struct.unpack_from(f"{order}8h", header, _DIMENSIONS)
    voxels = math.prod(sizes[:rank]) * struct.unpack_from(f"{order}h", header, _BITS)[0] // 8
    if length < voxels + int(struct.unpack_from(f"{order}f", header, _VOXEL_OFFSET)[0]):
        raise ValueError(f"'{path}' is truncated or damaged; copy it again.")
    spacing = struct.unpack_from(f"{order}3f", header, _PIXDIM + 4)[: min(rank, 3)]
    if not all(math.isfinite(value) and value > 0 for value in spacing):
        listed = ", ".join(f"{value:g}" for value in spacing)
        raise ValueError(f"'{path}' has voxels of {listed} mm; needed are sizes above 0. Correct the header (pixdim).")


def checkLinear(path: Path, node: slicer.vtkMRMLTransformNode) -> None:
    """Refuse a linear transform that is singular or not finite.

    Raises:
        ValueError: It is.
    """
    if not node.IsLinear():
        return
    matrix = slicer.util.arrayFromTransformMatrix(node)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-6:
        raise ValueError(f"The transform '{path}' maps the image to a plane, a line or a point; choose another one.")


def _isCutPicture(path: Path) -> bool:
    """Whether a JPEG has no end mark, or a BMP is shorter than it says."""
    content = path.read_bytes() if path.suffix.lower() in (".jpg", ".jpeg", ".bmp") else b""
    if content[:2] == b"\xff\xd8":
        return b"\xff\xd9" not in content[-1024:]
    return content[:2] == b"BM" and struct.unpack_from("<I", content, 2)[0] > len(content)
