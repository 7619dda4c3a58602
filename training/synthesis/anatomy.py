"""Random labelmaps: random shapes, and slices that look like a head, an abdomen, a heart, a thorax, a section.

All images of a call, and all ellipses in them, are made together: on a GPU the number of operations decides.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.spatial.grid import identity_grid


class Ellipse(NamedTuple):
    """A random ellipse, with the image from -1 to 1 along both axes.

    Attributes:
        y, x: Mean position of its centre.
        tall, wide: Mean half axes.
        jitter: Relative spread of position and size; the spread of the rotation, rad, is twice that.
        away_y, away_x: Further spread of the centre.
    """

    y: float
    x: float
    tall: float
    wide: float
    jitter: float = 0.2
    away_y: float = 0.0
    away_x: float = 0.0


def _circle(y: float, x: float, radius: float) -> Ellipse:
    return Ellipse(y, x, radius, radius, 0.3)


def smooth_noise(batch: int, channels: int, shape: tuple[int, int], scale: float) -> Tensor:
    """Standard normal values every ``scale`` voxels, joined smoothly: ``(batch, channels, *shape)``."""
    rows, columns = (_interpolation(max(int(size / scale), 1) + 1, size, torch.get_default_device()) for size in shape)
    return rows.T @ torch.randn(batch, channels, len(rows), len(columns)) @ columns


@functools.lru_cache(maxsize=512)
def _interpolation(coarse: int, size: int, device: torch.device) -> Tensor:
    """Cubic weights of ``coarse`` values at ``size`` positions between them, ``(coarse, size)``."""
    values = torch.eye(coarse, device=device)[None, None]
    return F.interpolate(values, (coarse, size), mode="bicubic", align_corners=True)[0, 0]


def uniform(low: float, high: float, *shape: int) -> Tensor:
    return torch.empty(shape).uniform_(low, high)


def inside(points: Tensor, ellipses: Sequence[Ellipse], zoom: Tensor | float = 1.0) -> list[Tensor]:
    """Depth in random ellipses, 0 at the centre and 1 at the border: ``(B, 1, H, W)`` for each.

    Args:
        points: ``(B, 2, H, W)``, positions with the image from -1 to 1, y before x.
        ellipses: Drawn anew for each image.
        zoom: Times which all of them are larger and further from the middle of the image, ``(B, 1, 1)`` or for all.
    """
    table, random = torch.tensor(ellipses), uniform(-1, 1, len(points), len(ellipses), 7)
    centre, radii, jitter, away = table.split((2, 2, 1, 2), dim=1)
    half_axes = zoom * radii * (1 + jitter * random[..., :2])
    middle = zoom * (centre + jitter * radii * random[..., 2:4]) + away * random[..., 4:6]
    angle = (2 * jitter * random[..., 6:])[..., None]
    y, x = (points[:, None] - middle[..., None, None]).unbind(dim=2)
    tall, wide = half_axes[..., None, None].unbind(dim=2)
    cos, sin = angle.cos(), angle.sin()
    return list(torch.hypot((cos * y + sin * x) / tall, (sin * y - cos * x) / wide).split(1, dim=1))


def wavy_points(batch: int, shape: tuple[int, int]) -> Tensor:
    """Positions -1..1, slightly wavy, so that no contour drawn on them is a perfect ellipse."""
    grid = identity_grid(shape, torch.zeros(1))
    size = torch.tensor(shape).view(1, 2, 1, 1)
    waves = sum(
        strength * smooth_noise(batch, 2, shape, max(shape) / parts)
        for parts, strength in ((3, 0.06), (7, 0.03), (16, 0.012))
    )
    return 2 * grid / (size - 1) - 1 + waves


def random_shapes(batch: int, shape: tuple[int, int]) -> Tensor:
    """Blobs of every size: each voxel belongs to the strongest of many smooth noises. ``(B, 1, H, W)`` labels."""
    scale = float(uniform(12, 64))
    noise = smooth_noise(batch, 16, shape, scale) + 0.4 * smooth_noise(batch, 16, shape, scale / 2.5)
    return noise.max(dim=1, keepdim=True).indices


def head(batch: int, shape: tuple[int, int]) -> Tensor:
    """Skin, skull, fluid, folded cortex, white matter, ventricles, deep nuclei; half of them skull-stripped."""
    points = wavy_points(batch, shape)
    nuclei = {6: (-0.1, 0.2, 0.16, 0.09), 7: (0.12, 0.25, 0.18, 0.06), 8: (0.05, 0.1, 0.09, 0.07)}
    depth, *deep = inside(
        points,
        (
            Ellipse(0, 0, 0.85, 0.72, 0.12),
            *(Ellipse(y, side * x, tall, wide, 0.25) for y, x, tall, wide in nuclei.values() for side in (-1, 1)),
            *(Ellipse(-0.22, side * 0.08, 0.22, 0.05, 0.4) for side in (-1, 1)),
            *(Ellipse(0.28, side * 0.14, 0.2, 0.05, 0.4) for side in (-1, 1)),
        ),
    )
    stripped = torch.rand(batch, 1, 1, 1) < 0.5
    labels = torch.zeros_like(depth, dtype=torch.long)
    for label, radius in ((1, 1.12), (2, 1.06), (3, 0.99)):
        labels[(depth < radius) & ~stripped] = label
    folds = smooth_noise(batch, 1, shape, max(shape) / 16)
    labels[depth + 0.03 * folds < 0.95] = 4
    labels[(folds.abs() < 0.18) & (depth > 0.72) & (depth < 0.98)] = 3
    labels[depth + 0.16 * folds < 0.74] = 5
    labels[(depth < 0.93) & (points[:, 1:].abs() < 0.012)] = 3
    for label, part in zip((*(label for label in nuclei for _ in range(2)), 9, 9, 9, 9), deep, strict=True):
        labels[part < 1] = label
    labels[stripped & (depth > 1)] = 0
    return labels


def abdomen(batch: int, shape: tuple[int, int]) -> Tensor:
    """Body, fat, muscle, liver with vessels, spleen, kidneys, stomach and bowel with gas, spine, great vessels."""
    points = wavy_points(batch, shape)
    kidneys = (
        Ellipse(0.28, side * x, tall, wide, 0.3)
        for side in (-1, 1)
        for x, tall, wide in ((0.38, 0.17, 0.12), (0.34, 0.07, 0.04))
    )
    body, liver, spleen, *parts = inside(
        points,
        (
            Ellipse(0, 0, 0.68, 0.9, 0.1),
            Ellipse(-0.08, -0.42, 0.42, 0.36),
            Ellipse(0.02, 0.6, 0.26, 0.15, 0.3),
            *(Ellipse(-0.025, 0, 0.12, 0.16, 0.5, 0.325, 0.5) for _ in range(6)),
            *kidneys,
            Ellipse(0.42, 0, 0.12, 0.15),
            Ellipse(0.58, 0, 0.05, 0.06),
            _circle(0.2, 0.06, 0.055),
            Ellipse(-0.35, 0.2, 0.09, 0.13, 0.6),
        ),
    )
    bowel, rest = parts[:6], parts[6:]
    labels = torch.zeros_like(body, dtype=torch.long)
    labels[body < 1] = 1
    labels[body < 0.86 + 0.03 * smooth_noise(batch, 1, shape, 30)] = 2
    labels[body < 0.79] = 3
    for loop in bowel:
        labels = torch.where((loop < 1) & (body < 0.77), torch.randint(4, 8, (batch, 1, 1, 1)), labels)
    labels[(liver < 1) & (body < 0.78)] = 8
    labels[(labels == 8) & (smooth_noise(batch, 1, shape, max(shape) / 9).abs() < 0.07)] = 9
    labels[(spleen < 1) & (body < 0.78)] = 10
    for label, part in zip((11, 12, 11, 12, 13, 14, 9, 15), rest, strict=True):
        labels[part < 1] = label
    return labels


def heart(batch: int, shape: tuple[int, int]) -> Tensor:
    """A short-axis view: left ventricle in its ring of muscle, right ventricle beside it, lungs, chest wall."""
    points = wavy_points(batch, shape)
    chest, *lungs = inside(
        points,
        (Ellipse(0, 0, 0.85, 0.95), *(Ellipse(0, side * 0.62, 0.55, 0.3, 0.25) for side in (-1, 1))),
    )
    whole, right, ring = inside(
        points,
        (Ellipse(0, 0, 0.5, 0.5, 0.1), Ellipse(0.02, -0.2, 0.26, 0.24, 0.25), Ellipse(0, 0.12, 0.26, 0.26, 0.1)),
        uniform(0.7, 1.6, batch, 1, 1),
    )
    labels = torch.where(chest < 1, random_shapes(batch, shape).remainder(4) + 1, 0)
    for lung in lungs:
        labels[(lung < 1) & (chest < 0.85)] = 5
    labels[whole < 1] = 6
    labels[right < 1] = 7
    labels[ring < 1] = 8
    labels[ring < uniform(0.4, 0.8, batch, 1, 1, 1)] = 9
    papillary = smooth_noise(batch, 1, shape, max(shape) / 14)
    labels[(ring < 0.55) & (papillary > 1.3)] = 8
    return labels


def thorax(batch: int, shape: tuple[int, int]) -> Tensor:
    """Body, muscle, ribs, lungs with vessels, spine; half of them with the heart, half above it with the trachea."""
    points = wavy_points(batch, shape)
    body, sternum, left, right, heart_depth, *rest = inside(
        points,
        (
            Ellipse(0, 0, 0.68, 0.9, 0.1),
            Ellipse(-0.53, 0, 0.05, 0.13),
            *(Ellipse(0.02, side * 0.44, 0.5, 0.32, 0.15) for side in (-1, 1)),
            Ellipse(-0.14, 0.14, 0.28, 0.3),
            *(_circle(*place) for place in ((-0.2, 0.02, 0.12), (-0.1, 0.22, 0.13), (0.02, 0.02, 0.1))),
            *(_circle(*place) for place in ((-0.2, -0.04, 0.09), (-0.14, -0.2, 0.06), (-0.1, 0.14, 0.08))),
            Ellipse(0.1, 0, 0.06, 0.07, 0.3),
            Ellipse(0.42, 0, 0.13, 0.14),
            Ellipse(0.5, 0, 0.05, 0.05),
            _circle(0.26, 0.14, 0.07),
        ),
    )
    chambers, vessels, (trachea, vertebra, canal, aorta) = rest[:3], rest[3:6], rest[6:]
    labels = torch.zeros_like(body, dtype=torch.long)
    labels[body < 1] = 1
    labels[body < 0.9 + 0.02 * smooth_noise(batch, 1, shape, 30)] = 2
    turn = torch.atan2(points[:, :1], points[:, 1:])
    ribs = torch.cos(14 * turn + uniform(0, 6.3, batch, 1, 1, 1)) > uniform(-0.2, 0.7, batch, 1, 1, 1)
    labels[ribs & ((body - 0.8).abs() < 0.035)] = 3
    labels[sternum < 1] = 3
    cage = body < 0.74
    labels[cage] = 4
    for depth in (left, right):
        lung = (depth < 1) & cage
        labels[lung] = 5
        labels[lung & (smooth_noise(batch, 1, shape, max(shape) / 20) > 1.6)] = 6
    low = torch.rand(batch, 1, 1, 1) < 0.5
    labels[(heart_depth < 1) & low & cage] = 7
    for chamber in chambers:
        labels[(chamber < 1) & (heart_depth < 0.92) & low] = 6
    for vessel in vessels:
        labels[(vessel < 1) & ~low & cage] = 6
    labels[(trachea < 1) & ~low] = 8
    for label, part in ((9, vertebra), (10, canal), (6, aorta)):
        labels[part < 1] = label
    return labels


def section(batch: int, shape: tuple[int, int]) -> Tensor:
    """A stained section of a lung: solid tissue with clefts, thin walls around air, rimmed holes, glass beside it."""
    points, pores = wavy_points(batch, shape), float(uniform(5, 14))
    glass, *holes = inside(
        points, (Ellipse(0, 0, 1.2, 1.2, 0.4), *(Ellipse(0, 0, 0.12, 0.12, 0.7, 0.9, 0.9) for _ in range(4)))
    )
    (solid,) = inside(points, (Ellipse(0, 0, 0.6, 0.7, 0.4),), uniform(0.4, 1.6, batch, 1, 1))
    labels = torch.where(smooth_noise(batch, 1, shape, pores).abs() < 0.3, 1, 2)
    for hole in holes:
        labels[hole < 1.3] = 3
        labels[hole < 1] = 2
    labels[solid + 0.05 * smooth_noise(batch, 1, shape, pores) < 1] = 4
    labels[(solid < 0.95) & (smooth_noise(batch, 1, shape, 2 * pores).abs() < 0.05)] = 2
    labels[glass > 1] = 0
    return labels


ANATOMIES = (random_shapes, head, abdomen, heart, thorax, section)


def anatomies(batch: int, shape: tuple[int, int]) -> Tensor:
    """Labels ``(batch, 1, *shape)``; the anatomies take turns, beginning with a random one."""
    first, count = int(torch.randint(len(ANATOMIES), (1,))), len(ANATOMIES)
    labels = torch.empty(batch, 1, *shape)
    for turn in range(min(count, batch)):
        labels[turn::count] = ANATOMIES[(first + turn) % count](len(range(turn, batch, count)), shape).float()
    return labels
