"""Channel pruning: initial weights of a network from those of a wider one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.networks.pyramid import Pyramid


@dataclass(frozen=True)
class _Channels:
    """Channels between layers.

    Attributes:
        outputs_of: Names of the layers whose outputs they are; the last layer decides their magnitude.
        inputs_of: Names of the layers whose inputs they are, and the number of the first of these inputs.
    """

    outputs_of: list[str]
    inputs_of: list[tuple[str, int]]


def prune_channels(network: Pyramid, width: int) -> dict[str, Tensor]:
    """Return weights for a network of that ``width``, which is at most that of ``network``.

    Of the channels between two layers those are kept whose squared outgoing times squared incoming weights are largest.
    """
    weights = network.state_dict()
    outputs = {name: torch.ones(len(tensor), dtype=torch.bool) for name, tensor in weights.items()}
    inputs = {
        name: torch.ones(tensor.shape[1], dtype=torch.bool) for name, tensor in weights.items() if tensor.ndim > 1
    }
    for channels in _channels(network):
        incoming = _squares(weights[f"{channels.outputs_of[-1]}.weight"], 0)
        outgoing = sum(
            _squares(weights[f"{layer}.weight"], 1).narrow(0, first, len(incoming))
            for layer, first in channels.inputs_of
        )
        kept = torch.zeros(len(incoming), dtype=torch.bool)
        kept[(incoming * outgoing).topk(len(incoming) * width // network.configuration.width).indices] = True
        for layer in channels.outputs_of:
            outputs[f"{layer}.weight"] = outputs[f"{layer}.bias"] = kept
        for layer, first in channels.inputs_of:
            inputs[f"{layer}.weight"][first : first + len(kept)] = kept
    pruned = {name: tensor[outputs[name]] for name, tensor in weights.items()}
    return {name: tensor[:, inputs[name]] if name in inputs else tensor for name, tensor in pruned.items()}


def _channels(network: Pyramid) -> Iterator[_Channels]:
    width, dimension = network.configuration.width, network.configuration.dimension
    for level, (number, decoder) in enumerate(reversed(list(network.decoder.items()))):
        encoder = f"encoder.{level}"
        yield _Channels([f"{encoder}.0", f"{encoder}.1"], [(f"{encoder}.3", 0)])
        layers = [f"decoder.{number}.{place}" for place, layer in decoder.named_children() if list(layer.parameters())]
        # The inputs of a decoder: correlations, the features of either image, and the velocity.
        features = width * (level + 1)
        matches = next(decoder.parameters()).shape[1] - 2 * features - dimension
        inputs_of = [(layers[0], matches), (layers[0], matches + features)]
        if level + 1 < network.configuration.levels:
            inputs_of.append((f"encoder.{level + 1}.0", 0))
        yield _Channels([f"{encoder}.3", f"{encoder}.4"], inputs_of)
        for layer, following in itertools.pairwise(layers):
            yield _Channels([layer], [(following, 0)])


def _squares(weight: Tensor, axis: int) -> Tensor:
    """Sum of the squared weights of every output (axis 0) or input (axis 1) of a layer."""
    return weight.movedim(axis, 0).flatten(1).square().sum(dim=1) if weight.ndim > 1 else weight.square()
