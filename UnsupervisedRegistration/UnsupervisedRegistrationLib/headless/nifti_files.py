"""NIfTI-1 files: what their reader takes without a word is refused or noted."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from .file_checks import checkSize
from .reading import noteInput

_HEADER_BYTES = 348  # Of NIfTI-1, as its first number says.
_FLOATS = {16: "f4", 64: "f8"}
_UNITS = {1: 1000.0, 3: 0.001}  # Metres and micrometres in mm; all else is mm.
_SAME_PLACE = 0.1  # Share of the smallest voxel edge; the header keeps single precision.


@dataclass(frozen=True)
class NiftiHeader:
    """What the header of a file says of its place.

    Attributes:
        order: Byte order, as ``struct`` writes it.
        size: Number of voxels along each axis.
        spacing: mm, of the axes in space.
        kind: Code of the type of the voxels.
        bits: Of a voxel.
        start: Bytes before the voxels.
        qform: ``(4, 4)`` from indices to RAS mm, or ``None``.
        sform: Likewise.
    """

    order: str
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    kind: int
    bits: int
    start: int
    qform: np.ndarray | None
    sform: np.ndarray | None

    @property
    def bytesOfVoxels(self) -> int:
        """Of all voxels."""
        return math.prod(self.size) * self.bits // 8


def isNiftiFile(path: Path) -> bool:
    """Return whether the name of a file is that of a NIfTI image."""
    return path.name.lower().endswith((".nii", ".nii.gz", ".hdr", ".img"))


def checkNifti(path: Path) -> None:
    """Refuse a file that is cut, is too large, or has voxels without size, place or value.

    Raises:
        ValueError: It is, or they have not.
    """
    header = readNiftiHeader(path)
    if header is None:
        return
    checkSize(path, header.size, max(header.bits // 8, 1))
    voxels = _voxelBytes(path, header)
    if len(voxels) < header.bytesOfVoxels:
        raise ValueError(f"'{path}' is truncated or damaged; copy it again.")
    if not all(math.isfinite(value) and value > 0 for value in header.spacing):
        raise ValueError(
            f"'{path}' has voxels of {_listed(header.spacing)} mm; needed are sizes above 0. Correct the header"
            " (pixdim)."
        )
    _checkForms(path, header)
    kind = _FLOATS.get(header.kind)
    if kind is not None and not np.isfinite(np.frombuffer(voxels, f"{header.order}{kind}")).all():
        raise ValueError(f"'{path}' has voxels that are NaN or infinite; replace them before the registration.")


def notePlace(path: Path, taken: np.ndarray) -> None:
    """Note where two places of a header differ, or where there is none.

    Args:
        path: Of the file.
        taken: ``(4, 4)`` matrix from indices to RAS that the reader made of it, mm.
    """
    header = readNiftiHeader(path)
    if header is None:
        return
    if header.qform is None and header.sform is None:
        noteInput(
            path,
            "it has neither sform nor qform, so its place is unknown; it was put at the origin, with axes to the left,"
            " to the back and up",
        )
    elif header.qform is not None and header.sform is not None:
        apart = _farthest(header.qform, header.sform, header.size)
        if apart > _SAME_PLACE * min(header.spacing):
            isSform = _farthest(header.sform, taken, header.size) < _farthest(header.qform, taken, header.size)
            name = "sform" if isSform else "qform"
            noteInput(path, f"its sform and qform place it up to {apart:.3g} mm apart; the {name} was taken")


def readNiftiHeader(path: Path) -> NiftiHeader | None:
    """Return the header; ``None`` if the file is no NIfTI-1."""
    try:
        with _opened(path.with_suffix(".hdr") if path.suffix.lower() == ".img" else path) as stream:
            content = stream.read(_HEADER_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"'{path}' is truncated or damaged; copy it again.") from error
    order = next((o for o in "<>" if content[:4] == struct.pack(f"{o}i", _HEADER_BYTES)), None)
    if order is None:
        return None
    if len(content) < _HEADER_BYTES:
        raise ValueError(f"'{path}' is truncated or damaged; copy it again.")

    def values(kind: str, place: int) -> tuple[float, ...]:
        return struct.unpack_from(f"{order}{kind}", content, place)

    rank, *sizes = (int(value) for value in values("8h", 40))
    if not 1 <= rank <= len(sizes) or min(sizes[:rank]) < 1:
        raise ValueError(f"'{path}' has {' x '.join(map(str, sizes[: max(rank, 0)]))} voxels; the file is damaged.")
    kind, bits = (int(value) for value in values("2h", 70))
    unit = _UNITS.get(content[123] & 7, 1.0)
    qfac, *pixdim = values("8f", 76)
    scale = np.array([[unit], [unit], [unit], [1.0]])
    start, forms = values("f", 108)[0], values("2h", 252)
    return NiftiHeader(
        order,
        tuple(sizes[:rank]),
        tuple(unit * value for value in pixdim[: min(rank, 3)]),
        kind,
        bits,
        int(start) if math.isfinite(start) and content[344:347] == b"n+1" else 0,
        _qform(values("6f", 256), pixdim, qfac) * scale if forms[0] > 0 else None,
        np.vstack([np.reshape(values("12f", 280), (3, 4)), [0, 0, 0, 1]]) * scale if forms[1] > 0 else None,
    )


def _qform(values: tuple[float, ...], pixdim: list[float], qfac: float) -> np.ndarray:
    """The matrix of a quaternion, as the format defines it."""
    b, c, d = values[:3]
    a = math.sqrt(max(1 - b * b - c * c - d * d, 0.0))
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ]
    matrix[:3, :3] *= [pixdim[0], pixdim[1], -pixdim[2] if qfac < 0 else pixdim[2]]
    matrix[:3, 3] = values[3:]
    return matrix


def _checkForms(path: Path, header: NiftiHeader) -> None:
    """Refuse a place that is not finite, and an sform of other voxel sizes than the header says beside it."""
    for name, matrix in (("qform", header.qform), ("sform", header.sform)):
        if matrix is not None and not np.isfinite(matrix).all():
            raise ValueError(f"'{path}' has an infinite value or NaN in its {name}; correct the header.")
    if header.sform is None or len(header.spacing) < 3:
        return
    lengths = tuple(np.linalg.norm(header.sform[:3, :3], axis=0).tolist())
    if header.qform is None and _shear(header.sform) > 1e-3:
        raise ValueError(f"'{path}' has a sheared sform, and no qform; resample it to perpendicular axes.")
    if _shear(header.sform) <= 1e-3 and not np.allclose(lengths, header.spacing, rtol=0.01):
        raise ValueError(
            f"'{path}' has voxels of {_listed(header.spacing)} mm by its pixdim and of {_listed(lengths)} mm by its"
            " sform; correct the header."
        )


def _shear(matrix: np.ndarray) -> float:
    """The largest cosine between two axes; 1 if an axis has no length."""
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not lengths.all():
        return 1.0
    axes = matrix[:3, :3] / lengths
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def _farthest(first: np.ndarray, second: np.ndarray, size: tuple[int, ...]) -> float:
    """The largest distance of a corner under two matrices, mm."""
    last = [count - 1 for count in (*size, 1, 1)[:3]]
    corners = np.array([[i * last[0], j * last[1], k * last[2], 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    return float(np.linalg.norm(corners @ (first - second).T, axis=1).max())


def _voxelBytes(path: Path, header: NiftiHeader) -> bytes:
    """At most as many bytes as the header says, whatever else the file unpacks to."""
    data = path.with_suffix(".img") if path.suffix.lower() == ".hdr" else path
    try:
        with _opened(data) as stream:
            stream.seek(header.start)
            return stream.read(header.bytesOfVoxels)
    except FileNotFoundError as error:
        raise ValueError(f"'{path}' has no file '{data.name}' beside it; copy both files.") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"'{path}' is truncated or damaged; copy it again.") from error


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
