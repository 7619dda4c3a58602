"""The networks there are."""

from __future__ import annotations

from .fcn import FCN
from .network import Network, NetworkConfiguration
from .pyramid import Pyramid


def build_network(configuration: NetworkConfiguration) -> Network:
    """A network with fresh weights."""
    return FCN(configuration) if configuration.architecture == "fcn" else Pyramid(configuration)
