"""The network of Shan et al., as far as the paper describes it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .network import Network, NetworkConfiguration, convolution


class FCN(Network):
    """A FlowNetS-type fully convolutional network with a displacement at seven scales, 1/64 to 1/1.

    The paper (arXiv 1711.08608) describes a fully convolutional network that maps the two images to a dense
    displacement, applied by bilinear sampling, with a photometric and an edge-aware smoothness loss. It does not list
    the layers. They are reconstructed after FlowNetS (Dosovitskiy et al., ICCV 2015), as in an independent
    implementation of the paper and in the 3-D successor by the same group (VTN: Zhao et al., JBHI 2020): kernels 7, 5,
    5, 3; LeakyReLU 0.1; channels ``width`` times 1, 2, 4, 8, 16, 32; seven scales. VTN has ``width`` 16, FlowNetS 64.
    """

    multiple = 64

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__(configuration)
        dimension, width = configuration.dimension, configuration.width
        channels = [width * 2**level for level in range(6)]
        kernels = [7, 5, 5, 3, 3, 3]
        inputs = [2, *channels[:-1]]
        self.contract = nn.ModuleList(
            _stage(dimension, i, o, kernel, second=level >= 2)
            for level, (i, o, kernel) in enumerate(zip(inputs, channels, kernels, strict=True))
        )
        skips = [2, *channels]  # Channels at 1/1, 1/2, .. 1/64.
        narrow = [max(width // 4, 4), max(width // 2, 4), *channels[:4]]
        self.expand, self.upsample, self.predict = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        features = channels[-1]
        for level in range(6, 0, -1):
            self.predict.append(_prediction(dimension, features))
            self.upsample.append(_transposed(dimension, dimension, dimension))
            self.expand.append(nn.Sequential(_transposed(dimension, features, narrow[level - 1]), nn.LeakyReLU(0.1)))
            features = skips[level - 1] + narrow[level - 1] + dimension
        self.predict.append(_prediction(dimension, features))

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        skips = [torch.cat([fixed, moving], dim=1)]
        for stage in self.contract:
            skips.append(stage(skips[-1]))
        features = skips.pop()
        outcomes = [self.predict[0](features)]
        for expand, upsample, predict in zip(self.expand, self.upsample, self.predict[1:], strict=True):
            features = torch.cat([skips.pop(), expand(features), upsample(outcomes[-1])], dim=1)
            outcomes.append(predict(features))
        return outcomes


def _stage(dimension: int, inputs: int, outputs: int, kernel: int, second: bool) -> nn.Sequential:
    conv = convolution(dimension)
    layers: list[nn.Module] = [conv(inputs, outputs, kernel, stride=2, padding=kernel // 2), nn.LeakyReLU(0.1)]
    if second:
        layers += [conv(outputs, outputs, 3, padding=1), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers)


def _transposed(dimension: int, inputs: int, outputs: int) -> nn.Module:
    layer = nn.ConvTranspose2d if dimension == 2 else nn.ConvTranspose3d
    return layer(inputs, outputs, 4, stride=2, padding=1)


def _prediction(dimension: int, inputs: int) -> nn.Module:
    """Layer that outputs a displacement; its small initial weights start the training near the identity."""
    layer = convolution(dimension)(inputs, dimension, 3, padding=1)
    nn.init.normal_(layer.weight, std=1e-3)
    nn.init.zeros_(layer.bias) if layer.bias is not None else None
    return layer
