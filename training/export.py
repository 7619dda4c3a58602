"""Exports a checkpoint to a model file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from training.configuration import RunConfiguration, run_from
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.model_file import (
    Model,
    ModelConfiguration,
    load_model,
    read_archive,
    save_model,
)
from UnsupervisedRegistrationLib.core.networks.architectures import Build, build_network

_PREFIX = "network."


def export(checkpoints: Sequence[Path], output: Path, half: bool = False, build: Build = build_network) -> Model:
    """Write the averaged weights of a checkpoint, or the mean over several checkpoints, as a model file.

    Args:
        checkpoints: Made by ``fit``, of the same network and preprocessing, and from the same initial weights; a mean
            of unrelated weights is useless. The settings in the card are those of the first.
        output: Model file; its stem is the name of the model.
        half: Store the weights as float16, which halves the size of the file.
        build: Makes the network from its configuration.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: A checkpoint is not one of ``fit``, or the networks differ.

    Source:
        Wortsman et al., Model soups, ICML 2022.
    """
    states = [read_checkpoint(path, build) for path in checkpoints]
    runs = [run_from(state["run"]) for state in states]
    run = runs[0]
    for path, other in zip(checkpoints, runs, strict=True):
        if (other.network, other.data.preprocessing) != (run.network, run.data.preprocessing):
            raise ValueError(
                f"'{path}' has another network or preprocessing than '{checkpoints[0]}', so their weights have no"
                " mean; export each alone."
            )
    network = build(run.network)
    network.load_state_dict(
        {name: torch.stack([s["state_dict"][_PREFIX + name] for s in states]).mean(0) for name in network.state_dict()}
    )
    configuration = ModelConfiguration(run.network, run.data.preprocessing, training=states[0]["run"])
    model = Model(output.stem, network.eval(), configuration, _card(run, states))
    save_model(dataclasses.replace(model, network=network.half()) if half else model, output)
    return load_model(output, build)


def read_checkpoint(path: Path, build: Build = build_network) -> dict[str, Any]:
    """Read what ``fit`` saved: ``state_dict``, ``run``, ``global_step``, ``provenance`` and the state of the trainer.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged, no checkpoint of ``fit``, or made by a release with other networks or settings.
    """
    try:
        state = read_archive(path)
    except ValueError as error:
        raise ValueError(f"The checkpoint '{path}' cannot be read: {error}") from error
    if not isinstance(state, dict) or not {"state_dict", "run", "global_step"} <= state.keys():
        raise ValueError(f"'{path}' is no checkpoint of 'fit'; give its last.ckpt or best.ckpt.")
    try:
        run = run_from(state["run"])
    except ValueError as error:
        raise ValueError(
            f"The checkpoint '{path}' was made by another release, with other settings: {error}"
        ) from error
    wanted = {_PREFIX + name for name in build(run.network).state_dict()}
    if wanted != {name for name in state["state_dict"] if name.startswith(_PREFIX)}:
        raise ValueError(
            f"The checkpoint '{path}' was made by another release, with another network;"
            " train in another folder, or use that release."
        )
    return state


def set_scores(path: Path, scores: dict[str, float], build: Build = build_network) -> None:
    """Add scores to the card of a model file; the weights stay as they are stored."""
    model = load_model(path, build)
    card = dataclasses.replace(model.card, scores={**model.card.scores, **scores})
    weights = list(model.network.state_dict().values())
    half = all(torch.equal(values, values.half().to(values)) for values in weights)
    network = model.network.half() if half else model.network
    save_model(dataclasses.replace(model, network=network, card=card), path)


def describe(model: Model) -> str:
    """Return the card of a model as Markdown, with the whole configuration of the run that trained it."""
    card, configuration = model.card, model.configuration
    weights = sum(parameter.numel() for parameter in model.network.parameters())
    rows = {
        "Description": card.description,
        "Data": card.data,
        "Licence": card.licence,
        "Network": f"{configuration.network.architecture}, {weights / 1e6:.2f} M weights",
        "Intensities": f"{configuration.preprocessing.intensity} {configuration.preprocessing.lower:g} to"
        f" {configuration.preprocessing.upper:g}",
        "Command": f"`{card.command}`" if card.command else "",
        "Commit": card.commit,
    }
    lines = [f"# {model.name}", "", *(f"* **{name}**: {text}" for name, text in rows.items() if text)]
    if card.scores:
        lines += ["", "| score | |", "|---|---|", *(f"| {name} | {value:.4f} |" for name, value in card.scores.items())]
    if configuration.training:
        settings = yaml.safe_dump(configuration.training, sort_keys=False, default_flow_style=None, width=110)
        lines += ["", "```yaml", settings.rstrip(), "```"]
    return "\n".join(lines)


def _card(run: RunConfiguration, states: list[dict[str, Any]]) -> Card:
    steps, sources = sum(int(state["global_step"]) for state in states), [state["provenance"] for state in states]
    pairs = f"{steps * run.optimisation.batch} pairs"
    return Card(
        description=run.card.description,
        data=f"{run.card.data} ({pairs})" if run.card.data else pairs,
        licence=run.card.licence,
        research_only=run.card.research_only,
        domain=run.card.domain,
        command=" && ".join(source["command"] for source in sources),
        commit=", ".join(dict.fromkeys(source["commit"] for source in sources)),
    )
