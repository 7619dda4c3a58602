"""Fits what the trust map makes of the signs of doubt, on synthetic pairs whose true displacement is known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.synthesis.synthesis import SynthesisConfiguration, synthesise
from UnsupervisedRegistrationLib.core.images.crop import PreparedPair
from UnsupervisedRegistrationLib.core.models.model_file import Model
from UnsupervisedRegistrationLib.core.registration.plan import Plan
from UnsupervisedRegistrationLib.core.registration.prediction import predict_images
from UnsupervisedRegistrationLib.core.registration.uncertainty import expected_error, uncertainty_features
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

_FLOOR_MM = 0.05
_EVERY = 7  # Voxels; neighbours tell the same.
_PLAN = Plan("fast", "deformable")


@dataclass(frozen=True)
class Calibration:
    """What was fitted, and what it is worth on pairs that were not fitted.

    Attributes:
        weights: Constant and factor of each sign.
        median_mm: Of the true error, over all voxels.
        doubted_mm: Median of the true error in the tenth of the voxels that is least trusted.
        rank_correlation: Of expected and true error.
    """

    weights: tuple[float, ...]
    median_mm: float
    doubted_mm: float
    rank_correlation: float

    def __str__(self) -> str:
        return (
            f"weights {', '.join(f'{weight:.3f}' for weight in self.weights)}\n"
            f"with the weights in use: median error {self.median_mm:.2f} mm, in the least trusted tenth"
            f" {self.doubted_mm:.2f} mm ({self.doubted_mm / self.median_mm:.1f} times), rank correlation"
            f" {self.rank_correlation:.2f}"
        )


def calibrate(model: Model, batches: int = 16, seed: int = 7) -> Calibration:
    """Fits on one half of the drawn batches of four pairs by least squares, and measures the other half.

    Args:
        model: Whose signs are looked at.
        batches: An even number.
        seed: Of the pairs.
    """
    torch.manual_seed(seed)
    with torch.no_grad():
        samples = [_sample(model) for _ in range(batches)]
    signs, errors = (torch.cat([sample[i] for sample in samples[::2]]) for i in (0, 1))
    design = torch.cat([torch.ones(len(signs), 1), signs], dim=1)
    weights = torch.linalg.lstsq(design, (errors + _FLOOR_MM).log()[:, None]).solution[:, 0]
    errors, expected = (torch.cat([sample[i] for sample in samples[1::2]]) for i in (1, 2))
    doubted = errors[expected >= expected.sort().values[int(0.9 * len(expected))]]
    ranks = torch.stack([values.argsort().argsort().double() for values in (errors, expected)])
    return Calibration(
        tuple(weights.tolist()), float(errors.median()), float(doubted.median()), float(torch.corrcoef(ranks)[0, 1])
    )


def _sample(model: Model) -> tuple[Tensor, Tensor, Tensor]:
    """Signs ``(N, 4)``, true and expected errors ``(N,)`` in mm at some voxels of four pairs of 1 mm."""
    drawn = synthesise(4, SynthesisConfiguration())
    shape = tuple(drawn.fixed.shape[2:])
    grid = ImageGrid(shape, torch.eye(4))
    pair = PreparedPair(drawn.fixed, drawn.moving, None, None, shape, (0,) * len(shape))
    displacement = predict_images(model.network, pair.fixed, pair.moving, _PLAN).forward
    error = (displacement - drawn.displacement).norm(dim=1, keepdim=True)
    signs = uncertainty_features(pair, model, _PLAN, displacement, grid)
    inside = (drawn.weight > 0.5).flatten()
    inside &= torch.arange(len(inside)) % _EVERY == 0
    flat = signs.movedim(1, -1).reshape(-1, signs.shape[1])
    expected = expected_error(pair, model, _PLAN, displacement, grid).flatten()
    return flat[inside], error.flatten()[inside], expected[inside]
