"""The module with its panel open, as every test of it begins."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

import host
from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom

_draw = functools.cache(draw_phantom)
MODULE = Path(__file__).parents[2] / "UnsupervisedRegistration" / "UnsupervisedRegistration.py"


@pytest.fixture(autouse=True)
def drawnOnce(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a patient takes seconds, and every test begins with the same one."""
    monkeypatch.setattr("UnsupervisedRegistrationLib.scene.registration.phantom_nodes.draw_phantom", _draw)


@pytest.fixture
def loaded() -> Iterator[host.Loaded]:
    """The module with its panel open in an empty scene."""
    host.start()
    yield host.loadModule(MODULE)
    host.stop()


@pytest.fixture
def ui(loaded: host.Loaded) -> Any:
    """The controls, with the head phantom loaded and chosen, and the fast preset for short tests."""
    host.clickSample("RegistrationHead")
    controls = loaded.widget.ui
    controls.fixedSelector.setCurrentNode(slicer.util.getNode("HeadFixed"))
    controls.movingSelector.setCurrentNode(slicer.util.getNode("HeadMoving"))
    controls.presetSelector.setCurrentText("fast")
    return controls


@pytest.fixture
def applied(ui: Any) -> Any:
    """The head phantom with its landmarks, registered once."""
    ui.fixedLandmarksSelector.setCurrentNode(slicer.util.getNode("HeadFixedLandmarks"))
    ui.movingLandmarksSelector.setCurrentNode(slicer.util.getNode("HeadMovingLandmarks"))
    ui.applyButton.click()
    assert slicer.util.getNode("HeadMoving").GetParentTransformNode() is not None, ui.statusLabel.text
    return ui


@pytest.fixture
def during(loaded: host.Loaded, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Lets a person act while the work goes on, at each of its steps."""

    def put(act: Callable[[], Any]) -> None:
        show = loaded.widget.longWork.showProgress
        monkeypatch.setattr(loaded.widget.longWork, "showProgress", lambda step, share: (act(), show(step, share)))

    return put


@pytest.fixture
def drawMask(ui: Any) -> Callable[..., Any]:
    """A labelmap on the fixed volume, 1 in some slices, rows and columns."""

    def draw(slices: slice, rows: slice, columns: slice, name: str = "mask") -> Any:
        fixed = slicer.util.getNode("HeadFixed")
        voxels = np.zeros_like(slicer.util.arrayFromVolume(fixed), dtype=np.uint8)
        voxels[slices, rows, columns] = 1
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
        slicer.util.updateVolumeFromArray(node, voxels)
        node.CopyOrientation(fixed)
        return node

    return draw
