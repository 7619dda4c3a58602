"""The network of VoxelMorph, a baseline, and the builder that knows it beside the networks of core."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from UnsupervisedRegistrationLib.core.networks import architectures
from UnsupervisedRegistrationLib.core.networks.architectures import fast_in_memory
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration, convolution

_LEVELS = 4


def build_network(configuration: NetworkConfiguration) -> Network:
    """VoxelMorph, or a network of core.

    Raises:
        ValueError: There is no such architecture.
    """
    if configuration.architecture == "voxelmorph":
        return fast_in_memory(VoxelMorph(configuration))
    return architectures.build_network(configuration)


class VoxelMorph(Network):
    """A U-Net from the pair, stacked as channels, to a displacement at full resolution.

    With ``width`` 16, as published, 109 170 weights in 2-D.

    Source:
        Balakrishnan et al., VoxelMorph: A learning framework for deformable medical image registration, IEEE TMI
        2019, figure 3: 16, 32, 32, 32 channels down, 32, 32, 32, 32 up, then 32, 16, 16; LeakyReLU 0.2.
    """

    multiple = 2**_LEVELS

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__(configuration)
        dimension, narrow, wide = configuration.dimension, configuration.width, 2 * configuration.width
        self.down = _layers(dimension, [2, narrow, wide, wide], [narrow, wide, wide, wide])
        self.up = _layers(dimension, [wide, 2 * wide, 2 * wide, 2 * wide], [wide] * _LEVELS)
        self.last = _layers(dimension, [wide + narrow, wide, narrow], [wide, narrow, narrow])
        self.predict = convolution(dimension)(narrow, dimension, 3, padding=1)
        nn.init.normal_(self.predict.weight, std=1e-5)
        if self.predict.bias is not None:
            nn.init.zeros_(self.predict.bias)

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        features, skips = torch.cat([fixed, moving], dim=1), []
        pool = F.max_pool2d if fixed.ndim == 4 else F.max_pool3d
        for layer in self.down:
            features = F.leaky_relu(layer(features), 0.2)
            skips.append(features)
            features = pool(features, 2)
        for layer in self.up:
            features = F.leaky_relu(layer(features), 0.2)
            features = torch.cat([F.interpolate(features, scale_factor=2.0), skips.pop()], dim=1)
        for layer in self.last:
            features = F.leaky_relu(layer(features), 0.2)
        return [self.predict(features)]


def _layers(dimension: int, inputs: list[int], outputs: list[int]) -> nn.ModuleList:
    conv = convolution(dimension)
    return nn.ModuleList(conv(i, o, 3, padding=1) for i, o in zip(inputs, outputs, strict=True))
