"""Where the time of a training goes, and whether its memory stays flat."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from training.configuration import RunConfiguration

_WARM = 10  # The first steps allocate and compile; they do not count.


class Throughput(Callback):
    """Times the parts of every step, into the log and the progress bar.

    Attributes:
        drawing: Seconds for the pairs of each step.
        network: Seconds for forward, loss, backward and optimiser.
        steps: Seconds from the end of one step to that of the next.
        memory: Resident MB after each step.
    """

    def __init__(self) -> None:
        self.drawing: list[float] = []
        self.network: list[float] = []
        self.steps: list[float] = []
        self.memory: list[float] = []
        self._before = 0.0

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Counts both images of every pair of the whole batch; pairs of this process for the two speeds."""
        _wait(module.device)
        now = time.perf_counter()
        self.drawing.append(module.drawn_at[1] - module.drawn_at[0])
        self.network.append(now - module.drawn_at[1])
        self.steps.append(now - (self._before or module.drawn_at[0]))
        self.memory.append(_resident())
        self._before = now
        pairs = module.run.optimisation.batch
        share = pairs / trainer.world_size
        module.log("images_per_s", 2 * pairs / self.steps[-1], prog_bar=True)
        module.log("speed/drawn_per_s", share / max(self.drawing[-1], 1e-9))
        module.log("speed/network_per_s", share / self.network[-1])

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Leaves the validation out of the next step."""
        self._before = time.perf_counter()

    def report(self, batch: int) -> str:
        """The whole run in four lines, without its first steps."""
        warm = min(_WARM, len(self.steps) - 1)
        total, drawing, network = (sum(part[warm:]) for part in (self.steps, self.drawing, self.network))
        pairs = batch * len(self.steps[warm:])
        return "\n".join(
            (
                f"{len(self.steps) - warm} steps of {batch} pairs: {2 * pairs / total:.1f} images/s",
                f"network {network / total:.1%} of the time, pairs {drawing / total:.1%}, rest"
                f" {1 - (network + drawing) / total:.1%}",
                f"pairs made {pairs / drawing:.1f} a second, learned from {pairs / network:.1f} a second",
                f"memory {self.memory[warm]:.0f} MB after step {warm + 1}, {self.memory[-1]:.0f} MB after the last,"
                f" at most {max(self.memory):.0f} MB",
            )
        )


def profile(run: RunConfiguration, steps: int) -> str:
    """Trains for some steps into a folder that is thrown away, and reports.

    Raises:
        OSError: A scan cannot be read.
        ValueError: The settings do not fit the data.
    """
    from training.fit.trainer import fit

    optimisation = dataclasses.replace(run.optimisation, steps=steps, validate_every=steps)
    meter = Throughput()
    with tempfile.TemporaryDirectory() as folder:
        fit(dataclasses.replace(run, optimisation=optimisation), Path(folder), throughput=meter)
    return meter.report(run.optimisation.batch)


def _wait(device: torch.device) -> None:
    """A GPU runs behind the program that feeds it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _resident() -> float:
    """MB of this process; nan where the system has no ``/proc``."""
    statistics = Path("/proc/self/statm")
    if not statistics.is_file():
        return math.nan
    return int(statistics.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
