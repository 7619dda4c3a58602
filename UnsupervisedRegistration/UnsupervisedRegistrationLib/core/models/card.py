"""What a user should know of a model before trusting it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Card:
    """What a user should know before trusting a model.

    Attributes:
        description: One sentence.
        data: What it was trained on.
        licence: Terms of use that follow from the data.
        command: What reproduces it.
        commit: State of the code that trained it.
        scores: What ``evaluate`` measured, name to value.
    """

    description: str = ""
    data: str = ""
    licence: str = ""
    command: str = ""
    commit: str = ""
    scores: dict[str, float] = field(default_factory=dict)
