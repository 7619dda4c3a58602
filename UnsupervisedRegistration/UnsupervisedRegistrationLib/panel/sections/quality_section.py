"""The quality check of the last result, and the plan that was followed."""

from __future__ import annotations

import html
from typing import Any

from ...interaction import inputs
from ...interaction.quality_texts import gradeText
from ...interaction.sentences import describePlan
from .section import Section


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
        tre = inputs.landmarkErrors(self.parameters, result.transformNode)
        colour, word, reasons = gradeText(result, tre, self.panel.live.isRefining)
        return f'<span style="color:{colour}">⬤</span> <b>{word}:</b> {html.escape(reasons)}.'
