"""Where a network runs."""

from __future__ import annotations

import torch

from ..models.model_file import Model
from .result import Cancelled as Cancelled


def resolve_device(name: str) -> torch.device:
    """The device of that name; ``"auto"`` takes a GPU if there is one.

    Raises:
        ValueError: It is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, colon, index = name.partition(":")
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    numbered = index.isascii() and index.isdigit() and str(int(index)) == index
    if kind not in present or (colon and not numbered) or int(index or 0) >= present[kind]:
        there = ", ".join(f"{kind}" for kind, count in present.items() if count)
        raise ValueError(f"The device '{name}' is not there. This machine has: {there}. Choose one of them, or 'auto'.")
    return torch.device(name)


def to_device(model: Model, device: torch.device) -> None:
    """Moves the network of a model to a device."""
    if next(model.network.parameters()).device != device:  # Moving it where it is already takes milliseconds.
        model.network.to(device)
