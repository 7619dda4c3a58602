"""Networks of other papers, trained with this project: the network alone, on the whole image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.benchmark.method import Call, Method, Read
from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.images.preprocessing import to_unit_range
from UnsupervisedRegistrationLib.core.models.model_file import Model


def trained_network(model: Model) -> Method:
    """One pass of a network at the resolution of the images, padded to the multiple that it needs."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        height, width = pair.grid.shape

        def call() -> Tensor:
            with torch.inference_mode():
                fixed, moving = (_padded(image, model) for image in (pair.fixed, pair.moving))
                shape = tuple(fixed.shape[2:])
                return model.network.displacement(model.network(fixed, moving)[-1], shape)[..., :height, :width]

        return call, lambda displacement: displacement.clone()

    return method


def _padded(image: Tensor, model: Model) -> Tensor:
    """Intensities 0..1, with zeros below and to the right."""
    unit = to_unit_range(image, model.configuration.preprocessing)
    rows, columns = (-size % model.network.multiple for size in image.shape[2:])
    return F.pad(unit, [0, columns, 0, rows])
