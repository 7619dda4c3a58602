"""A small, symmetric network: shared features, local correlation, coarse to fine."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .deformation import exponentiate, resize_displacement, warp
from .network import Network, NetworkConfiguration, convolution

_STEM = 4  # Nothing is convolved above a quarter of the resolution; full-resolution layers would set the time.
_LEVELS = 4
_RADII = (3, 3, 3, 2)  # Reach of the correlation at 1/32, 1/16, 1/8, 1/4, in voxels there.


class Pyramid(Network):
    """Registers in the middle between both images, from 1/32 to 1/4 of the resolution.

    One encoder sees both images. At each level the features of both are warped half-way towards each other by the
    velocity so far, correlated, and decoded into a residual velocity. The decoder is applied in both directions and
    the outcomes are subtracted, so swapping the images negates the velocity exactly, the inverse deformation is
    ``exp(-velocity)``, and an image registered to itself stays where it is.

    Source:
        Local correlation on warped features: Sun et al., PWC-Net, CVPR 2018. Antisymmetry in mid-space: Honkamaa
        and Marttinen, SITReg, MELBA 2024; Greer et al., Inverse consistency by construction, MICCAI 2023.
    """

    multiple = _STEM * 2 ** (_LEVELS - 1)

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__(configuration)
        dimension, width = configuration.dimension, configuration.width
        channels = [width, width * 2, width * 3, width * 4]
        inputs = [_STEM**dimension, *channels[:-1]]
        self.encoder = nn.ModuleList(
            _encoder(dimension, i, o, stride=1 if level == 0 else 2)
            for level, (i, o) in enumerate(zip(inputs, channels, strict=True))
        )
        self.decoder = nn.ModuleList(
            _decoder(dimension, (2 * radius + 1) ** dimension + 2 * features + dimension, features)
            for radius, features in zip(_RADII, reversed(channels), strict=True)
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        levels = [space_to_depth(torch.cat([fixed, moving]) - 0.5, _STEM)]
        for stage in self.encoder:
            levels.append(stage(levels[-1]))
        velocity = fixed.new_zeros(fixed.shape[0], self.configuration.dimension, *levels[-1].shape[2:])
        outcomes = []
        for features, decoder, radius in zip(reversed(levels[1:]), self.decoder, _RADII, strict=True):
            if features.shape[2:] != velocity.shape[2:]:
                velocity = resize_displacement(velocity, tuple(features.shape[2:]))
            velocity = velocity + self._residual(features, velocity, decoder, radius)
            outcomes.append(velocity)
        return outcomes

    def _residual(self, features: Tensor, velocity: Tensor, decoder: nn.Module, radius: int) -> Tensor:
        """Antisymmetric update of the velocity from the features of both images, stacked in the batch."""
        both_ways = torch.cat([-velocity, velocity])
        halfway = warp(features, exponentiate(both_ways / 2, self.configuration.integration_steps))
        swapped = halfway.roll(velocity.shape[0], dims=0)
        matches = correlate(F.normalize(halfway, dim=1), F.normalize(swapped, dim=1), radius)
        there, back = decoder(torch.cat([matches, halfway, swapped, -both_ways], dim=1)).chunk(2)
        return (there - back) / 2


def space_to_depth(image: Tensor, factor: int) -> Tensor:
    """Blocks of ``factor`` voxels a side become channels: ``(B, C * factor**d, *spatial / factor)``."""
    batch, channels, *shape = image.shape
    dimension = len(shape)
    blocks = image.reshape(batch, channels, *[n for size in shape for n in (size // factor, factor)])
    inner, outer = range(3, 3 + 2 * dimension, 2), range(2, 2 + 2 * dimension, 2)
    return blocks.permute(0, 1, *inner, *outer).reshape(batch, -1, *[size // factor for size in shape])


def correlate(first: Tensor, second: Tensor, radius: int) -> Tensor:
    """Inner products of each voxel of ``first`` with the voxels of ``second`` around it.

    Args:
        first: ``(B, C, *spatial)``.
        second: Like ``first``.
        radius: Reach along each axis, voxels.

    Returns:
        ``(B, (2 * radius + 1) ** d, *spatial)``; neighbours outside the image count as zero.
    """
    dimension, size = first.ndim - 2, 2 * radius + 1
    around = F.pad(second, [radius] * 2 * dimension)
    for axis in range(2, 1 + dimension):  # A view: the neighbours along every axis but the last.
        around = around.unfold(axis, size, 1)
    around = around.movedim(2 + dimension - 1, -1)  # (B, C, *rows, *neighbours, width + 2 radius)
    rows = around.shape[2 : 1 + dimension]
    left = first.movedim(1, -1)  # (B, *rows, width, C)
    right = around.movedim(1, 1 + len(rows)).flatten(2 + len(rows))  # (B, *rows, C, neighbours * padded width)
    width, padded = left.shape[-2], around.shape[-1]
    products = (left @ right).unflatten(-1, (-1, padded)).movedim(-2, 1)  # (B, neighbours, *rows, width, padded)
    # Entry (x, x + k) of each matrix for k < size: with one more column a row, the diagonals become columns.
    skewed = F.pad(products.flatten(-2), [0, width]).unflatten(-1, (width, padded + 1))[..., :size]
    return skewed.movedim(-1, 2).flatten(1, 2)


def _encoder(dimension: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = convolution(dimension)
    norm = nn.InstanceNorm2d if dimension == 2 else nn.InstanceNorm3d
    return nn.Sequential(
        conv(inputs, outputs, 3, stride=stride, padding=1),
        norm(outputs, affine=True),
        nn.LeakyReLU(0.2),
        conv(outputs, outputs, 3, padding=1),
        norm(outputs, affine=True),
        nn.LeakyReLU(0.2),
    )


def _decoder(dimension: int, inputs: int, width: int) -> nn.Sequential:
    """From matches and features to a velocity; the last layer starts almost at zero."""
    conv = convolution(dimension)
    last = conv(width, dimension, 3, padding=1)
    nn.init.normal_(last.weight, std=1e-3)
    return nn.Sequential(
        conv(inputs, width, 3, padding=1),
        nn.LeakyReLU(0.2),
        conv(width, width, 3, padding=1),
        nn.LeakyReLU(0.2),
        last,
    )
