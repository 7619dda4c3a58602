"""Profiles a run: a few steps in a temporary folder."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from training.configuration import RunConfiguration
from training.fit.throughput import Throughput
from training.fit.trainer import fit
from UnsupervisedRegistrationLib.core.networks.architectures import Build, build_network


def profile(run: RunConfiguration, steps: int, build: Build = build_network) -> str:
    """Train for some steps, and report shares of time, speed and memory.

    Raises:
        OSError: A scan cannot be read.
        ValueError: The settings do not fit the data.
    """
    optimisation = dataclasses.replace(run.optimisation, steps=steps, validate_every=steps)
    throughput = Throughput()
    with tempfile.TemporaryDirectory() as folder:
        fit(dataclasses.replace(run, optimisation=optimisation), Path(folder), throughput=throughput, build=build)
    return throughput.report(run.optimisation.batch)
