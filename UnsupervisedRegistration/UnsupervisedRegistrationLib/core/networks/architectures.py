"""Builds a network from its configuration."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .fcn import FCN
from .network import Network, NetworkConfiguration
from .pyramid import Pyramid

_NETWORKS: dict[str, type[Network]] = {"fcn": FCN, "pyramid": Pyramid}

Build = Callable[[NetworkConfiguration], Network]
"""Makes a network from its configuration; a program with networks of its own hands its builder to ``load_model``."""


def build_network(configuration: NetworkConfiguration) -> Network:
    """A network with initial weights, in the memory format in which its convolutions are fastest.

    Raises:
        ValueError: There is no such architecture.
    """
    if configuration.architecture not in _NETWORKS:
        raise ValueError(f"There is no architecture '{configuration.architecture}'; choose {', '.join(_NETWORKS)}.")
    return fast_in_memory(_NETWORKS[configuration.architecture](configuration))


def fast_in_memory(network: Network) -> Network:
    """The network with its weights in the memory format in which its convolutions are fastest."""
    if network.configuration.dimension == 2:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
