"""Automatic choice of the model: every admissible model registers the pair, and the best result decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from ..models.model_file import Model
from .plan import DEFAULT_MIN_RATIO, TRIAL_BINS


def choose_by_trial(models: Sequence[Model], gain_of: Callable[[Model], float]) -> tuple[Model, str]:
    """The model whose result gains most similarity, and why it was taken.

    A model trained on images of such a kind is preferred to the default model, which knows no anatomy, unless the
    default gains clearly more: mutual information counts the whole image, and a network without anatomy can align the
    surroundings at the cost of the organ.

    Args:
        models: Admissible models, the default first.
        gain_of: Registers the pair with a model and gives the gain of similarity.
    """
    if len(models) == 1:
        return models[0], f"{models[0].name}: the only admissible model"
    default, *special = models
    gains = {model.name: gain_of(model) for model in models}
    best = max(special, key=lambda model: gains[model.name])
    if gains[default.name] > DEFAULT_MIN_RATIO * max(gains[best.name], 0.0):
        best = default
    return best, f"{best.name}: best of {len(models)} by normalised mutual information"


def normalised_mutual_information(fixed: Tensor, warped: Tensor, inside: Tensor | None = None) -> float:
    """Similarity of two images in any contrasts, 1 (independent) to 2 (one determines the other).

    No network is trained with it, so it judges all of them alike.

    Args:
        fixed: Any shape, 0..1.
        warped: Like ``fixed``.
        inside: Above 0 where both count; ``None`` everywhere.

    Source:
        Studholme et al., An overlap invariant entropy measure of 3D medical image alignment, Pattern Recognition 1999.
    """
    here = np.ones(fixed.numel(), dtype=bool) if inside is None else inside.cpu().numpy().ravel() > 0
    bins = [_binned(image)[here] for image in (fixed, warped)]
    joint = np.bincount(bins[0] * TRIAL_BINS + bins[1], minlength=TRIAL_BINS**2).reshape(TRIAL_BINS, TRIAL_BINS)
    own = _entropy(joint.sum(axis=1)) + _entropy(joint.sum(axis=0))
    both = _entropy(joint.ravel())
    return own / both if both > 0 else 1.0


def _binned(image: Tensor) -> np.ndarray:
    values = image.detach().cpu().numpy().ravel()
    return np.clip(values * TRIAL_BINS, 0, TRIAL_BINS - 1).astype(np.int64)


def _entropy(counts: np.ndarray) -> float:
    """Nats."""
    found = counts[counts > 0]
    total = float(found.sum())
    return math.log(total) - float((found * np.log(found)).sum()) / total if total else 0.0
