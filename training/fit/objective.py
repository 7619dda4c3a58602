"""The loss of a batch, composed of the losses of ``core``."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from training.configuration import LossConfiguration
from training.data.batches import Batch
from UnsupervisedRegistrationLib.core.networks.network import Network
from UnsupervisedRegistrationLib.core.similarity import losses
from UnsupervisedRegistrationLib.core.spatial.deformation import warp

_SIMILARITY_LOSSES = {"photometric": losses.photometric, "local_ncc": losses.local_ncc, "mind": losses.mind}


def loss_of(network: Network, batch: Batch, configuration: LossConfiguration) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum the loss over all scales of the network, each coarser one with half the weight.

    Returns:
        The loss, and its parts at the finest scale: ``similarity``, ``smoothness``, ``endpoint`` in voxels if the truth
        is known, and ``photometric`` and ``compression`` if they have a weight.
    """
    velocities = network(batch.fixed, batch.moving)
    total = batch.fixed.new_zeros(())
    parts: dict[str, Tensor] = {}
    for level, velocity in enumerate(reversed(velocities)):
        parts = _parts(network, velocity, batch, configuration, finest=level == 0)
        if level == 0:
            finest = parts
        loss = sum((_weight(name, configuration) * value for name, value in parts.items()), start=total.new_zeros(()))
        total = total + 0.5**level * loss
    return total, {name: value.detach() for name, value in finest.items()}


def _weight(name: str, configuration: LossConfiguration) -> float:
    return float(getattr(configuration, f"{name}_weight"))


def _parts(
    network: Network, velocity: Tensor, batch: Batch, configuration: LossConfiguration, finest: bool
) -> dict[str, Tensor]:
    """The terms at one scale; the finest is compared at full resolution, the others at their own."""
    full = tuple(batch.fixed.shape[2:])
    shape = full if finest else tuple(velocity.shape[2:])
    displacement = network.displacement(velocity, shape)
    fixed, weight = _coarse(batch.fixed, shape), None if batch.weight is None else _coarse(batch.weight, shape)
    parts: dict[str, Tensor] = {}
    if configuration.endpoint_weight and batch.truth is not None:
        voxels = full[0] / shape[0]
        parts["endpoint"] = losses.endpoint_error(displacement * voxels, _coarse(batch.truth, shape), weight)
    if finest or batch.truth is None:
        parts |= _similarities(displacement, batch, configuration)
        parts["smoothness"] = _smoothness(displacement, fixed, configuration)
    if finest and configuration.compression_weight:
        parts["compression"] = losses.compression(network.flows(velocity))
    return parts


def _similarities(displacement: Tensor, batch: Batch, configuration: LossConfiguration) -> dict[str, Tensor]:
    """``similarity``, and ``photometric`` beside it if it has a weight."""
    compare = {"similarity": _SIMILARITY_LOSSES[configuration.similarity]}
    if configuration.photometric_weight:
        compare["photometric"] = losses.photometric
    shape = tuple(displacement.shape[2:])
    fixed, moving = _coarse(batch.similar_fixed, shape), _coarse(batch.similar_moving, shape)
    weight = None if batch.weight is None or batch.truth is not None else _coarse(batch.weight, shape)
    warped = warp(moving, displacement)
    return {name: measure(warped, fixed, weight) for name, measure in compare.items()}


def _smoothness(displacement: Tensor, fixed: Tensor, configuration: LossConfiguration) -> Tensor:
    if configuration.smoothness == "diffusion":
        return losses.diffusion(displacement)
    if configuration.smoothness == "total_variation":
        return losses.edge_aware_smoothness(displacement, fixed, alpha=0.0)
    return losses.edge_aware_smoothness(displacement, fixed)


def _coarse(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    return values if tuple(values.shape[2:]) == shape else F.adaptive_avg_pool2d(values, (shape[0], shape[1]))
