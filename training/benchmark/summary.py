"""What a benchmark says about the claims that are made: margins, ratios of time, contrast, symmetry, batches, cost."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from training.benchmark.bench import MOVING, PEER, Row, memory, restart_peak
from training.benchmark.sections import section_pairs
from training.data.labelled_pairs import LabelledPair
from training.evaluation.evaluate import measure
from UnsupervisedRegistrationLib.core.models.model_file import Model, load_model
from UnsupervisedRegistrationLib.core.models.selection import DEFAULT, SUFFIX
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import ImagePair, run
from UnsupervisedRegistrationLib.core.spatial.deformation import compose
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

_SIDE = 256  # Pixels of the square slices that cost and rate are given for.
_SLICES = 200
_FEW = 5  # Pairs of each data set for the symmetry.
_SECTIONS = "histology/dev"


def claims(rows: list[Row], pairs: dict[str, list[LabelledPair]], models: Path, data: Path) -> str:
    """All of them as a list in Markdown.

    Args:
        rows: Of the benchmark.
        pairs: By data set.
        models: Folder of our models.
        data: Folder of the labelled pairs and sections; what is missing there is not spoken of.
    """
    default = load_model(models / f"{DEFAULT}{SUFFIX}")
    few = {name: found[:: max(len(found) // _FEW, 1)] for name, found in pairs.items()}
    some = [pair for found in few.values() for pair in found]
    lines = [*margins(rows), *contrasts(rows), cost(default), symmetry(default, some)]
    for dataset, found in few.items():
        own = _own({row.method: row for row in rows if row.dataset == dataset})
        lines += [symmetry(load_model(models / f"{name}{SUFFIX}"), found) for name in own if name != DEFAULT]
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    lines += [batch(default, some[0], device) for device in devices]
    if (data / _SECTIONS).is_dir():
        lines.append(histology(default, data / _SECTIONS))
    return "".join(f"* {line}\n" for line in lines)


def margins(rows: list[Row]) -> list[str]:
    """Of our networks against SyN CC in Dice, and against every other method in time (that of first calls)."""
    lines = []
    for dataset in dict.fromkeys(row.dataset for row in rows if MOVING not in row.dataset):
        here = {row.method: row for row in rows if row.dataset == dataset}
        own = [row for name, row in here.items() if name.removesuffix(" + refine") in _own(here)]
        for row in own if PEER in here else []:
            peer = here[PEER]
            better = (
                f"TRE {row.tre_mm - peer.tre_mm:+.2f} mm"
                if row.dice != row.dice
                else f"Dice {row.dice - peer.dice:+.4f}"
            )
            times = ", ".join(
                f"{other.median_ms / row.median_ms:.1f}x ({other.first_ms / row.first_ms:.1f}x) {other.method}"
                for other in here.values()
                if other not in own and other.method != "identity"
            )
            lines.append(f"{dataset}, {row.method}: {better} against {PEER}, folding {row.folding:.2g}; faster {times}")
    return lines


def _own(here: dict[str, Row]) -> list[str]:
    refined = [name.removesuffix(" + refine") for name in here if name.endswith(" + refine")]
    return [DEFAULT, *refined]


def contrasts(rows: list[Row]) -> list[str]:
    """What each method loses in Dice, against its own plain score, when the moving image has another contrast."""
    plain = {(row.dataset, row.method): row.dice for row in rows}
    lines = []
    for row in rows:
        dataset, found, contrast = row.dataset.partition(MOVING)
        if found:
            lines.append(
                f"{dataset}, moving {contrast}, {row.method}: {row.dice - plain[dataset, row.method]:+.4f} Dice"
            )
    return lines


def cost(model: Model) -> str:
    """Multiplications and additions of one pair."""
    pair = torch.rand(2, 1, 1, _SIDE, _SIDE)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.network(pair[0], pair[1])
    return f"{model.name}: {counter.get_total_flops() / 2e9:.3f} GMAC for {_SIDE} x {_SIDE}"


def symmetry(model: Model, pairs: list[LabelledPair]) -> str:
    """How far swapping the images is from the inverse, and how far an image moves against itself."""
    swapped, still = [], []
    for pair in pairs:
        there = _displacement(pair.fixed, pair.moving, pair.grid, model)
        back = _displacement(pair.moving, pair.fixed, pair.grid, model)
        swapped.append(float(compose(there, back).norm(dim=1).mean()))
        still.append(float(_displacement(pair.fixed, pair.fixed, pair.grid, model).norm(dim=1).max()))
    return (
        f"{model.name}: swapping the images gives the inverse within {max(swapped):.4f} px on average in the worst of"
        f" {len(pairs)} pairs; an image moves against itself by {max(still):.4f} px at most"
    )


def _displacement(fixed: Tensor, moving: Tensor, grid: ImageGrid, model: Model) -> Tensor:
    return run(ImagePair(fixed, moving, grid), [model], RegistrationOptions(preset="fast", device="cpu")).displacement


def batch(model: Model, pair: LabelledPair, device: str = "cpu") -> str:
    """Rate and memory of one call for a stack against one call for every slice."""
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
        outcome = run(ImagePair(fixed[:count], moving[:count], grid), [model], options)
        rates.append(count / (time.perf_counter() - start))
        peaks.append(memory("VmHWM") - before - 2 * outcome.displacement.nbytes / 2**20)
    return (
        f"{model.name} on {device}: {rates[1]:.0f} slices a second in one call of {_SLICES}, {alone:.0f} in {_SLICES}"
        f" calls; memory beside the outcome {peaks[0]:.0f} MiB for {_SLICES // 4} slices, {peaks[1]:.0f} for {_SLICES}"
    )


def histology(model: Model, folder: Path) -> str:
    """Error of the landmarks of stained sections after the model over that after the affine alignment."""
    ratios = []
    for _, pair in section_pairs(folder):
        before = measure(pair, torch.zeros(1, 2, *pair.grid.shape))["TRE mm"]
        after = measure(pair, _displacement(pair.fixed, pair.moving, pair.grid, model))["TRE mm"]
        ratios.append(after / before)
    return (
        f"{model.name} on {len(ratios)} pairs of stained sections: error of the landmarks"
        f" {statistics.median(ratios):.2f} of that after the affine alignment (median),"
        f" {max(ratios):.2f} at worst; more than 1.1 in {sum(ratio > 1.1 for ratio in ratios)}"
    )
