"""The card of a model: data, licence and scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Modality = Literal["any", "CT", "MR"]


@dataclass(frozen=True)
class Domain:
    """The kind of images that a model was trained on; the defaults exclude nothing.

    Attributes:
        modality: Of the scanner.
        region: Part of the body, for a person to read; the trial of the models decides whether it fits.
        contrast: Of MR, such as T1; likewise.
        intensity_range: Intensities that CT was clipped to, HU; ``None`` if it was not.
        skull_stripped: Whether the surroundings of the organ were set to one value.
    """

    modality: Modality = "any"
    region: str = ""
    contrast: str = ""
    intensity_range: tuple[float, float] | None = None
    skull_stripped: bool = False


@dataclass(frozen=True)
class Card:
    """Information about a model for its users.

    Attributes:
        description: One sentence.
        data: What it was trained on.
        licence: Terms of use that follow from the data.
        research_only: Whether these terms restrict the use to research.
        domain: Kind of images it was trained on.
        command: Command that reproduces it.
        commit: Commit of the code that trained it.
        scores: Results of ``evaluate``, name to value.
    """

    description: str = ""
    data: str = ""
    licence: str = ""
    research_only: bool = False
    domain: Domain = field(default_factory=Domain)
    command: str = ""
    commit: str = ""
    scores: dict[str, float] = field(default_factory=dict)
