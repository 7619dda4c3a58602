"""The interface of a registration network and its configuration."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..spatial.deformation import both_directions, exponentiate, resize_displacement

MAX_WIDTH = 256  # Ten times what the models have; more would fill the memory before the weights are compared.
MAX_DEMONS_STEPS = 100  # A step takes about a millisecond; the models have 8 at most.


@dataclass(frozen=True)
class NetworkConfiguration:
    """Architecture and size of a network.

    Attributes:
        architecture: ``"fcn"`` (the paper's) or ``"pyramid"`` (ours); a builder refuses a name that it does not know.
        dimension: 2 or 3.
        width: Channels of the finest level; the others follow from it.
        integration_steps: Interpolations that integrate the velocity to a displacement; with 0 the network gives the
            displacement itself, as in the paper.
        demons_steps: Steps of symmetric demons after the pyramid, for images of the same contrast only.
        normalised: Whether the pyramid also gets the images normalised in small windows.
        levels: Levels of the pyramid, 1 to 4; the coarsest has 1/4, 1/8, 1/16 or 1/32 of the resolution. Coarse
            levels find large displacements and take time.
    """

    architecture: str = "pyramid"
    dimension: int = 2
    width: int = 24
    integration_steps: int = 6
    demons_steps: int = 0
    normalised: bool = False
    levels: int = 4

    def __post_init__(self) -> None:
        if self.width > MAX_WIDTH or self.demons_steps > MAX_DEMONS_STEPS:
            raise ValueError(
                f"A network has at most {MAX_WIDTH} channels at its finest level and {MAX_DEMONS_STEPS} demons steps,"
                f" not {self.width} and {self.demons_steps}."
            )
        if self.dimension not in (2, 3) or self.width < 4 or not 0 <= self.integration_steps <= 10:
            raise ValueError(f"A network needs dimension 2 or 3, width 4 or more, 0 to 10 integration steps: {self}.")
        if not 1 <= self.levels <= 4 or (self.levels < 4 and self.architecture != "pyramid"):
            raise ValueError(f"levels is 1 to 4, and only the pyramid can have fewer than 4: {self}.")
        if self.demons_steps < 0 or ((self.demons_steps or self.normalised) and self.architecture != "pyramid"):
            raise ValueError(
                f"demons_steps is 0 or more; only the pyramid has demons steps and normalised images: {self}."
            )


class Network(nn.Module):
    """Base of the fully convolutional networks: two images in, velocities out, coarse to fine.

    Attributes:
        configuration: Architecture and size.
        multiple: The image size along each axis must be a multiple of this.
    """

    multiple: int = 1

    def __init__(self, configuration: NetworkConfiguration) -> None:
        super().__init__()
        self.configuration = configuration

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        """Velocities from fixed to moving.

        Args:
            fixed: ``(B, 1, *spatial)``, intensities 0..1.
            moving: Like ``fixed``.

        Returns:
            Velocities, coarse to fine, each ``(B, d, *coarser)`` in voxels of its own grid.
        """
        raise RuntimeError(f"{type(self).__name__} has no forward pass of its own.")

    def flows(self, velocity: Tensor) -> Tensor:
        """Forward and inverse displacements of one of the velocities.

        Returns:
            ``(2 * B, d, *finer)``, forward before inverse, in voxels of a grid that may be finer than the velocity's.
        """
        return exponentiate(both_directions(velocity), self.configuration.integration_steps)

    def displacement(self, velocity: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Forward displacement ``(B, d, *shape)`` of one of the velocities."""
        if shape == tuple(velocity.shape[2:]):  # Resampling a finer flow would hide folds of this velocity.
            return exponentiate(velocity, self.configuration.integration_steps)
        return resize_displacement(self.flows(velocity)[: len(velocity)], shape)


def convolution(dimension: int) -> type[nn.Conv2d] | type[nn.Conv3d]:
    """Convolution layer for images of ``dimension`` axes."""
    return nn.Conv2d if dimension == 2 else nn.Conv3d
