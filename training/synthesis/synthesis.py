"""Synthetic pairs of images with a known displacement, of random anatomy and random contrast.

A random labelmap is deformed twice and given intensities twice. The method extends SynthMorph (Hoffmann et al., IEEE
TMI 2022) by anatomies, texture that moves with the tissue, an affine part, lesions in one of the images only, a partial
field of view, and the true displacement.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.synthesis.anatomy import Ellipse, anatomies, inside, smooth_noise, uniform, wavy_points
from UnsupervisedRegistrationLib.core.spatial.deformation import compose, exponentiate, resize_displacement, warp
from UnsupervisedRegistrationLib.core.spatial.grid import identity_grid

_LABEL_COUNT = 24
_KNOTS = 6  # Of a random intensity curve.
_WHITE = (0.6, 1.0)  # Range of the threshold above which intensities become white.


@dataclass(frozen=True)
class Pair:
    """A synthesised batch.

    Attributes:
        fixed: ``(B, 1, H, W)``, intensities 0..1.
        moving: Like ``fixed``.
        displacement: ``(B, 2, H, W)``, the truth, from fixed to moving, voxels.
        hidden_fixed: ``(B, 3, H, W)``, the same anatomy without noise in a contrast common to both images.
        hidden_moving: Like ``hidden_fixed``.
        weight: ``(B, 1, H, W)``, weight of the truth; low in the empty background, where nothing determines it.
    """

    fixed: Tensor
    moving: Tensor
    displacement: Tensor
    hidden_fixed: Tensor
    hidden_moving: Tensor
    weight: Tensor


@dataclass(frozen=True)
class SynthesisConfiguration:
    """Size of the images, and how much the two images of a pair differ.

    Attributes:
        size: Height and width of the images, voxels.
        warp_scales: Distances of the control points of the random velocity, voxels.
        warp_strengths: Largest standard deviation of the velocity for each scale, voxels.
        affine: Largest shift (share of the size), rotation (rad) and change of scale. In every pair they and the
            strengths are multiplied by a number that is uniform in 0..1, so that small motions are as common as large.
        same_contrast: Share of the pairs in which both images have the same contrast.
        random_intensity_mapping: Share of those in which a random curve then maps the intensities of the moving image.
            The texture of the tissue stays the same, but is inverted, compressed or folded.
        independent_texture: Share of all pairs whose moving image has a texture of its own, as another subject has.
    """

    size: tuple[int, int] = (160, 160)
    warp_scales: tuple[float, ...] = (10, 20, 40, 80)
    warp_strengths: tuple[float, ...] = (1.0, 3.0, 5.0, 6.0)
    affine: tuple[float, float, float] = (0.05, 0.15, 0.1)
    same_contrast: float = 0.5
    random_intensity_mapping: float = 0.0
    independent_texture: float = 0.0


def random_deformation(batch: int, configuration: SynthesisConfiguration) -> Tensor:
    """Draw a small random displacement that varies real images, ``(B, 2, H, W)`` voxels.

    It is made at a quarter of the resolution, which is fast enough not to delay the network.
    """
    coarse = dataclasses.replace(
        configuration,
        size=(configuration.size[0] // 4, configuration.size[1] // 4),
        warp_scales=tuple(scale / 4 for scale in configuration.warp_scales),
        warp_strengths=tuple(strength / 4 for strength in configuration.warp_strengths),
    )
    affine, _ = _affine(batch, coarse)
    velocity = 0.3 * _velocity(torch.rand(batch), coarse)
    return resize_displacement(
        compose(affine, resize_displacement(exponentiate(velocity, 4), coarse.size)), configuration.size
    )


def _affine(batch: int, configuration: SynthesisConfiguration) -> tuple[Tensor, Tensor]:
    """A random affine displacement and its inverse, ``(B, 2, H, W)`` voxels each."""
    shift, rotation, scale = configuration.affine
    shape = configuration.size
    share = torch.rand(batch)
    angle = share * uniform(-rotation, rotation, batch)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).view(batch, 2, 2)
    matrix = turn @ (torch.eye(2) + share[:, None, None] * uniform(-scale, scale, batch, 2, 2))
    offset = share[:, None] * uniform(-shift, shift, batch, 2) * torch.tensor(shape)
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
        spread = uniform(0, strength / 2, batch, 1, 1, 1)
        total = total + spread * smooth_noise(batch, 2, half, scale / 2)
    return share.view(-1, 1, 1, 1) * total


def _blur(image: Tensor, sigma: float) -> Tensor:
    offsets = torch.arange(-2, 3, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets / max(sigma, 1e-3)).square())
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, 5)
    rows = F.conv2d(F.pad(image, [2, 2, 0, 0], mode="replicate"), kernel[:, :, None], groups=image.shape[1])
    return F.conv2d(F.pad(rows, [0, 0, 2, 2], mode="replicate"), kernel[..., None], groups=image.shape[1])


def _contrast(batch: int) -> Tensor:
    """Mean intensity and amplitude of the texture of each label, ``(B, 2, labels)``; the background is often black."""
    means, textures = torch.rand(batch, _LABEL_COUNT), 0.12 * torch.rand(batch, _LABEL_COUNT)
    black = torch.rand(batch) < 0.7
    means[black, 0], textures[black, 0] = 0, 0
    return torch.stack([means, textures], dim=1)


def _to_intensities(labels: Tensor, texture: Tensor, contrast: Tensor) -> Tensor:
    """Intensities of a labelmap, without the effects of a scanner."""
    mean, strength = (contrast[:, i].gather(1, labels.flatten(1)).view_as(texture) for i in range(2))
    return mean + strength * texture


def _texture(batch: int, shape: tuple[int, int]) -> Tensor:
    """Random variation within a tissue, ``(B, 1, H, W)``."""
    return smooth_noise(batch, 1, shape, 3.0) + smooth_noise(batch, 1, shape, 9.0)


def _map_intensities(image: Tensor, labels: Tensor) -> Tensor:
    """Map intensities by a random curve, decreasing in half of the images; the background keeps its intensities.

    In a third of the images the brightest voxels become white, as bone does in CT.
    """
    batch = image.shape[0]
    values = torch.rand(batch, _KNOTS)
    values = torch.where(torch.rand(batch, 1) < 0.5, values.sort(dim=1, descending=True).values, values)
    place = image.flatten(1).clamp(0, 1) * (_KNOTS - 1)
    below = place.long().clamp(max=_KNOTS - 2)
    curve = torch.lerp(values.gather(1, below), values.gather(1, below + 1), place - below)
    white = (torch.rand(batch, 1) < 1 / 3) & (image.flatten(1) > uniform(*_WHITE, batch, 1))
    return torch.where(labels > 0, torch.where(white, 1.0, curve).view_as(image), image)


def _lesion(image: Tensor) -> Tensor:
    """Add a blob of another intensity to some of the images; the other image of the pair lacks it."""
    batch, _, *shape = image.shape
    (blob,) = inside(wavy_points(batch, (shape[0], shape[1])), (Ellipse(0, 0, 0.1, 0.1, 0.6, 0.6, 0.6),))
    chosen = (blob < 1) & (torch.rand(batch, 1, 1, 1) < 0.2)
    return torch.where(chosen, torch.rand(batch, 1, 1, 1) + 0.1 * image, image)


def _scan(image: Tensor) -> Tensor:
    """Simulate a scanner: blur, bias field, gamma, noise, partial field of view; intensities become 0..1."""
    batch, _, *shape = image.shape
    size = (shape[0], shape[1])
    image = _blur(_lesion(image), float(uniform(0.2, 0.9)))
    image = image * torch.exp(uniform(0, 0.25, batch, 1, 1, 1) * smooth_noise(batch, 1, size, max(size) / 3))
    image = image.clamp_min(0).pow(torch.exp(uniform(-0.5, 0.5, batch, 1, 1, 1)))
    image = image + uniform(0, 0.05, batch, 1, 1, 1) * torch.randn_like(image)
    some = image.flatten(1)[:, ::7]  # Enough for the percentiles, in a seventh of the time.
    low = some.quantile(0.005, dim=1).view(-1, 1, 1, 1)
    high = some.quantile(0.995, dim=1).view(-1, 1, 1, 1)
    image = ((image - low) / (high - low).clamp_min(1e-3)).clamp(0, 1)
    cut = (torch.rand(batch, 1, 1, 1) < 0.1) & (identity_grid(size, image)[:, :1] > 0.85 * shape[0])
    return torch.where(cut, 0.0, image)


def synthesise(batch: int, configuration: SynthesisConfiguration) -> Pair:
    """Make a batch of synthetic pairs.

    Args:
        batch: Number of pairs.
        configuration: Size of the images, and how much they differ.
    """
    shape = configuration.size
    anatomy = anatomies(batch, shape)
    texture = _texture(batch, shape)
    independent = torch.rand(batch, 1, 1, 1) < configuration.independent_texture
    textures = texture, torch.where(independent, _texture(batch, shape), texture)
    contrasts = _contrast(batch), _contrast(batch)
    same = torch.rand(batch, 1, 1) < configuration.same_contrast
    mapped = same[..., None] & (torch.rand(batch, 1, 1, 1) < configuration.random_intensity_mapping)
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
    for number, (deformation, contrast) in enumerate(zip(to_canonical, contrasts, strict=True)):
        labels = warp(anatomy, deformation, "nearest").long()
        texture_there = warp(textures[number], deformation)
        plain = _to_intensities(labels, texture_there, contrast)
        images.append(_scan(torch.where(mapped, _map_intensities(plain, labels), plain) if number else plain))
        common = warp(texture, deformation)
        hiddens.append(_blur(torch.cat([_to_intensities(labels, common, c) for c in hidden], dim=1), 0.7))
    weight = torch.where(warp(anatomy, to_canonical[0], "nearest") > 0, 1.0, 0.1)
    return Pair(images[0], images[1], displacement, hiddens[0], hiddens[1], weight)
