"""Builds a network from its configuration."""

from __future__ import annotations

import torch

from .fcn import FCN
from .network import Network, NetworkConfiguration
from .pyramid import Pyramid
from .voxelmorph import VoxelMorph

_NETWORKS = {"fcn": FCN, "pyramid": Pyramid, "voxelmorph": VoxelMorph}


def build_network(configuration: NetworkConfiguration) -> Network:
    """A network with initial weights, in the memory format in which its convolutions are fastest."""
    network = _NETWORKS[configuration.architecture](configuration)
    if configuration.dimension == 2:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
