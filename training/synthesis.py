"""Pairs of images with a known displacement, of random anatomy and random contrast; no data needed.

A labelmap is drawn, deformed twice, and painted twice. The recipe starts from SynthMorph (Hoffmann et al., IEEE TMI
2022); added are head-, abdomen- and heart-like anatomy, texture that moves with the tissue, an affine part, lesions
that only one image has, partial field of view, and the true displacement.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.deformation import compose, exponentiate, resize_displacement, warp
from UnsupervisedRegistrationLib.core.grid import identity_grid

_LABELS = 24


@dataclass(frozen=True)
class Pair:
    """A synthesised batch.

    Attributes:
        fixed: ``(B, 1, H, W)``, intensities 0..1.
        moving: Like ``fixed``.
        displacement: ``(B, 2, H, W)``, the truth, from fixed to moving, voxels.
        hidden_fixed: ``(B, 3, H, W)``, the same anatomy without noise in a contrast common to both images.
        hidden_moving: Like ``hidden_fixed``.
        weight: ``(B, 1, H, W)``, how much the truth counts; little in the empty background, where nothing tells it.
    """

    fixed: Tensor
    moving: Tensor
    displacement: Tensor
    hidden_fixed: Tensor
    hidden_moving: Tensor
    weight: Tensor


@dataclass(frozen=True)
class SynthesisConfiguration:
    """How far the pairs differ.

    Attributes:
        size: Height and width of the images, voxels.
        warp_scales: Distances of the control points of the random velocity, voxels.
        warp_strengths: Largest standard deviation of the velocity for each scale, voxels.
        affine: Largest shift (share of the size), rotation (rad) and change of scale. Every pair has a share of
            them and of the strengths that is uniform from none to all, so that small motions are as common as large.
        same_contrast: Share of the pairs in which both images have the same contrast.
    """

    size: tuple[int, int] = (160, 160)
    warp_scales: tuple[int, ...] = (10, 20, 40, 80)
    warp_strengths: tuple[float, ...] = (1.0, 3.0, 5.0, 6.0)
    affine: tuple[float, float, float] = (0.05, 0.15, 0.1)
    same_contrast: float = 0.5


def smooth_noise(batch: int, channels: int, shape: tuple[int, int], scale: float) -> Tensor:
    """Standard normal values every ``scale`` voxels, joined smoothly: ``(batch, channels, *shape)``."""
    rows, columns = (_interpolation(max(int(size / scale), 1) + 1, size) for size in shape)
    return rows.T @ torch.randn(batch, channels, len(rows), len(columns)) @ columns


def _interpolation(coarse: int, size: int) -> Tensor:
    """Cubic weights of ``coarse`` values at ``size`` positions between them, ``(coarse, size)``."""
    return F.interpolate(torch.eye(coarse)[None, None], (coarse, size), mode="bicubic", align_corners=True)[0, 0]


def _uniform(low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape)


def _inside(points: Tensor, centre: tuple[float, float], radii: tuple[float, float], jitter: float = 0.2) -> Tensor:
    """Depth in a random ellipse, 0 at its centre and 1 at its border: ``(B, 1, H, W)``.

    Args:
        points: ``(B, 2, H, W)``, positions with the image from -1 to 1, y before x.
        centre: Mean position.
        radii: Mean half axes.
        jitter: Relative spread of position and size.
    """
    batch = points.shape[0]
    half_axes = torch.tensor(radii) * (1 + jitter * _uniform(-1, 1, batch, 2))
    middle = torch.tensor(centre) + jitter * torch.tensor(radii) * _uniform(-1, 1, batch, 2)
    angle = _uniform(-1, 1, batch, 1, 1) * jitter * 2
    y, x = (points - middle[:, :, None, None]).unbind(dim=1)
    along, across = angle.cos() * y - angle.sin() * x, angle.sin() * y + angle.cos() * x
    a, b = half_axes[:, :, None, None].unbind(dim=1)
    return ((along / a).square() + (across / b).square()).sqrt()[:, None]


def _points(batch: int, shape: tuple[int, int]) -> Tensor:
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
    return noise.argmax(dim=1, keepdim=True)


def head(batch: int, shape: tuple[int, int]) -> Tensor:
    """Skin, skull, fluid, folded cortex, white matter, ventricles, deep nuclei; half of them skull-stripped."""
    points = _points(batch, shape)
    depth = _inside(points, (0, 0), (0.85, 0.72), 0.12)
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
            labels[_inside(points, (y, side * x), (ry, rx), 0.25) < 1] = label
    for side in (-1, 1):
        labels[_inside(points, (-0.22, side * 0.08), (0.22, 0.05), 0.4) < 1] = 9
        labels[_inside(points, (0.28, side * 0.14), (0.2, 0.05), 0.4) < 1] = 9
    labels[stripped & (depth > 1)] = 0
    return labels


def abdomen(batch: int, shape: tuple[int, int]) -> Tensor:
    """Body, fat, muscle, liver with vessels, spleen, kidneys, stomach and bowel with gas, spine, great vessels."""
    points = _points(batch, shape)
    body = _inside(points, (0, 0), (0.68, 0.9), 0.1)
    labels = torch.zeros_like(body, dtype=torch.long)
    labels[body < 1] = 1
    labels[body < 0.86 + 0.03 * smooth_noise(batch, 1, shape, 30)] = 2
    labels[body < 0.79] = 3
    for _ in range(6):
        centre = (float(torch.empty(1).uniform_(-0.35, 0.3)), float(torch.empty(1).uniform_(-0.5, 0.5)))
        labels[(_inside(points, centre, (0.12, 0.16), 0.5) < 1) & (body < 0.77)] = int(torch.randint(4, 8, (1,)))
    liver = (_inside(points, (-0.08, -0.42), (0.42, 0.36), 0.2) < 1) & (body < 0.78)
    labels[liver] = 8
    labels[liver & (smooth_noise(batch, 1, shape, max(shape) / 9).abs() < 0.07)] = 9
    labels[(_inside(points, (0.02, 0.6), (0.26, 0.15), 0.3) < 1) & (body < 0.78)] = 10
    for side in (-1, 1):
        labels[_inside(points, (0.28, side * 0.38), (0.17, 0.12), 0.3) < 1] = 11
        labels[_inside(points, (0.28, side * 0.34), (0.07, 0.04), 0.3) < 1] = 12
    labels[_inside(points, (0.42, 0), (0.12, 0.15), 0.2) < 1] = 13
    labels[_inside(points, (0.58, 0), (0.05, 0.06), 0.2) < 1] = 14
    labels[_inside(points, (0.2, 0.06), (0.055, 0.055), 0.3) < 1] = 9
    labels[_inside(points, (-0.35, 0.2), (0.09, 0.13), 0.6) < 1] = 15
    return labels


def heart(batch: int, shape: tuple[int, int]) -> Tensor:
    """A short-axis view: left ventricle in its ring of muscle, right ventricle beside it, lungs, chest wall."""
    points = _points(batch, shape)
    chest = _inside(points, (0, 0), (0.85, 0.95), 0.2)
    labels = torch.where(chest < 1, random_shapes(batch, shape).remainder(4) + 1, 0)
    for side in (-1, 1):
        labels[(_inside(points, (0, side * 0.62), (0.55, 0.3), 0.25) < 1) & (chest < 0.85)] = 5
    zoom = float(torch.empty(1).uniform_(0.7, 1.6))
    labels[_inside(points, (0, 0), (0.5 * zoom, 0.5 * zoom), 0.1) < 1] = 6
    labels[_inside(points, (0.02, -0.2 * zoom), (0.26 * zoom, 0.24 * zoom), 0.25) < 1] = 7
    ring = _inside(points, (0, 0.12 * zoom), (0.26 * zoom, 0.26 * zoom), 0.1)
    labels[ring < 1] = 8
    labels[ring < torch.empty(batch, 1, 1, 1).uniform_(0.4, 0.8)] = 9
    papillary = smooth_noise(batch, 1, shape, max(shape) / 14)
    labels[(ring < 0.55) & (papillary > 1.3)] = 8
    return labels


ANATOMIES = (random_shapes, head, abdomen, heart)


def bend(batch: int, configuration: SynthesisConfiguration) -> Tensor:
    """A small random deformation that varies real images, ``(B, 2, H, W)`` voxels."""
    affine, _ = _affine(batch, configuration)
    velocity = 0.3 * _velocity(torch.rand(batch), configuration)
    return compose(affine, resize_displacement(exponentiate(velocity, 6), configuration.size))


def _affine(batch: int, configuration: SynthesisConfiguration) -> tuple[Tensor, Tensor]:
    """A random affine displacement and its inverse, ``(B, 2, H, W)`` voxels each."""
    shift, rotation, scale = configuration.affine
    shape = configuration.size
    share = torch.rand(batch)
    angle = share * _uniform(-rotation, rotation, batch)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).view(batch, 2, 2)
    matrix = turn @ (torch.eye(2) + share[:, None, None] * _uniform(-scale, scale, batch, 2, 2))
    offset = share[:, None] * _uniform(-shift, shift, batch, 2) * torch.tensor(shape)
    centred = identity_grid(shape, matrix) - (torch.tensor(shape).view(1, 2, 1, 1) - 1) / 2

    def displacement(a: Tensor, b: Tensor) -> Tensor:
        return torch.einsum("bij,bjhw->bihw", a - torch.eye(2), centred.expand(batch, -1, -1, -1)) + b[:, :, None, None]

    inverse = torch.linalg.inv(matrix)
    return displacement(matrix, offset), displacement(inverse, -(inverse @ offset[..., None])[..., 0])


def _velocity(share: Tensor, configuration: SynthesisConfiguration) -> Tensor:
    """A random velocity at half the resolution, ``(B, 2, H / 2, W / 2)`` in voxels there; ``share`` scales each."""
    batch = share.shape[0]
    half = (configuration.size[0] // 2, configuration.size[1] // 2)
    total = torch.zeros(batch, 2, *half)
    for scale, strength in zip(configuration.warp_scales, configuration.warp_strengths, strict=True):
        spread = _uniform(0, strength / 2, batch, 1, 1, 1)
        total = total + spread * smooth_noise(batch, 2, half, scale / 2)
    return share.view(-1, 1, 1, 1) * total


def _blur(image: Tensor, sigma: float) -> Tensor:
    offsets = torch.arange(-2, 3, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets / max(sigma, 1e-3)).square())
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, 5)
    rows = F.conv2d(F.pad(image, [2, 2, 0, 0], mode="replicate"), kernel[:, :, None], groups=image.shape[1])
    return F.conv2d(F.pad(rows, [0, 0, 2, 2], mode="replicate"), kernel[..., None], groups=image.shape[1])


def _contrast(batch: int) -> Tensor:
    """Mean intensity and strength of the texture of each label, ``(B, 2, labels)``; the background is often black."""
    means, textures = torch.rand(batch, _LABELS), 0.12 * torch.rand(batch, _LABELS)
    black = torch.rand(batch) < 0.7
    means[black, 0], textures[black, 0] = 0, 0
    return torch.stack([means, textures], dim=1)


def _paint(labels: Tensor, texture: Tensor, contrast: Tensor) -> Tensor:
    """Intensities of a labelmap before anything the scanner adds."""
    mean, strength = (contrast[:, i].gather(1, labels.flatten(1)).view_as(texture) for i in range(2))
    return mean + strength * texture


def _lesion(image: Tensor) -> Tensor:
    """Adds a blob of another intensity to some of the images, which the partner does not have."""
    batch, _, *shape = image.shape
    centre = (float(torch.empty(1).uniform_(-0.6, 0.6)), float(torch.empty(1).uniform_(-0.6, 0.6)))
    blob = _inside(_points(batch, (shape[0], shape[1])), centre, (0.1, 0.1), 0.6) < 1
    chosen = blob & (torch.rand(batch, 1, 1, 1) < 0.2)
    return torch.where(chosen, torch.rand(batch, 1, 1, 1) + 0.1 * image, image)


def _scan(image: Tensor) -> Tensor:
    """What a scanner does: blur, bias field, gamma, noise, partial field of view, and intensities to 0..1."""
    batch, _, *shape = image.shape
    size = (shape[0], shape[1])
    image = _blur(_lesion(image), float(torch.empty(1).uniform_(0.2, 0.9)))
    image = image * torch.exp(_uniform(0, 0.25, batch, 1, 1, 1) * smooth_noise(batch, 1, size, max(size) / 3))
    image = image.clamp_min(0).pow(torch.exp(_uniform(-0.5, 0.5, batch, 1, 1, 1)))
    image = image + _uniform(0, 0.05, batch, 1, 1, 1) * torch.randn_like(image)
    some = image.flatten(1)[:, ::7]  # Enough to tell the percentiles, and a seventh of the time.
    low = some.quantile(0.005, dim=1).view(-1, 1, 1, 1)
    high = some.quantile(0.995, dim=1).view(-1, 1, 1, 1)
    image = ((image - low) / (high - low).clamp_min(1e-3)).clamp(0, 1)
    cut = (torch.rand(batch, 1, 1, 1) < 0.1) & (identity_grid(size, image)[:, :1] > 0.85 * shape[0])
    return torch.where(cut, 0.0, image)


def synthesise(batch: int, configuration: SynthesisConfiguration) -> Pair:
    """A fresh batch of pairs; every anatomy has the same share.

    Args:
        batch: Number of pairs, a multiple of four.
        configuration: How far they differ.
    """
    shape, share = configuration.size, batch // len(ANATOMIES)
    anatomy = torch.cat([draw(share, shape) for draw in ANATOMIES]).float()
    texture = smooth_noise(batch, 1, shape, 3.0) + smooth_noise(batch, 1, shape, 9.0)
    contrasts = _contrast(batch), _contrast(batch)
    same = torch.rand(batch, 1, 1) < configuration.same_contrast
    contrasts = contrasts[0], torch.where(same, contrasts[0], contrasts[1])
    hidden = [_contrast(batch) for _ in range(3)]

    affine, inverse_affine = _affine(batch, configuration)
    strength = torch.rand(batch)
    velocities = _velocity(strength, configuration), _velocity(strength, configuration)
    to_canonical = [resize_displacement(exponentiate(v, 6), shape) for v in velocities]
    from_canonical = resize_displacement(exponentiate(-velocities[1], 6), shape)
    to_canonical[1] = compose(affine, to_canonical[1])
    displacement = compose(compose(from_canonical, inverse_affine), to_canonical[0])

    images, hiddens = [], []
    for deformation, contrast in zip(to_canonical, contrasts, strict=True):
        labels = warp(anatomy, deformation, "nearest").long()
        moved = warp(texture, deformation)
        images.append(_scan(_paint(labels, moved, contrast)))
        hiddens.append(_blur(torch.cat([_paint(labels, moved, c) for c in hidden], dim=1), 0.7))
    weight = torch.where(warp(anatomy, to_canonical[0], "nearest") > 0, 1.0, 0.1)
    return Pair(images[0], images[1], displacement, hiddens[0], hiddens[1], weight)
