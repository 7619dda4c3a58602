"""What a model that sees whole images teaches of pairs that are shown in part."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from training.data.batches import Batch
from UnsupervisedRegistrationLib.core.networks.network import Network
from UnsupervisedRegistrationLib.core.registration.prediction import estimate


def lessons(batch: Batch, teacher: Network | None) -> list[Batch]:
    """The pairs shown as they are, and those shown in part, with the displacement that the teacher finds in the whole.

    It looks twice, which finds more, and in full precision. Without a teacher, or where nothing is shown in part, all
    pairs as they came.
    """
    if teacher is None or batch.partial is None or not bool(batch.partial.any()):
        return [batch]
    taught = _chosen(batch, batch.partial)
    with torch.no_grad(), torch.autocast(batch.fixed.device.type, enabled=False):
        truth, _ = estimate(teacher, taught.similar_fixed, taught.similar_moving, twice=True)
    taught = dataclasses.replace(taught, truth=truth)
    return [taught] if bool(batch.partial.all()) else [_chosen(batch, ~batch.partial), taught]


def _chosen(batch: Batch, pairs: Tensor) -> Batch:
    values = {name: value[pairs] for name, value in vars(batch).items() if value is not None}
    return dataclasses.replace(batch, **values)
