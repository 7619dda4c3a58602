"""The bundled models give the fields that are stored as text; ``Testing/golden.py texts`` writes them anew."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import golden

STORED = json.loads(golden.TEXTS.read_text())
LARGEST_PX = 0.05  # Sums in another order, on another processor; each step of optimisation carries them on.


@pytest.fixture(scope="module")
def fields() -> dict[str, list[list[float]]]:
    with torch.random.fork_rng():
        return golden.golden_texts()


def test_every_bundled_model_has_stored_fields(fields: dict[str, list[list[float]]]) -> None:
    assert fields.keys() == STORED.keys()


@pytest.mark.parametrize("name", STORED)
def test_the_field_is_the_stored_one(fields: dict[str, list[list[float]]], name: str) -> None:
    apart = np.abs(np.array(fields[name]) - np.array(STORED[name])).max()
    assert apart <= LARGEST_PX, f"{apart:.4f} px"


def test_the_stored_fields_move() -> None:
    assert all(np.abs(field).max() > 0.5 for field in STORED.values())
