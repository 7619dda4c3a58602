"""A small symmetric network: shared features, local correlation, coarse to fine."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..similarity.forces import contrasts, mutual_force, normalised
from ..spatial.deformation import both_directions, exponentiate, lengths, resize_displacement, symmetric_flows, warp
from ..spatial.filters import gaussian_halved, halved
from .network import Network, NetworkConfiguration, convolution

_STEM = 4  # The finest features have 1/4 of the resolution; layers at full resolution would dominate the time.
_RADII = (3, 3, 3, 1)  # Radius of the correlation at 1/32, 1/16, 1/8, 1/4 of the resolution, voxels of the level.
_DEPTHS = (1, 1, 2, 1)  # Wide convolutions of the decoder at these levels.
_MAX_LEVELS = len(_RADII)
_MAX_DEMONS_STEP = 1.65  # Voxels of the finest level; the limit decreases linearly over the demons steps.
_DEMONS_STEP_SIZE = 2.2  # Step at a force of 1, voxels.
_DEMONS_MOMENTUM = 0.4  # Share of the previous step that is added.
_DEMONS_SIGMA = 1.0  # Standard deviation of the Gaussian that smooths the force, voxels at half the resolution.
_INPUT_WINDOW = 9  # Side of the window in which the input is normalised, voxels at half the resolution.
_SMALL_FEATURES = 1024  # Voxels below which torch normalises channels-last features slowly.
_HALFWAY_STEPS = 1  # Integration steps for half of the velocity, which spans few voxels of its level.


class Pyramid(Network):
    """Registers both images half-way to each other, from 1/32 or finer to 1/4 of the resolution.

    One encoder sees both images. At each level the features of both are warped half-way towards each other by the
    velocity so far, correlated, and decoded into a residual velocity. The decoder is applied in both directions and
    the outputs are subtracted. Exchanging the images therefore negates the velocity exactly, the inverse deformation is
    ``exp(-velocity)``, and an image registered to itself does not move.

    Source:
        Local correlation on warped features: Sun et al., PWC-Net, CVPR 2018. Antisymmetry in mid-space: Honkamaa
        and Marttinen, SITReg, MELBA 2024; Greer et al., Inverse consistency by construction, MICCAI 2023.
    """

    multiple = _STEM

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__(configuration)
        dimension, width = configuration.dimension, configuration.width
        channels = [width * (level + 1) for level in range(configuration.levels)]
        normal = (_STEM // 2) ** dimension if configuration.normalised else 0
        inputs = [_STEM**dimension + normal, *channels[:-1]]
        self.encoder = nn.ModuleList(
            _encoder(dimension, i, o, stride=1 if level == 0 else 2)
            for level, (i, o) in enumerate(zip(inputs, channels, strict=True))
        )
        # Coarse to fine. The name of a level does not depend on the number of levels, so weights can be reused.
        self.decoder = nn.ModuleDict(
            {
                str(level): _Decoder(dimension, features, _RADII[level], _DEPTHS[level])
                for level, features in enumerate(reversed(channels), start=_MAX_LEVELS - len(channels))
            }
        )

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        images = torch.cat([fixed, moving])
        levels = [_channels_last(self._seen(images))]
        for number, stage in enumerate(self.encoder):
            levels.append(stage(_even(levels[-1]) if number else levels[-1]))
        velocity = fixed.new_zeros(fixed.shape[0], self.configuration.dimension, *levels[-1].shape[2:])
        outcomes: list[Tensor] = []
        for features, decoder in zip(reversed(levels[1:]), self.decoder.values(), strict=True):
            if outcomes:
                velocity = _finer(velocity, tuple(features.shape[2:]))
                features = _channels_last(_halfway(features, velocity))
            velocity = torch.add(velocity, _residual(features, velocity, decoder), alpha=0.5)
            outcomes.append(velocity)
        if self.configuration.demons_steps:
            images_and_normalised, step = contrasts(halved(images)), torch.zeros_like(velocity)
            for left in range(self.configuration.demons_steps, 0, -1):
                step = _demons(
                    images_and_normalised,
                    velocity,
                    step,
                    _MAX_DEMONS_STEP * left / (self.configuration.demons_steps + 1),
                )
                velocity = velocity + step
            outcomes[-1] = velocity
        return outcomes

    def _seen(self, images: Tensor) -> Tensor:
        """Input of the encoder at 1/4 of the resolution."""
        blocks = space_to_depth(images - 0.5, _STEM)
        if not self.configuration.normalised:
            return blocks
        return torch.cat([blocks, space_to_depth(normalised(halved(images), _INPUT_WINDOW), _STEM // 2)], dim=1)

    def flows(self, velocity: Tensor) -> Tensor:
        return symmetric_flows(velocity, self.configuration.integration_steps)


def _even(features: Tensor) -> Tensor:
    """Pads odd sides by repeating the border."""
    pads = [n for size in reversed(features.shape[2:]) for n in (0, size % 2)]
    return _channels_last(F.pad(features, pads, mode="replicate")) if any(pads) else features


def _finer(velocity: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The velocity at twice the resolution, without the padding of ``_even``."""
    velocity = resize_displacement(velocity, tuple(2 * size for size in velocity.shape[2:]))
    for axis, size in enumerate(shape, start=2):
        velocity = velocity.narrow(axis, 0, size)
    return velocity


def _halfway(features: Tensor, velocity: Tensor) -> Tensor:
    """Features of both images ``(2 * B, C, *spatial)``, warped half-way towards each other."""
    ways = exponentiate(both_directions(velocity, -0.5), _HALFWAY_STEPS)
    return warp(features, resize_displacement(ways, tuple(features.shape[2:])))


def _demons(images: Tensor, velocity: Tensor, before: Tensor, longest: float) -> Tensor:
    """One step of symmetric demons on the velocity, without gradient.

    Args:
        images: ``(2 * B, C, *spatial)``, see ``contrasts``.
        velocity: ``(B, d, *coarser)`` so far.
        before: Previous step, for the momentum.
        longest: Maximum length of the step, voxels. The last steps are short, because long ones oscillate at edges.
    """
    with torch.no_grad():
        force = gaussian_halved(mutual_force(_halfway(images, velocity)), _DEMONS_SIGMA, _DEMONS_STEP_SIZE)
        step = torch.add(force, before, alpha=_DEMONS_MOMENTUM)
        furthest = lengths(step).amax(dim=tuple(range(1, step.ndim)), keepdim=True)
        return step / (furthest / longest).clamp_min(1)


def _residual(features: Tensor, velocity: Tensor, decoder: nn.Module) -> Tensor:
    """Twice the antisymmetric update of the velocity.

    Args:
        features: ``(2 * B, C, *spatial)``, fixed before moving, warped half-way.
        velocity: ``(B, d, *spatial)`` so far.
        decoder: Decoder of this level.
    """
    assert isinstance(decoder, _Decoder)
    directions = features * torch.rsqrt(features.square().sum(dim=1, keepdim=True).clamp_min(1e-6))
    first, second = directions.chunk(2)
    matches = correlate(first, second, decoder.radius)
    both = features.movedim(1, -1)
    parts = [
        torch.cat([matches, exchange_correlation(matches, decoder.radius)]),
        both,
        both.roll(len(velocity), dims=0),
        both_directions(velocity).movedim(1, -1),
    ]
    step: Tensor = decoder(torch.cat(parts, dim=-1))
    return step


def space_to_depth(image: Tensor, factor: int) -> Tensor:
    """Blocks of ``factor`` voxels a side become channels: ``(B, C * factor**d, *spatial / factor)``."""
    batch, channels, *shape = image.shape
    dimension = len(shape)
    blocks = image.reshape(batch, channels, *[n for size in shape for n in (size // factor, factor)])
    inner, outer = range(3, 3 + 2 * dimension, 2), range(2, 2 + 2 * dimension, 2)
    # Channels last in memory, as the next convolution needs them.
    return blocks.permute(0, *outer, 1, *inner).reshape(batch, *[n // factor for n in shape], -1).movedim(-1, 1)


def correlate(first: Tensor, second: Tensor, radius: int) -> Tensor:
    """Inner products of each voxel of ``first`` with the voxels of ``second`` around it.

    Args:
        first: ``(B, C, *spatial)``.
        second: Like ``first``.
        radius: Reach along each axis, voxels.

    Returns:
        ``(B, *spatial, (2 * radius + 1) ** d)``; neighbours outside the image count as zero.
    """
    padded = F.pad(second.movedim(1, -1), [0, 0] + [radius] * 2 * (second.ndim - 2)).contiguous()
    batch, *lines, length, channels = first.movedim(1, -1).shape
    size, wide = 2 * radius + 1, length + 2 * radius
    planes, ones = [size] * (len(lines) - 1), [1] * (len(lines) - 1)
    along = padded.stride()[:-2]
    # The neighbours of a line of voxels are contiguous lines in memory, so one matrix product covers a line.
    around = padded.as_strided([batch, *lines, *planes, size * wide, channels], [*along, *along[1:-1], channels, 1])
    products = first.movedim(1, -1).reshape(batch, *lines, *ones, length, channels) @ around.transpose(-1, -2)
    # The neighbours of a voxel are on a diagonal: a step along the line moves both indices of the product.
    *steps, step, _ = products.stride()
    outer, inner = steps[: 1 + len(lines)], steps[1 + len(lines) :]
    view = products.as_strided([batch, *lines, length, *planes, size, size], [*outer, step + 1, *inner, wide, 1])
    return view.reshape(batch, *lines, length, -1)


def exchange_correlation(matches: Tensor, radius: int) -> Tensor:
    """The result of ``correlate(second, first)``, rearranged from that of ``correlate(first, second)``.

    The product of ``second[x]`` and ``first[x + o]`` is that of ``first[x + o]`` with the neighbour at ``-o``.
    """
    dimension, size = matches.ndim - 2, 2 * radius + 1
    spatial, count = matches.shape[1:-1], size**dimension
    padded = F.pad(matches, [0, 0] + [radius] * 2 * dimension)
    steps = padded.stride()[:-1]
    offsets = [steps[1 + axis] - size ** (dimension - 1 - axis) for axis in range(dimension)]
    view = padded.as_strided([*padded.shape[:1], *spatial, *[size] * dimension], [*steps, *offsets], count - 1)
    return view.reshape(matches.shape)


def _channels_last(features: Tensor) -> Tensor:
    """The features in channels-last memory format, in which convolutions are fastest."""
    return features.contiguous(memory_format=torch.channels_last if features.ndim == 4 else torch.channels_last_3d)


def _encoder(dimension: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = convolution(dimension)
    return nn.Sequential(
        conv(inputs, outputs, 3, stride=stride, padding=1),
        InstanceNorm(outputs),
        _activation(),
        conv(outputs, outputs, 3, padding=1),
        InstanceNorm(outputs),
        _activation(),
    )


class InstanceNorm(nn.GroupNorm):
    """Instance normalisation as a group norm of single channels, which keeps the channels-last format.

    For few voxels torch is two to four times as fast with channels first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        if math.prod(features.shape[2:]) >= _SMALL_FEATURES:
            return super().forward(features)
        return _channels_last(super().forward(features.contiguous()))


def _activation() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)  # Its input is not used elsewhere.


class _Decoder(nn.Sequential):
    """Decodes correlation and features of both directions into an antisymmetric velocity.

    The last layer is linear, so the two directions are subtracted before it. Its initial weights are small.

    Attributes:
        radius: Radius of the correlation, voxels.
    """

    def __init__(self, dimension: int, width: int, radius: int, depth: int) -> None:
        conv = convolution(dimension)
        inputs = (2 * radius + 1) ** dimension + 2 * width + dimension
        last = conv(width, dimension, 3, padding=1, bias=False)
        nn.init.normal_(last.weight, std=1e-3)
        layers: list[nn.Module] = [conv(inputs, width, 1), _activation()]
        for _ in range(depth):
            layers += [conv(width, width, 3, padding=1), _activation()]
        super().__init__(*layers, last)
        self.radius = radius

    def forward(self, seen: Tensor) -> Tensor:
        """Twice the velocity ``(B, d, *spatial)`` from the input of both directions, ``(2 * B, *spatial, inputs)``."""
        first, *middle, last = self
        weight, bias = first.get_parameter("weight").flatten(1), first.get_parameter("bias")  # A 1 x 1 convolution.
        features = F.linear(seen, weight, bias).movedim(-1, 1)
        for layer in middle:
            features = layer(features)
        forward, backward = features.chunk(2)
        step: Tensor = last(forward - backward)
        return step
