"""Every overlay says in the panel what its colours mean."""

from __future__ import annotations

import re
from typing import Any

import pytest
import slicer
import slicer.util

import host

LEGENDS = {
    "Red and cyan": ["fixed", "warped", "equal intensities", "#ff0000", "#00ffff"],
    "Checkerboard": ["Tiles of 20 mm"],
    "Swipe": ["fixed on its left, warped on its right", "#ffd21f"],
    "Difference": ["fixed is brighter", "equal", "warped is brighter"],
    "Edges": ["edges of the fixed image", "#ffd21f"],
    "Change of area": ["half", "same", "double", "folded", "#ff00ff"],
    "Trust map": ["0 %", "50 %", "100 %", "2 mm"],
}


def test_every_overlay_has_its_legend_and_the_others_have_none(applied: Any) -> None:
    for mode, words in LEGENDS.items():
        applied.overlaySelector.setCurrentText(mode)
        legend = applied.overlayLegendLabel
        assert legend.isVisible(), mode
        assert [word for word in words if word not in legend.text] == [], mode
        assert not applied.estimateButton.isVisible()
    for mode in ("Blend", "Off"):
        applied.overlaySelector.setCurrentText(mode)
        assert not applied.overlayLegendLabel.isVisible()


@pytest.mark.parametrize(("mode", "word"), [("Grid", "Lines every 10 mm"), ("Arrows", "Arrows every 10 mm")])
def test_the_deformation_has_its_legend(applied: Any, mode: str, word: str) -> None:
    assert not applied.deformationLegendLabel.isVisible()
    applied.deformationSelector.setCurrentText(mode)
    assert word in applied.deformationLegendLabel.text
    assert "10 mm and more" in applied.deformationLegendLabel.text
    assert applied.deformationLegendLabel.isVisible()


def test_the_unwarped_image_is_not_called_warped(applied: Any) -> None:
    applied.overlaySelector.setCurrentText("Red and cyan")
    applied.warpedCheckBox.click()
    assert "moving" in applied.overlayLegendLabel.text
    assert "warped" not in applied.overlayLegendLabel.text


def test_an_empty_trust_map_offers_an_estimate(loaded: host.Loaded, applied: Any) -> None:
    shown = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    loaded.widget.overlay.result = None  # As after a result was shown again.
    applied.overlaySelector.setCurrentText("Trust map")
    assert applied.estimateButton.isVisible()
    assert not applied.overlayLegendLabel.isVisible()
    assert shown.GetForegroundOpacity() == 0
    applied.estimateButton.click()
    assert not applied.estimateButton.isVisible()
    assert re.search("expected", applied.overlayLegendLabel.text)
    assert shown.GetForegroundOpacity() > 0
