"""What a user may choose of a registration: one set of choices and defaults for panel, script and command line.

Nothing here needs torch, so that a panel can show the choices before torch is installed.
"""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass
from typing import Any, Literal

Preset = Literal["fast", "standard", "thorough"]
TransformType = Literal["rigid", "affine", "deformable"]
Prealignment = Literal["none", "auto", "rigid", "affine"]
Similarity = Literal["auto", "local_ncc", "mind"]

AUTOMATIC = "auto"
"""In place of a model: every admissible model registers the pair, and the best result decides."""

STIFFEST = 20.0  # Smoothness weight; beyond it nothing but a translation is left of a displacement.


@dataclass(frozen=True)
class RegistrationOptions:
    """How a pair of images is registered.

    Attributes:
        transform: ``"rigid"`` and ``"affine"`` align in the plane only; ``"deformable"`` warps.
        preset: ``"fast"`` is the network and a few symmetric steps; ``"standard"`` has instance optimisation;
            ``"thorough"`` adds all that helps, whatever its time. A preset fixes numbers of steps, never seconds.
        model: A model's name or file, or ``"auto"``.
        prealignment: Linear alignment in the plane before the network. ``"auto"`` aligns rigidly if the images lie
            far apart; ``None`` is ``"none"``.
        similarity: What the instance optimisation maximises. ``"auto"`` takes local correlation, and for contrasts
            that cannot be matched the self-similarity descriptor MIND.
        smoothness_weight: Of the instance optimisation, 0 to 20; the larger, the stiffer.
        uncertainty: Whether to estimate the error of every pixel.
        free_models_only: Whether ``"auto"`` leaves out models for research use only.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        time_limit: Seconds after which the instance optimisation stops early; an emergency stop, which the result
            mentions if it struck.

    Raises:
        ValueError: A choice does not exist, or a number is out of range.
    """

    transform: TransformType = "deformable"
    preset: Preset = "standard"
    model: str = AUTOMATIC
    prealignment: Prealignment = "auto"
    similarity: Similarity = "auto"
    smoothness_weight: float = 1.0
    uncertainty: bool = False
    free_models_only: bool = False
    device: str = "auto"
    time_limit: float = 60.0

    def __post_init__(self) -> None:
        if self.prealignment is None:
            object.__setattr__(self, "prealignment", "none")
        for name in ("transform", "preset", "prealignment", "similarity"):
            check_choice(name, getattr(self, name), typing.get_args(_HINTS[name]))
        if not isinstance(self.model, str) or not self.model:
            raise ValueError(f"model is 'auto', the name of a model, or a model file, not {self.model!r}.")
        for name in ("uncertainty", "free_models_only"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is True or False, not {getattr(self, name)!r}.")
        if not (_is_number(self.smoothness_weight) and 0 <= self.smoothness_weight <= STIFFEST):
            raise ValueError(f"smoothness_weight is a number from 0 to {STIFFEST:g}, not {self.smoothness_weight!r}.")
        if not (_is_number(self.time_limit) and 0 < self.time_limit < math.inf):
            raise ValueError(f"time_limit is a number of seconds above 0, not {self.time_limit!r}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuses what is not among the choices.

    Raises:
        ValueError: The sentence lists the choices.
    """
    if value not in choices:
        listed = ", ".join(f"'{choice}'" for choice in choices)
        raise ValueError(f"{name} is one of {listed}, not {value!r}.")


_HINTS: dict[str, Any] = {
    "transform": TransformType,
    "preset": Preset,
    "prealignment": Prealignment,
    "similarity": Similarity,
}
