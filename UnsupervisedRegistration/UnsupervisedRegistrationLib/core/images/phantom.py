"""Two synthetic patients, a head in MR and an abdomen in CT, with a known deformation and known landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["head", "abdomen"]
PHANTOM_KINDS: tuple[Kind, ...] = ("head", "abdomen")


@dataclass(frozen=True)
class _Organ:
    """An ellipsoid; centre and half axes in RAS mm, with the centre of the patient at the origin."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    intensity: float
    wave: float = 0.0  # Height of the waves of its surface, relative to the radius.


@dataclass(frozen=True)
class _Anatomy:
    """Organs, painted over each other in order, and the settings of the scan."""

    organs: tuple[_Organ, ...]
    background: float
    bias: float
    texture: float
    noise: float
    size: tuple[int, int, int]  # Voxels along i, j, k.
    spacing: tuple[float, float, float]
    landmarks: dict[str, tuple[float, float, float]]


_HEAD = _Anatomy(
    organs=(
        _Organ((0, 0, 0), (76, 92, 88), 620),
        _Organ((0, 0, 0), (71, 87, 83), 90),
        _Organ((0, 0, 0), (66, 82, 78), 160),
        _Organ((0, 0, 0), (63, 79, 75), 480, 0.03),
        _Organ((0, -1, 0), (55, 70, 66), 780, 0.11),
        _Organ((0, 0, 2), (1.2, 80, 70), 170),
        _Organ((0, 6, -2), (26, 34, 26), 790),
        _Organ((18, 4, -4), (8, 15, 14), 560),
        _Organ((-18, 4, -4), (8, 15, 14), 560),
        _Organ((9, 22, 2), (6, 20, 14), 170),
        _Organ((-9, 22, 2), (6, 20, 14), 170),
        _Organ((15, -26, 0), (6, 19, 12), 170),
        _Organ((-15, -26, 0), (6, 19, 12), 170),
        _Organ((0, 0, -4), (3, 10, 12), 180),
    ),
    background=0,
    bias=0.1,
    texture=28,
    noise=14,
    size=(176, 208, 15),
    spacing=(1.0, 1.0, 4.0),
    landmarks={
        "frontal horn R": (9, 40, 0),
        "frontal horn L": (-9, 40, 0),
        "occipital horn R": (15, -44, 0),
        "occipital horn L": (-15, -44, 0),
        "lentiform R": (26, 4, 0),
        "lentiform L": (-26, 4, 0),
        "frontal pole": (0, 79, 0),
        "occipital pole": (0, -79, 0),
    },
)

_ABDOMEN = _Anatomy(
    organs=(
        _Organ((0, 0, 0), (165, 115, 400), -95),
        _Organ((0, -2, 0), (145, 96, 400), 55, 0.01),
        _Organ((0, 4, 0), (132, 82, 400), -80, 0.02),
        _Organ((66, 8, 0), (62, 66, 60), 105, 0.04),
        _Organ((40, 30, 0), (52, 36, 45), 105, 0.05),
        _Organ((70, 18, 2), (38, 5, 8), 165),
        _Organ((58, -6, 0), (5, 34, 8), 165),
        _Organ((86, -8, 0), (16, 4, 8), 165),
        _Organ((-92, -18, 0), (26, 42, 50), 120, 0.04),
        _Organ((-46, 28, 0), (34, 30, 40), 40, 0.05),
        _Organ((-50, 40, 0), (20, 14, 24), -850),
        _Organ((50, -50, 0), (20, 26, 45), 150),
        _Organ((-54, -48, 0), (20, 26, 45), 150),
        _Organ((44, -50, 0), (7, 11, 20), -60),
        _Organ((-48, -48, 0), (7, 11, 20), -60),
        _Organ((0, -58, 0), (24, 20, 400), 380),
        _Organ((0, -58, 0), (19, 15, 400), 190),
        _Organ((0, -82, 0), (8, 8, 400), 20),
        _Organ((-4, -26, 0), (10, 10, 400), 210),
        _Organ((20, -26, 0), (12, 9, 400), 150),
        _Organ((-4, 8, 0), (30, 9, 14), 85, 0.1),
    ),
    background=-1000,
    bias=0.0,
    texture=10,
    noise=12,
    size=(256, 184, 15),
    spacing=(1.5, 1.5, 5.0),
    landmarks={
        "liver tip": (66, 74, 0),
        "liver dorsal": (66, -58, 0),
        "portal branch R": (108, 18, 0),
        "portal branch dorsal": (58, -40, 0),
        "kidney R": (50, -24, 0),
        "kidney L": (-54, -22, 0),
        "aorta": (-4, -16, 0),
        "spleen": (-92, 24, 0),
        "vertebra": (0, -38, 0),
    },
)

_PHANTOM_ANATOMIES: dict[Kind, _Anatomy] = {"head": _HEAD, "abdomen": _ABDOMEN}


@dataclass(frozen=True)
class Phantom:
    """A pair of volumes with a known deformation.

    Attributes:
        kind: ``"head"`` or ``"abdomen"``.
        fixed: ``(K, J, I)`` int16.
        moving: On the same grid.
        ijk_to_ras: ``(4, 4)``, mm.
        fixed_landmarks: Name to RAS position in mm, all in the middle axial slice.
        moving_landmarks: The same points in the moving volume.
    """

    kind: Kind
    fixed: NDArray[np.int16]
    moving: NDArray[np.int16]
    ijk_to_ras: Array
    fixed_landmarks: dict[str, tuple[float, float, float]]
    moving_landmarks: dict[str, tuple[float, float, float]]


def draw_phantom(kind: Kind) -> Phantom:
    """Creates a pair, always the same.

    Raises:
        ValueError: The kind is unknown.
    """
    if kind not in _PHANTOM_ANATOMIES:
        raise ValueError(f"There is no phantom '{kind}'; choose one of {', '.join(PHANTOM_KINDS)}.")
    anatomy = _PHANTOM_ANATOMIES[kind]
    matrix = _ijk_to_ras(anatomy)
    points = _voxel_positions(anatomy, matrix)
    random = np.random.default_rng(2017)
    fixed = _scan(anatomy, points, random, anatomy.bias)
    moving = _scan(anatomy, points + _displacement(points, anatomy), random, -anatomy.bias)
    partners = {name: true_partner(kind, np.array(point)) for name, point in anatomy.landmarks.items()}
    moving_landmarks = {name: (float(p[0]), float(p[1]), float(p[2])) for name, p in partners.items()}
    return Phantom(kind, fixed, moving, matrix, dict(anatomy.landmarks), moving_landmarks)


def true_partner(kind: Kind, points: Array) -> Array:
    """Positions in the moving volume of points of the fixed volume, ``(..., 3)`` RAS mm.

    The moving volume shows at ``y`` what the fixed volume shows at ``y + u(y)``. A fixed-point iteration solves this
    for ``y``; it converges because ``u`` changes by less than 1 mm per mm.
    """
    partner = points.astype(np.float64)
    for _ in range(60):
        partner = points - _displacement(partner, _PHANTOM_ANATOMIES[kind])
    return partner


def _ijk_to_ras(anatomy: _Anatomy) -> Array:
    """Axial slices as scanners store them: i to the left, j to posterior, k to superior."""
    step = np.array([-1.0, -1.0, 1.0]) * anatomy.spacing
    matrix = np.diag([*step, 1.0])
    matrix[:3, 3] = -step * (np.array(anatomy.size) - 1) / 2
    return matrix


def _voxel_positions(anatomy: _Anatomy, matrix: Array) -> Array:
    """RAS position of every voxel, ``(K, J, I, 3)`` mm."""
    i, j, k = (np.arange(n, dtype=np.float64) for n in anatomy.size)
    indices = np.stack(np.meshgrid(k, j, i, indexing="ij")[::-1], axis=-1)
    return indices @ matrix[:3, :3].T + matrix[:3, 3]


def _displacement(points: Array, anatomy: _Anatomy) -> Array:
    """Known displacement, ``(..., 3)`` RAS mm: smooth waves in the axial plane that vary from slice to slice."""
    width, depth, _ = np.array(anatomy.size) * anatomy.spacing
    x, y = 2 * np.pi * points[..., 0] / width, 2 * np.pi * points[..., 1] / depth
    slow = width / 150 * (1 + 0.2 * np.sin(points[..., 2] / 30))
    right = 4.5 * np.sin(1.1 * y + 0.5) + 2.5 * np.sin(2.0 * x - 1.0 * y)
    front = 4.0 * np.cos(1.2 * x + 0.3) - 2.5 * np.sin(1.8 * y + 0.9 * x)
    return np.stack([slow * right, slow * front, np.zeros_like(right)], axis=-1)


def _scan(anatomy: _Anatomy, points: Array, random: np.random.Generator, bias: float) -> NDArray[np.int16]:
    """Intensities of the anatomy at the given positions, with texture, a bias field and noise."""
    image = np.full(points.shape[:-1], anatomy.background)
    for organ in anatomy.organs:
        share = _coverage(organ, points, min(anatomy.spacing))
        image = image + share * (organ.intensity - image)
    inside = _coverage(anatomy.organs[0], points, min(anatomy.spacing))
    image = image + anatomy.texture * inside * _texture(points)
    image = anatomy.background + (image - anatomy.background) * (1 + bias * points[..., 0] / 150)
    image = image + anatomy.noise * random.standard_normal(image.shape)
    lowest = anatomy.background if anatomy.background < 0 else 0
    return np.clip(np.rint(image), lowest, 32767).astype(np.int16)


def _coverage(organ: _Organ, points: Array, voxel: float) -> Array:
    """Share of each voxel inside the organ, 0..1, with an edge one voxel wide."""
    local = (points - organ.centre) / organ.radii
    edge: Array | float = 1.0
    if organ.wave:
        angle = np.arctan2(local[..., 1], local[..., 0])
        edge = 1 + organ.wave * (np.sin(9 * angle + 1) + 0.7 * np.sin(14 * angle) + 0.4 * np.sin(23 * angle + 2))
    return np.clip(0.5 + (edge - np.linalg.norm(local, axis=-1)) * min(organ.radii) / voxel, 0, 1)


def _texture(points: Array) -> Array:
    """Fine texture that moves with the tissue."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.sin(0.31 * x + 0.17 * y) * np.cos(0.23 * y - 0.11 * z) + 0.6 * np.sin(0.53 * x - 0.41 * y + 0.2 * z)
