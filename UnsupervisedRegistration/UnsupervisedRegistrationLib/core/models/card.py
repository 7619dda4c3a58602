"""The card of a model: data, licence and scores."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Card:
    """Information about a model for its users.

    Attributes:
        description: One sentence.
        data: What it was trained on.
        licence: Terms of use that follow from the data.
        command: Command that reproduces it.
        commit: Commit of the code that trained it.
        scores: Results of ``evaluate``, name to value.
    """

    description: str = ""
    data: str = ""
    licence: str = ""
    command: str = ""
    commit: str = ""
    scores: dict[str, float] = field(default_factory=dict)
