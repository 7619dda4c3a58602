"""The grade of a result and its reasons as a person reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..scene.reporting.translation import tr as _

GRADE_COLOURS = {"good": "#2e9e4f", "not validated": "#6b87a8", "check": "#d98e04", "do not use": "#d03030"}
"""Grade to the colour that marks it."""

_PRELIMINARY_COLOUR = "#8a8a8a"


class GradeText(NamedTuple):
    """Colour, word and reasons of a grade."""

    colour: str
    word: str
    reasons: str


def gradeText(result: Any, tre: Any, isPreliminary: bool) -> GradeText:
    """The grade of a result; imports torch.

    Args:
        result: Registration in the scene.
        tre: Target registration errors of its landmarks; ``None`` without any.
        isPreliminary: Whether Live will replace the result, so that some items are not measured yet.
    """
    from ..scene.reporting.quality import checkQuality, gradeWord, qualitySentences

    check = checkQuality(result, tre)
    reasons = "; ".join(qualitySentences(check))
    if not isPreliminary:
        return GradeText(GRADE_COLOURS[check.grade], gradeWord(check.grade), reasons)
    found = f"{reasons}; " if check.problems else ""
    return GradeText(_PRELIMINARY_COLOUR, _("Preliminary"), found + _("graded when the view rests, or by Apply"))
