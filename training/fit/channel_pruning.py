"""A narrower network to start from, made of the channels of a wide one that matter most."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.networks.pyramid import Pyramid


@dataclass(frozen=True)
class _Channels:
    """What some layers make and others see.

    Attributes:
        made_by: Names of layers whose outputs the channels are; the last one sets how strong they are.
        seen_by: Names of layers, and the first of their inputs that is one of the channels.
    """

    made_by: list[str]
    seen_by: list[tuple[str, int]]


def narrowed(network: Pyramid, width: int) -> dict[str, Tensor]:
    """The weights of a network of that ``width``, which is not above that of the one given.

    Of the channels between two layers those stay whose squared weights, times those of what sees them, are largest.
    """
    weights = network.state_dict()
    outputs = {name: torch.ones(len(tensor), dtype=torch.bool) for name, tensor in weights.items()}
    inputs = {
        name: torch.ones(tensor.shape[1], dtype=torch.bool) for name, tensor in weights.items() if tensor.ndim > 1
    }
    for channels in _channels(network):
        made = _squares(weights[f"{channels.made_by[-1]}.weight"], 0)
        seen = sum(
            _squares(weights[f"{layer}.weight"], 1).narrow(0, first, len(made)) for layer, first in channels.seen_by
        )
        kept = torch.zeros(len(made), dtype=torch.bool)
        kept[(made * seen).topk(len(made) * width // network.configuration.width).indices] = True
        for layer in channels.made_by:
            outputs[f"{layer}.weight"] = outputs[f"{layer}.bias"] = kept
        for layer, first in channels.seen_by:
            inputs[f"{layer}.weight"][first : first + len(kept)] = kept
    taken = {name: tensor[outputs[name]] for name, tensor in weights.items()}
    return {name: tensor[:, inputs[name]] if name in inputs else tensor for name, tensor in taken.items()}


def _channels(network: Pyramid) -> Iterator[_Channels]:
    width, dimension = network.configuration.width, network.configuration.dimension
    for level, (number, decoder) in enumerate(reversed(list(network.decoder.items()))):
        encoder = f"encoder.{level}"
        yield _Channels([f"{encoder}.0", f"{encoder}.1"], [(f"{encoder}.3", 0)])
        layers = [f"decoder.{number}.{place}" for place, layer in decoder.named_children() if list(layer.parameters())]
        # A decoder sees matches, the features of either image, and the velocity.
        features = width * (level + 1)
        matches = next(decoder.parameters()).shape[1] - 2 * features - dimension
        seen_by = [(layers[0], matches), (layers[0], matches + features)]
        if level + 1 < network.configuration.levels:
            seen_by.append((f"encoder.{level + 1}.0", 0))
        yield _Channels([f"{encoder}.3", f"{encoder}.4"], seen_by)
        for layer, following in itertools.pairwise(layers):
            yield _Channels([layer], [(following, 0)])


def _squares(weight: Tensor, axis: int) -> Tensor:
    """Sum of the squared weights of every output (axis 0) or input (axis 1) of a layer."""
    return weight.movedim(axis, 0).flatten(1).square().sum(dim=1) if weight.ndim > 1 else weight.square()
