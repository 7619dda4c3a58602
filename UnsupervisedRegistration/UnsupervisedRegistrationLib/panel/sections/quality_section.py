"""The quality check of the last result, and the plan that was followed."""

from __future__ import annotations

import html
from typing import Any

from slicer.i18n import tr as _

from ...interaction import inputs
from ...interaction.sentences import describePlan
from .section import Section

_GRADE_COLOURS = {"good": "#2e9e4f", "not validated": "#6b87a8", "check": "#d98e04", "do not use": "#d03030"}
_PRELIMINARY = "#8a8a8a"


class QualitySection(Section):
    """Says whether the last result can be used."""

    def update(self) -> None:
        """Forgets the result once another fixed or moving volume is chosen."""
        result, p = self.panel.result, self.parameters
        if result is not None and (result.pair.fixedVolume, result.pair.movingVolume) != (
            p.fixedVolume,
            p.movingVolume,
        ):
            self.panel.forgetResult()

    def show(self, result: Any) -> None:
        """Checks a result, and shows its grade and its plan."""
        self.ui.qualityLabel.text = self._describe(result)
        self.ui.planLabel.text = describePlan(result.registration)
        self.ui.qualityLabel.visible = self.ui.planLabel.visible = True

    def clear(self) -> None:
        """Shows no grade and no plan."""
        self.ui.qualityLabel.visible = self.ui.planLabel.visible = False

    def _describe(self, result: Any) -> str:
        """A coloured grade and its reasons, as rich text."""
        from ...scene.reporting.quality import checkQuality, gradeWord, qualitySentences

        check = checkQuality(result, inputs.landmarkErrors(self.parameters, result.transformNode))
        reasons = html.escape("; ".join(qualitySentences(check)))
        if self.panel.live.isRefining:  # Some items are not measured yet, so the grade may change.
            found = f"{reasons}; " if check.problems else ""
            later = html.escape(_("graded when the view rests, or by Apply"))
            return f'<span style="color:{_PRELIMINARY}">⬤</span> <b>{_("Preliminary")}:</b> {found}{later}.'
        return f'<span style="color:{_GRADE_COLOURS[check.grade]}">⬤</span> <b>{gradeWord(check.grade)}:</b> {reasons}.'
