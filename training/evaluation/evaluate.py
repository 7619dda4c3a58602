"""Scores models on labelled pairs: Dice, surface distance, TRE, folding and time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.data.augmentation import background_noise
from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.evaluation.metrics import (
    large_labels,
    mean_dice,
    surface_distance,
    target_registration_error,
)
from UnsupervisedRegistrationLib.core.images.foreground import foreground
from UnsupervisedRegistrationLib.core.images.preprocessing import to_unit_range
from UnsupervisedRegistrationLib.core.models.model_file import Model
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import Preset, RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.spatial.deformation import warp


@dataclass(frozen=True)
class Score:
    """Means over pairs.

    Attributes:
        pairs: Number of pairs.
        before: Of the unregistered pairs: ``Dice``, ``surface mm`` and ``HD95 mm`` if there are labels, ``TRE mm`` if
            there are landmarks.
        after: The same after registration.
        worse: Number of pairs in which the first of these values became worse.
        folding: Largest folding of a pair, see ``spatial.folding``.
        milliseconds: Median time of a registration.
    """

    pairs: int
    before: dict[str, float]
    after: dict[str, float]
    worse: int
    folding: float
    milliseconds: float

    def __str__(self) -> str:
        digits = {name: 4 if name == "Dice" else 2 for name in self.after}
        means = ", ".join(f"{n} {self.before[n]:.{d}f} -> {self.after[n]:.{d}f}" for n, d in digits.items())
        return (
            f"{self.pairs} pairs: {means}; worse in {self.worse}, folding at most {self.folding:.2g},"
            f" median {self.milliseconds:.0f} ms"
        )


def evaluate(
    model: Model,
    pairs: Iterable[LabelledPair],
    device: str = "auto",
    known: Sequence[dict[str, float]] = (),
    preset: Preset = "fast",
) -> Score:
    """Registers every pair by the same pipeline as Slicer.

    If the model was trained with masks, pixels outside the masks of the pair, or outside its foreground, are 0. If it
    was trained with noise in the background, the same noise is added.

    Args:
        model: Registers the pairs.
        pairs: Images with labels or landmarks.
        device: See ``RegistrationOptions``.
        known: Results of ``unregistered`` for each pair, if several models are scored on the same pairs.
        preset: See ``RegistrationOptions``.

    Raises:
        ValueError: There is no pair.
    """
    before, after, foldings, times = list(known), [], [], []
    options = RegistrationOptions(preset=preset, device=device)
    for number, pair in enumerate(pairs):
        fixed, moving = _as_trained(pair, model, number)
        result = run(ImagePair(fixed, moving, pair.grid), [model], options)
        if not known:
            before.append(unregistered(pair))
        after.append(measure(pair, result.displacement))
        foldings.append(result.folding)
        times.append(sum(result.milliseconds.values()))
    if not before:
        raise ValueError("There is no pair to evaluate.")
    first = next(iter(after[0]))
    sign = -1 if first == "Dice" else 1
    worse = sum(sign * b[first] > sign * a[first] for a, b in zip(before, after, strict=True))
    means = [{name: _mean(row[name] for row in rows if name in row) for name in rows[0]} for rows in (before, after)]
    return Score(len(before), means[0], means[1], worse, max(foldings), statistics.median(times))


def unregistered(pair: LabelledPair) -> dict[str, float]:
    """What ``measure`` gives for the identity."""
    return measure(pair, pair.fixed.new_zeros(1, 2, *pair.grid.shape))


def measure(pair: LabelledPair, displacement: Tensor) -> dict[str, float]:
    """Dice, surface distances and TRE of a displacement ``(1, 2, H, W)``; labels are warped with nearest neighbours."""
    found: dict[str, float] = {}
    if pair.fixed_labels is not None and pair.moving_labels is not None:
        warped = warp(pair.moving_labels, displacement, "nearest")
        found["Dice"] = mean_dice(pair.fixed_labels, warped)
        found |= _surfaces(pair.fixed_labels, warped, pair.grid.spacing)
    if pair.fixed_points is not None and pair.moving_points is not None:
        errors = target_registration_error(pair.fixed_points, pair.moving_points, displacement, pair.grid)
        found["TRE mm"] = float(errors.mean())
    return found


def _surfaces(fixed_labels: Tensor, labels: Tensor, spacing: tuple[float, ...]) -> dict[str, float]:
    """Surface distances in mm, averaged over the labels with at least 20 pixels in the fixed slice."""
    fixed, moving = fixed_labels[0, 0], labels[0, 0]
    found = [surface_distance(fixed == label, moving == label, spacing) for label in large_labels(fixed_labels)]
    return {"surface mm": _mean(one.mean for one in found), "HD95 mm": _mean(one.hd95 for one in found)}


def _mean(values: Iterable[float]) -> float:
    """Mean without the nan values; nan if there are no others."""
    numbers = [value for value in values if not math.isnan(value)]
    return statistics.fmean(numbers) if numbers else math.nan


def _as_trained(pair: LabelledPair, model: Model, number: int) -> Iterator[Tensor]:
    """Fixed and moving image with the masks and the noise that the model was trained with."""
    settings = model.configuration.training
    noise = float(settings.get("augmentation", {}).get("background_noise", 0))
    masked = bool(settings.get("data", {}).get("masks", ""))
    preprocessing = model.configuration.preprocessing
    for side, (image, mask) in enumerate(((pair.fixed, pair.fixed_mask), (pair.moving, pair.moving_mask))):
        if not noise and not masked:
            yield image
            continue
        unit = to_unit_range(image, preprocessing)
        inside = foreground(unit[0, 0])[None, None] if mask is None else mask > 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2 * number + side)
            unit = (
                torch.where(inside, unit, background_noise(1, (unit.shape[2], unit.shape[3]), noise)) if noise else unit
            )
        unit = unit * inside if masked else unit
        window = preprocessing.intensity == "window"
        yield preprocessing.lower + unit * (preprocessing.upper - preprocessing.lower) if window else unit
