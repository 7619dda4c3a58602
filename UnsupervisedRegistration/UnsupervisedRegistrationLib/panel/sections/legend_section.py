"""Legends of what the slice views show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...interaction.choices import TRUST_MAP
from ...interaction.legends import deformationLegend, overlayLegend
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel


class LegendSection(Section):
    """Says what the colours of overlay and deformation mean, and offers an estimate where the trust map is empty."""

    def __init__(self, panel: RegistrationPanel) -> None:
        super().__init__(panel)
        connect(self.ui.estimateButton, "clicked(bool)", self.panel.onApply)

    def update(self) -> None:
        """Shows the legends of the chosen modes."""
        parameters, ui, result = self.parameters, self.ui, self.panel.overlay.result
        isEmpty = parameters.overlay == TRUST_MAP and (result is None or result.trust is None)
        ui.estimateButton.visible = isEmpty and parameters.transformType == "deformable"
        overlay = None if isEmpty else overlayLegend(parameters, ui.warpedCheckBox.checked)
        deformation = deformationLegend(parameters)
        for label, legend in ((ui.overlayLegendLabel, overlay), (ui.deformationLegendLabel, deformation)):
            label.visible, label.text = legend is not None, legend.html if legend else ""
        self.panel.fit()
