"""Measures where the time of a run goes, and how much memory it takes."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

_WARM = 10  # First steps, which allocate and compile, are not counted.


class Throughput(Callback):
    """Times the parts of every step, into the log and the progress bar.

    Attributes:
        batches: Seconds for making the batch of each step.
        network: Seconds for forward, loss, backward and optimiser.
        steps: Seconds from the end of one step to that of the next.
        memory: Resident MB after each step.
    """

    def __init__(self) -> None:
        self.batches: list[float] = []
        self.network: list[float] = []
        self.steps: list[float] = []
        self.memory: list[float] = []
        self._before = 0.0

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Log images of the whole batch per second, and the pairs that this process makes and trains on per second."""
        _wait(module.device)
        now = time.perf_counter()
        self.batches.append(module.batch_times[1] - module.batch_times[0])
        self.network.append(now - module.batch_times[1])
        self.steps.append(now - (self._before or module.batch_times[0]))
        self.memory.append(_resident())
        self._before = now
        pairs = module.run.optimisation.batch
        share = pairs / trainer.world_size
        module.log("images_per_s", 2 * pairs / self.steps[-1], prog_bar=True)
        module.log("speed/pairs_made_per_s", share / max(self.batches[-1], 1e-9))
        module.log("speed/pairs_trained_per_s", share / self.network[-1])

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Exclude the validation from the time of the next step."""
        self._before = time.perf_counter()

    def report(self, batch: int) -> str:
        """Summarise the run in four lines, without its first steps."""
        warm = min(_WARM, len(self.steps) - 1)
        total, making, network = (sum(part[warm:]) for part in (self.steps, self.batches, self.network))
        pairs = batch * len(self.steps[warm:])
        return "\n".join(
            (
                f"{len(self.steps) - warm} steps of {batch} pairs: {2 * pairs / total:.1f} images/s",
                f"network {network / total:.1%} of the time, pairs {making / total:.1%}, rest"
                f" {1 - (network + making) / total:.1%}",
                f"pairs made {pairs / making:.1f} per second, trained on {pairs / network:.1f} per second",
                f"memory {self.memory[warm]:.0f} MB after step {warm + 1}, {self.memory[-1]:.0f} MB after the last,"
                f" at most {max(self.memory):.0f} MB",
            )
        )


def _wait(device: torch.device) -> None:
    """Wait until a GPU has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _resident() -> float:
    """Resident MB of this process; nan if the system has no ``/proc``."""
    statistics = Path("/proc/self/statm")
    if not statistics.is_file():
        return math.nan
    return int(statistics.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
