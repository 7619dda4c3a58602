"""What the stages of the pipeline hand on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...images.crop import PreparedPair
from ...models.model_file import Model
from ...spatial.deformation import Mapping
from ..image_pair import ImagePair
from ..options import RegistrationOptions
from ..plan import Plan
from ..result import Clock


@dataclass(frozen=True)
class Part:
    """Pairs that go through the network together.

    Attributes:
        indices: In the batch.
        pair: Prepared for the model.
        matched: The same in matched intensities, which is what the network sees.
        agree: Whether the images of each matched pair are in one contrast.
        plan: What is done to them.
        mapping: What was found so far, in working voxels.
    """

    indices: list[int]
    pair: PreparedPair
    matched: PreparedPair
    plan: Plan
    agree: tuple[bool, ...] = (True,)
    mapping: Mapping | None = None


@dataclass(frozen=True)
class State:
    """What the stages hand on."""

    images: ImagePair
    models: Sequence[Model]
    model: Model
    options: RegistrationOptions
    device: torch.device
    clock: Clock
    without: frozenset[str] = frozenset()
    parts: tuple[Part, ...] = ()
    plan: Plan | None = None
    field: Mapping | None = None
    """On the grid of the images, on the CPU."""
    expected_error: Tensor | None = None
    landmark_errors: Tensor | None = None
    similarity: tuple[float, float] = (math.nan, math.nan)
    notes: tuple[str, ...] = ()
    model_reason: str = ""

    def told(self, note: str) -> tuple[str, ...]:
        """The notes and one more."""
        return (*self.notes, note)


class Stage(Protocol):
    """One step of the pipeline."""

    name: str
    share: float
    """Of the work that is done when the stage begins, 0..1."""

    def applies(self, state: State) -> bool:
        """Whether there is anything to do."""

    def __call__(self, state: State) -> State:
        """The state after the stage."""
