"""The training loop: synthesised pairs in, a checkpoint of the network out."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from training.synthesis import Pair, SynthesisConfiguration, synthesise
from UnsupervisedRegistrationLib.core.deformation import warp
from UnsupervisedRegistrationLib.core.losses import edge_aware_smoothness, endpoint_error, photometric
from UnsupervisedRegistrationLib.core.network import Network, NetworkConfiguration, build_network


@dataclass(frozen=True)
class FitConfiguration:
    """A whole training run; the defaults are the run of the bundled model.

    Attributes:
        network: What is trained.
        synthesis: What it is trained on.
        steps: Updates of the weights.
        batch: Pairs an update.
        rate: Learning rate of Adam after the warm-up, which falls to a hundredth along a cosine.
        warmup: Updates until ``rate`` is reached.
        photometric_weight: Weight of the L2 loss in the hidden common contrast, against the end-point error in voxels.
        smoothness_weight: Weight of the edge-aware smoothness.
        average: Decay of the moving average of the weights that is exported.
        seed: Of weights and pairs.
    """

    network: NetworkConfiguration = field(default_factory=NetworkConfiguration)
    synthesis: SynthesisConfiguration = field(default_factory=SynthesisConfiguration)
    steps: int = 8000
    batch: int = 8
    rate: float = 1e-3
    warmup: int = 200
    photometric_weight: float = 100.0
    smoothness_weight: float = 0.3
    average: float = 0.998
    seed: int = 1


def loss_of(network: Network, pair: Pair, configuration: FitConfiguration) -> tuple[Tensor, dict[str, float]]:
    """The loss of one batch and its parts."""
    outcomes = network(pair.fixed, pair.moving)
    truth, shape = pair.displacement, pair.fixed.shape[2:]
    error = torch.zeros(())
    for level, velocity in enumerate(reversed(outcomes)):
        coarse = tuple(velocity.shape[2:])
        displacement = network.displacement(velocity, coarse) * (shape[0] / coarse[0])
        target, weight = F.adaptive_avg_pool2d(truth, coarse), F.adaptive_avg_pool2d(pair.weight, coarse)
        error = error + 0.5**level * endpoint_error(displacement, target, weight)
    displacement = network.displacement(outcomes[-1], tuple(shape))
    similarity = photometric(warp(pair.hidden_moving, displacement), pair.hidden_fixed)
    smoothness = edge_aware_smoothness(displacement, pair.fixed)
    total = error + configuration.photometric_weight * similarity + configuration.smoothness_weight * smoothness
    parts = {
        "epe": endpoint_error(displacement, truth, pair.weight).item(),
        "start": endpoint_error(torch.zeros_like(truth), truth, pair.weight).item(),
        "photometric": similarity.item(),
    }
    return total, parts


def fit(configuration: FitConfiguration, checkpoint: Path, threads: int = 2) -> Network:
    """Trains, saves ``checkpoint`` every 200 updates, goes on from it if it exists, and gives the averaged network."""
    torch.set_num_threads(threads)
    torch.manual_seed(configuration.seed)
    network = build_network(configuration.network)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(configuration.average)
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=configuration.rate)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimiser,
        [
            torch.optim.lr_scheduler.LinearLR(optimiser, 0.01, total_iters=configuration.warmup),
            torch.optim.lr_scheduler.CosineAnnealingLR(
                optimiser, configuration.steps - configuration.warmup, configuration.rate / 100
            ),
        ],
        [configuration.warmup],
    )
    parts = {"network": network, "averaged": averaged, "optimiser": optimiser, "schedule": schedule}
    first = _resume(parts, checkpoint)
    report = _Report(configuration.steps, first)
    for step in range(first, configuration.steps):
        optimiser.zero_grad(set_to_none=True)
        pair = synthesise(configuration.batch, configuration.synthesis)
        loss, measures = loss_of(network, pair, configuration)
        if not torch.isfinite(loss):
            raise ValueError(f"The loss became {loss.item()} at step {step}; lower the rate ({configuration.rate}).")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(network)
        report.add(step, loss.item(), measures)
        if (step + 1) % 200 == 0 or step + 1 == configuration.steps:
            _save(parts, checkpoint, step + 1, configuration)
    trained = averaged.module
    assert isinstance(trained, Network)
    return trained


class _Report:
    """Prints the mean of the measures every 50 steps, with the time left."""

    def __init__(self, steps: int, first: int) -> None:
        self.steps, self.first, self.start = steps, first, time.monotonic()
        self.sums: dict[str, float] = {}

    def add(self, step: int, loss: float, measures: dict[str, float]) -> None:
        for name, value in {"loss": loss, **measures}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value / 50
        if (step + 1) % 50:
            return
        left = (time.monotonic() - self.start) / (step + 1 - self.first) * (self.steps - step - 1)
        text = "  ".join(f"{name} {value:.4f}" for name, value in self.sums.items())
        sys.stdout.write(f"step {step + 1}/{self.steps}  {text}  {left / 60:.0f} min left\n")
        sys.stdout.flush()
        self.sums = {}


def _save(parts: dict[str, Any], checkpoint: Path, step: int, configuration: FitConfiguration) -> None:
    """Writes beside the old checkpoint first, so that a kill or a full disk leaves the old one."""
    states = {name: part.state_dict() for name, part in parts.items()}
    temporary = checkpoint.with_suffix(".partial")
    state = {"step": step, "configuration": dataclasses.asdict(configuration), "random": torch.get_rng_state()}
    torch.save({**states, **state}, temporary)
    os.replace(temporary, checkpoint)


def _resume(parts: dict[str, Any], checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["random"])
    return int(state["step"])
