"""What is measured once for our models: cost, symmetry, and the rate of a whole stack; a sentence each."""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from training.benchmark.bench import memory, restart_peak
from training.data.labelled_pairs import LabelledPair
from UnsupervisedRegistrationLib.core.models.model_file import Model, load_model
from UnsupervisedRegistrationLib.core.models.selection import DEFAULT, SUFFIX
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.spatial.deformation import compose
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

_SIDE = 256  # Pixels of the square slices that cost and rate are given for.
_SLICES = 200
_FEW = 5  # Pairs of each data set for the symmetry.


def statements(pairs: dict[str, list[LabelledPair]], models: Path) -> list[str]:
    """One sentence for each measurement.

    Args:
        pairs: By data set.
        models: Folder of our models.
    """
    default = load_model(models / f"{DEFAULT}{SUFFIX}")
    some = [pair for found in pairs.values() for pair in found[:: max(len(found) // _FEW, 1)]]
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return [cost(default), symmetry(default, some), *(stack_rate(default, some[0], device) for device in devices)]


def cost(model: Model) -> str:
    """Multiply-accumulate operations of one pair."""
    pair = torch.rand(2, 1, 1, _SIDE, _SIDE)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.network(pair[0], pair[1])
    return f"{model.name}: {counter.get_total_flops() / 2e9:.3f} GMAC for a slice of {_SIDE} x {_SIDE} pixels."


def symmetry(model: Model, pairs: list[LabelledPair]) -> str:
    """How far the result of the swapped pair is from the inverse, and how far an image moves against itself."""
    swapped, still = [], []
    for pair in pairs:
        forward = _displacement(pair.fixed, pair.moving, pair.grid, model)
        backward = _displacement(pair.moving, pair.fixed, pair.grid, model)
        swapped.append(float(compose(forward, backward).norm(dim=1).mean()))
        still.append(float(_displacement(pair.fixed, pair.fixed, pair.grid, model).norm(dim=1).max()))
    return (
        f"{model.name}: swapping the images gives the inverse within {max(swapped):.4f} px (mean over the image, worst"
        f" of {len(pairs)} pairs); an image registered to itself moves by {max(still):.4f} px at most."
    )


def _displacement(fixed: Tensor, moving: Tensor, grid: ImageGrid, model: Model) -> Tensor:
    return run(ImagePair(fixed, moving, grid), [model], RegistrationOptions(preset="fast", device="cpu")).displacement


def stack_rate(model: Model, pair: LabelledPair, device: str = "cpu") -> str:
    """Rate and memory of one call for a stack, and the rate of one call for every slice."""
    grid = ImageGrid((_SIDE, _SIDE), torch.eye(4))
    fixed, moving = (F.interpolate(image, grid.shape).repeat(_SLICES, 1, 1, 1) for image in (pair.fixed, pair.moving))
    options = RegistrationOptions(preset="fast", device=device)
    run(ImagePair(fixed[:1], moving[:1], grid), [model], options)
    start = time.perf_counter()
    for number in range(_SLICES):
        one = slice(number, number + 1)
        run(ImagePair(fixed[one], moving[one], grid), [model], options)
    alone = _SLICES / (time.perf_counter() - start)
    peaks, rates = [], []
    for count in (_SLICES // 4, _SLICES):
        restart_peak()
        before, start = memory("VmRSS"), time.perf_counter()
        result = run(ImagePair(fixed[:count], moving[:count], grid), [model], options)
        rates.append(count / (time.perf_counter() - start))
        peaks.append(memory("VmHWM") - before - 2 * result.displacement.nbytes / 2**20)
    return (
        f"{model.name} on {device}: {rates[1]:.0f} slices a second in one call of {_SLICES} slices, {alone:.0f} in"
        f" {_SLICES} calls of one slice; memory beside the result {peaks[0]:.0f} MiB for {_SLICES // 4} slices,"
        f" {peaks[1]:.0f} MiB for {_SLICES} slices."
    )
