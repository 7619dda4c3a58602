"""How far the outcome may be off, voxel by voxel."""

from __future__ import annotations

from torch import Tensor

from .grid import ImageGrid
from .model import Model
from .preprocessing import PreparedPair

_HALF_MM = 2.0  # An expected error that halves the trust.


def trust_map(expected_error: Tensor) -> Tensor:
    """Expected errors in mm as trust, 1 for none, 1/2 for 2 mm, towards 0."""
    return 1 / (1 + expected_error / _HALF_MM)


def expected_error(pair: PreparedPair, model: Model, outcome: tuple[Tensor, Tensor], grid: ImageGrid) -> Tensor:
    """Error of the displacement in mm that four signs of doubt let expect, ``(1, 1, *padded)``."""
    raise RuntimeError
