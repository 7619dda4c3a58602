"""Volumes, placements and models that a person may choose and few expect: an outcome or a sentence, and no error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

import host
from UnsupervisedRegistrationLib.core.models.model_file import load_model, save_model
from UnsupervisedRegistrationLib.scene.geometry.transforms import mapToMoving


@pytest.fixture(params=["applyButton", "liveButton"])
def press(request: pytest.FixtureRequest, loaded: host.Loaded) -> Any:
    """Presses Apply or Live, and waits for what comes."""

    def act() -> str:
        ui = loaded.widget.ui
        getattr(ui, request.param).click()
        host.waitUntil(lambda: not loaded.widget.live.isOn or not loaded.widget.live.isBusy)
        assert host.uncaught == []
        assert host.messages == []
        return ui.statusLabel.text

    return act


def choose(loaded: host.Loaded, fixed: np.ndarray, moving: np.ndarray, kind: str = "vtkMRMLScalarVolumeNode") -> None:
    """Puts two volumes into the scene and chooses them, with the red view on their middle."""
    for selector, voxels in ((loaded.widget.ui.fixedSelector, fixed), (loaded.widget.ui.movingSelector, moving)):
        volume = slicer.util.addVolumeFromArray(voxels, nodeClassName=kind)
        volume.SetSpacing(2.0, 2.0, 3.0)
        selector.setCurrentNode(volume)
    middle = 3.0 * ((fixed.shape[0] - 1) // 2)
    slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed").SetSliceOffset(middle)


def disc(*shape: int, shift: int = 0) -> np.ndarray:
    """A bright disc on dark ground in every slice."""
    rows, columns = np.indices(shape[1:])
    inside = np.hypot(rows - shape[1] / 2, columns - shape[2] / 2 - shift) < min(shape[1:]) / 4
    return np.broadcast_to(np.where(inside, 200, 20), shape).astype(np.int16)


def test_a_volume_of_one_slice(loaded: host.Loaded, press: Any) -> None:
    choose(loaded, disc(1, 64, 72), disc(1, 64, 72, shift=3))
    assert press().startswith("Axial slice 0")
    assert loaded.widget.result.registration.similarity_after > loaded.widget.result.registration.similarity_before


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 16, 16)])
def test_tiny_images(loaded: host.Loaded, press: Any, shape: tuple[int, ...]) -> None:
    choose(loaded, disc(*shape), disc(*shape, shift=1))
    assert press().startswith("Axial slice")
    ends = mapToMoving(loaded.widget.ui.transformSelector.currentNode(), np.zeros((1, 3)))
    assert np.abs(ends).max() < 2 * max(shape)


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_images(loaded: host.Loaded, press: Any, channels: int) -> None:
    fixed, moving = (np.repeat(disc(1, 64, 72, shift=s)[..., None], channels, -1).astype(np.uint8) for s in (0, 3))
    choose(loaded, fixed, moving, "vtkMRMLVectorVolumeNode")
    said = press()
    if loaded.widget.ui.fixedSelector.currentNode() is None:
        assert "Choose a fixed and a moving volume" in said
    else:
        assert said.startswith("Axial slice 0")


def test_a_moving_volume_under_a_nonlinear_transform(loaded: host.Loaded, ui: Any, press: Any) -> None:
    moving = slicer.util.getNode("HeadMoving")
    bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    corners = vtk.vtkPoints(), vtk.vtkPoints()
    for x, y, z in np.array(np.meshgrid([-80, 80], [-80, 80], [-40, 40])).reshape(3, -1).T:
        corners[0].InsertNextPoint(x, y, z)
        corners[1].InsertNextPoint(x + 2.0, y - 0.02 * x, z)
    spline.SetSourceLandmarks(corners[0])
    spline.SetTargetLandmarks(corners[1])
    bent.SetAndObserveTransformToParent(spline)
    moving.SetAndObserveTransformNodeID(bent.GetID())
    said = press()
    shown = moving.GetParentTransformNode()
    assert said.startswith("Axial slice 7") if shown is not bent else said.endswith(".")
    assert bent.GetTransformToParent() is not None


def test_a_fixed_volume_under_a_nonlinear_transform(loaded: host.Loaded, ui: Any, press: Any) -> None:
    bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "bent")
    slicer.util.getNode("HeadFixed").SetAndObserveTransformNodeID(bent.GetID())
    said = press()
    assert "HeadFixed" in said or said.startswith("Axial slice 7")
    assert slicer.util.getNode("HeadFixed").GetParentTransformNode() is bent


def test_a_model_file_that_vanished(loaded: host.Loaded, ui: Any, press: Any, tmp_path: Path) -> None:
    source = Path(loaded.module.__file__).parent / "Resources" / "Models" / "any-contrast.pt"
    file = tmp_path / "mine.pt"
    save_model(load_model(source), file)
    loaded.widget.parameters.model = str(file)
    file.unlink()
    before = slicer.mrmlScene.GetNumberOfNodes()
    assert "mine.pt" in press()
    assert slicer.mrmlScene.GetNumberOfNodes() == before
