"""Fits the expected error of a model to its uncertainty features, on synthetic pairs with a known displacement."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.synthesis.synthesis import SynthesisConfiguration, synthesise
from UnsupervisedRegistrationLib.core.images.crop import PreparedPair
from UnsupervisedRegistrationLib.core.models.model_file import Model
from UnsupervisedRegistrationLib.core.registration.plan import FLOOR_MM, Plan
from UnsupervisedRegistrationLib.core.registration.prediction import predict_images
from UnsupervisedRegistrationLib.core.registration.uncertainty import expected_error, uncertainty_features
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

_EVERY = 7  # Voxels; the errors of neighbours are nearly equal.
_PLAN = Plan("fast", "deformable")


@dataclass(frozen=True)
class Calibration:
    """The fit, and how well the weights in use predict the error of other pairs.

    Attributes:
        weights: Constant and factor of each feature.
        median_mm: Median true error of all voxels.
        uncertain_mm: Median true error of the tenth of the voxels with the largest expected error.
        rank_correlation: Of expected and true error.
    """

    weights: tuple[float, ...]
    median_mm: float
    uncertain_mm: float
    rank_correlation: float

    def __str__(self) -> str:
        return (
            f"weights {', '.join(f'{weight:.3f}' for weight in self.weights)}\n"
            f"with the weights in use: median error {self.median_mm:.2f} mm, {self.uncertain_mm:.2f} mm in the tenth of"
            f" the voxels with the largest expected error ({self.uncertain_mm / self.median_mm:.1f} times), rank"
            f" correlation {self.rank_correlation:.2f}"
        )


def calibrate(model: Model, batches: int = 16, seed: int = 7) -> Calibration:
    """Fits one half of the synthetic batches by least squares, and measures the other half.

    Args:
        model: Registers the pairs.
        batches: Of four pairs each; an even number.
        seed: Of the pairs.
    """
    torch.manual_seed(seed)
    with torch.no_grad():
        samples = [_sample(model) for _ in range(batches)]
    features, errors = (torch.cat([sample[i] for sample in samples[::2]]) for i in (0, 1))
    design = torch.cat([torch.ones(len(features), 1), features], dim=1)
    weights = torch.linalg.lstsq(design, (errors + FLOOR_MM).log()[:, None]).solution[:, 0]
    errors, expected = (torch.cat([sample[i] for sample in samples[1::2]]) for i in (1, 2))
    uncertain = errors[expected >= expected.sort().values[int(0.9 * len(expected))]]
    ranks = torch.stack([values.argsort().argsort().double() for values in (errors, expected)])
    return Calibration(
        tuple(weights.tolist()), float(errors.median()), float(uncertain.median()), float(torch.corrcoef(ranks)[0, 1])
    )


def _sample(model: Model) -> tuple[Tensor, Tensor, Tensor]:
    """Features ``(N, 4)``, true and expected errors ``(N,)`` in mm at some voxels of four pairs of 1 mm."""
    made = synthesise(4, SynthesisConfiguration())
    shape = tuple(made.fixed.shape[2:])
    grid = ImageGrid(shape, torch.eye(4))
    pair = PreparedPair(made.fixed, made.moving, None, None, shape, (0,) * len(shape))
    displacement = predict_images(model.network, pair.fixed, pair.moving, _PLAN).forward
    error = (displacement - made.displacement).norm(dim=1, keepdim=True)
    features = uncertainty_features(pair, model, _PLAN, displacement, grid)
    inside = (made.weight > 0.5).flatten()
    inside &= torch.arange(len(inside)) % _EVERY == 0
    flat = features.movedim(1, -1).reshape(-1, features.shape[1])
    expected = expected_error(pair, model, _PLAN, displacement, grid).flatten()
    return flat[inside], error.flatten()[inside], expected[inside]
