"""From a checkpoint to the one file that Slicer picks up."""

from __future__ import annotations

import subprocess
from pathlib import Path

import torch

from training.fit import FitConfiguration
from UnsupervisedRegistrationLib.core.model import Card, Model, ModelConfiguration, read_configuration, save_model
from UnsupervisedRegistrationLib.core.network import build_network


def export(checkpoint: Path, output: Path, passes: int = 1) -> Model:
    """Writes the averaged weights of a checkpoint as a model file.

    Args:
        checkpoint: Made by ``fit``.
        output: Model file; its stem is the name of the model.
        passes: How often the network is applied to a pair.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The checkpoint is not one of ``fit``.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if not {"averaged", "configuration", "step"} <= state.keys():
        raise ValueError(f"'{checkpoint}' is no checkpoint of 'fit'; it has {', '.join(sorted(state))}.")
    training = read_configuration(FitConfiguration, state["configuration"])
    network = build_network(training.network)
    prefix = "module."
    weights = {name.removeprefix(prefix): w for name, w in state["averaged"].items() if name.startswith(prefix)}
    network.load_state_dict(weights)
    card = Card(
        description="For any contrast: CT, MR, or one with the other; trained on drawn images alone.",
        data=f"{state['step'] * training.batch} synthesised pairs; no image of a person.",
        licence="Apache-2.0, as the extension; no terms of any data are attached.",
        command=f"python -m training fit --output {checkpoint.name}",
        commit=_commit(),
    )
    configuration = ModelConfiguration(training.network, passes=passes, training=state["configuration"])
    model = Model(output.stem, network.eval(), configuration, card)
    save_model(model, output)
    return model


def _commit() -> str:
    """The commit of the working tree, or nothing where git cannot tell."""
    outcome = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return outcome.stdout.strip()
