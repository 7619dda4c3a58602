"""Random labelmaps: meaningless shapes, and slices that look like a head, an abdomen, a heart, a thorax, a section."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.grid import identity_grid


def smooth_noise(batch: int, channels: int, shape: tuple[int, int], scale: float) -> Tensor:
    """Standard normal values every ``scale`` voxels, joined smoothly: ``(batch, channels, *shape)``."""
    rows, columns = (_interpolation(max(int(size / scale), 1) + 1, size) for size in shape)
    return rows.T @ torch.randn(batch, channels, len(rows), len(columns)) @ columns


def _interpolation(coarse: int, size: int) -> Tensor:
    """Cubic weights of ``coarse`` values at ``size`` positions between them, ``(coarse, size)``."""
    return F.interpolate(torch.eye(coarse)[None, None], (coarse, size), mode="bicubic", align_corners=True)[0, 0]


def uniform(low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape)


def inside(points: Tensor, centre: tuple[float, float], radii: tuple[float, float], jitter: float = 0.2) -> Tensor:
    """Depth in a random ellipse, 0 at its centre and 1 at its border: ``(B, 1, H, W)``.

    Args:
        points: ``(B, 2, H, W)``, positions with the image from -1 to 1, y before x.
        centre: Mean position.
        radii: Mean half axes.
        jitter: Relative spread of position and size.
    """
    batch = points.shape[0]
    half_axes = torch.tensor(radii) * (1 + jitter * uniform(-1, 1, batch, 2))
    middle = torch.tensor(centre) + jitter * torch.tensor(radii) * uniform(-1, 1, batch, 2)
    angle = uniform(-1, 1, batch, 1, 1) * jitter * 2
    y, x = (points - middle[:, :, None, None]).unbind(dim=1)
    along, across = angle.cos() * y - angle.sin() * x, angle.sin() * y + angle.cos() * x
    a, b = half_axes[:, :, None, None].unbind(dim=1)
    return ((along / a).square() + (across / b).square()).sqrt()[:, None]


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
    scale = float(torch.empty(1).uniform_(12, 64))
    noise = smooth_noise(batch, 16, shape, scale) + 0.4 * smooth_noise(batch, 16, shape, scale / 2.5)
    return noise.max(dim=1, keepdim=True).indices


def head(batch: int, shape: tuple[int, int]) -> Tensor:
    """Skin, skull, fluid, folded cortex, white matter, ventricles, deep nuclei; half of them skull-stripped."""
    points = wavy_points(batch, shape)
    depth = inside(points, (0, 0), (0.85, 0.72), 0.12)
    stripped = torch.rand(batch, 1, 1, 1) < 0.5
    labels = torch.zeros_like(depth, dtype=torch.long)
    for label, radius in ((1, 1.12), (2, 1.06), (3, 0.99)):
        labels[(depth < radius) & ~stripped] = label
    folds = smooth_noise(batch, 1, shape, max(shape) / 16)
    labels[depth + 0.03 * folds < 0.95] = 4
    labels[(folds.abs() < 0.18) & (depth > 0.72) & (depth < 0.98)] = 3
    labels[depth + 0.16 * folds < 0.74] = 5
    labels[(depth < 0.93) & (points[:, 1:].abs() < 0.012)] = 3
    for label, y, x, ry, rx in ((6, -0.1, 0.2, 0.16, 0.09), (7, 0.12, 0.25, 0.18, 0.06), (8, 0.05, 0.1, 0.09, 0.07)):
        for side in (-1, 1):
            labels[inside(points, (y, side * x), (ry, rx), 0.25) < 1] = label
    for side in (-1, 1):
        labels[inside(points, (-0.22, side * 0.08), (0.22, 0.05), 0.4) < 1] = 9
        labels[inside(points, (0.28, side * 0.14), (0.2, 0.05), 0.4) < 1] = 9
    labels[stripped & (depth > 1)] = 0
    return labels


def abdomen(batch: int, shape: tuple[int, int]) -> Tensor:
    """Body, fat, muscle, liver with vessels, spleen, kidneys, stomach and bowel with gas, spine, great vessels."""
    points = wavy_points(batch, shape)
    body = inside(points, (0, 0), (0.68, 0.9), 0.1)
    labels = torch.zeros_like(body, dtype=torch.long)
    labels[body < 1] = 1
    labels[body < 0.86 + 0.03 * smooth_noise(batch, 1, shape, 30)] = 2
    labels[body < 0.79] = 3
    for _ in range(6):
        centre = (float(torch.empty(1).uniform_(-0.35, 0.3)), float(torch.empty(1).uniform_(-0.5, 0.5)))
        labels[(inside(points, centre, (0.12, 0.16), 0.5) < 1) & (body < 0.77)] = int(torch.randint(4, 8, (1,)))
    liver = (inside(points, (-0.08, -0.42), (0.42, 0.36), 0.2) < 1) & (body < 0.78)
    labels[liver] = 8
    labels[liver & (smooth_noise(batch, 1, shape, max(shape) / 9).abs() < 0.07)] = 9
    labels[(inside(points, (0.02, 0.6), (0.26, 0.15), 0.3) < 1) & (body < 0.78)] = 10
    for side in (-1, 1):
        labels[inside(points, (0.28, side * 0.38), (0.17, 0.12), 0.3) < 1] = 11
        labels[inside(points, (0.28, side * 0.34), (0.07, 0.04), 0.3) < 1] = 12
    labels[inside(points, (0.42, 0), (0.12, 0.15), 0.2) < 1] = 13
    labels[inside(points, (0.58, 0), (0.05, 0.06), 0.2) < 1] = 14
    labels[inside(points, (0.2, 0.06), (0.055, 0.055), 0.3) < 1] = 9
    labels[inside(points, (-0.35, 0.2), (0.09, 0.13), 0.6) < 1] = 15
    return labels


def heart(batch: int, shape: tuple[int, int]) -> Tensor:
    """A short-axis view: left ventricle in its ring of muscle, right ventricle beside it, lungs, chest wall."""
    points = wavy_points(batch, shape)
    chest = inside(points, (0, 0), (0.85, 0.95), 0.2)
    labels = torch.where(chest < 1, random_shapes(batch, shape).remainder(4) + 1, 0)
    for side in (-1, 1):
        labels[(inside(points, (0, side * 0.62), (0.55, 0.3), 0.25) < 1) & (chest < 0.85)] = 5
    zoom = float(torch.empty(1).uniform_(0.7, 1.6))
    labels[inside(points, (0, 0), (0.5 * zoom, 0.5 * zoom), 0.1) < 1] = 6
    labels[inside(points, (0.02, -0.2 * zoom), (0.26 * zoom, 0.24 * zoom), 0.25) < 1] = 7
    ring = inside(points, (0, 0.12 * zoom), (0.26 * zoom, 0.26 * zoom), 0.1)
    labels[ring < 1] = 8
    labels[ring < torch.empty(batch, 1, 1, 1).uniform_(0.4, 0.8)] = 9
    papillary = smooth_noise(batch, 1, shape, max(shape) / 14)
    labels[(ring < 0.55) & (papillary > 1.3)] = 8
    return labels


def thorax(batch: int, shape: tuple[int, int]) -> Tensor:
    """Body, muscle, ribs, lungs with vessels, spine; half of them with the heart, half above it with the trachea."""
    points = wavy_points(batch, shape)
    body = inside(points, (0, 0), (0.68, 0.9), 0.1)
    labels = torch.zeros_like(body, dtype=torch.long)
    labels[body < 1] = 1
    labels[body < 0.9 + 0.02 * smooth_noise(batch, 1, shape, 30)] = 2
    turn = torch.atan2(points[:, :1], points[:, 1:])
    ribs = torch.cos(14 * turn + uniform(0, 6.3, batch, 1, 1, 1)) > uniform(-0.2, 0.7, batch, 1, 1, 1)
    labels[ribs & ((body - 0.8).abs() < 0.035)] = 3
    labels[inside(points, (-0.53, 0), (0.05, 0.13), 0.2) < 1] = 3
    cage = body < 0.74
    labels[cage] = 4
    for side in (-1, 1):
        lung = (inside(points, (0.02, side * 0.44), (0.5, 0.32), 0.15) < 1) & cage
        labels[lung] = 5
        labels[lung & (smooth_noise(batch, 1, shape, max(shape) / 20) > 1.6)] = 6
    low = torch.rand(batch, 1, 1, 1) < 0.5
    heart_depth = inside(points, (-0.14, 0.14), (0.28, 0.3), 0.2)
    labels[(heart_depth < 1) & low & cage] = 7
    for y, x, radius in ((-0.2, 0.02, 0.12), (-0.1, 0.22, 0.13), (0.02, 0.02, 0.1)):
        labels[(inside(points, (y, x), (radius, radius), 0.3) < 1) & (heart_depth < 0.92) & low] = 6
    for y, x, radius in ((-0.2, -0.04, 0.09), (-0.14, -0.2, 0.06), (-0.1, 0.14, 0.08)):
        labels[(inside(points, (y, x), (radius, radius), 0.3) < 1) & ~low & cage] = 6
    labels[(inside(points, (0.1, 0), (0.06, 0.07), 0.3) < 1) & ~low] = 8
    labels[inside(points, (0.42, 0), (0.13, 0.14), 0.2) < 1] = 9
    labels[inside(points, (0.5, 0), (0.05, 0.05), 0.2) < 1] = 10
    labels[inside(points, (0.26, 0.14), (0.07, 0.07), 0.3) < 1] = 6
    return labels


def section(batch: int, shape: tuple[int, int]) -> Tensor:
    """A stained section of a lung: solid tissue with clefts, thin walls around air, rimmed holes, glass beside it."""
    points = wavy_points(batch, shape)
    zoom, pores = (float(torch.empty(1).uniform_(*bounds)) for bounds in ((0.4, 1.6), (5, 14)))
    labels = torch.where(smooth_noise(batch, 1, shape, pores).abs() < 0.3, 1, 2)
    for _ in range(4):
        centre = (float(torch.empty(1).uniform_(-0.9, 0.9)), float(torch.empty(1).uniform_(-0.9, 0.9)))
        hole = inside(points, centre, (0.12, 0.12), 0.7)
        labels[hole < 1.3] = 3
        labels[hole < 1] = 2
    solid = inside(points, (0, 0), (0.6 * zoom, 0.7 * zoom), 0.4)
    labels[solid + 0.05 * smooth_noise(batch, 1, shape, pores) < 1] = 4
    labels[(solid < 0.95) & (smooth_noise(batch, 1, shape, 2 * pores).abs() < 0.05)] = 2
    labels[inside(points, (0, 0), (1.2, 1.2), 0.4) > 1] = 0
    return labels


ANATOMIES = (random_shapes, head, abdomen, heart, thorax, section)
