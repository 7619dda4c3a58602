"""What the panel shows stays true of the slice and the pair that were registered, whatever the user does next."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import slicer.util

import host


def red() -> Any:
    return slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")


def marked(ui: Any) -> list[bool]:
    return [ui.landmarkTable.item(row, 0).text().startswith("⚠") for row in range(ui.landmarkTable.rowCount)]


def test_landmarks_are_off_the_slice_that_was_registered_and_not_off_the_view(
    loaded: host.Loaded, applied: Any
) -> None:
    points = slicer.util.getNode("HeadFixedLandmarks")
    points.SetNthControlPointPositionWorld(0, *np.add(points.GetNthControlPointPositionWorld(0), [0, 0, 9.0]))
    host.waitUntil(lambda: marked(applied)[0])
    before = marked(applied)
    red().SetSliceOffset(red().GetSliceOffset() + 9.0)
    host.waitUntil(lambda: not loaded.widget.landmarks._refresh.isActive())
    assert marked(applied) == before
