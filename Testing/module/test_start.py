"""What a registration starts from: the initial transform, the alignment in the plane, and the masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

import host


def moving() -> Any:
    return slicer.util.getNode("HeadMoving")


def place(ui: Any, shift: float) -> Any:
    """Puts the moving volume under a transform that shifts it to the patient's right, as the initial one."""
    initial = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "initial")
    matrix = np.eye(4)
    matrix[0, 3] = shift
    initial.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    ui.initialSelector.setCurrentNode(initial)
    return initial


def test_the_alignment_in_the_plane_says_what_it_did_and_takes_a_large_shift_away(loaded: host.Loaded, ui: Any) -> None:
    place(ui, 40.0)
    ui.prealignmentSelector.setCurrentText("rigid")
    ui.applyButton.click()
    assert "pre-alignment shifted the moving image by" in ui.statusLabel.text
    pair = loaded.widget.result.pair
    shift = (pair.prealignmentMatrix @ [*pair.plane.centre, 1])[:3] - pair.plane.centre
    np.testing.assert_allclose(shift, [40, 0, 0], atol=4)  # The phantom itself differs by some mm.
    assert loaded.widget.result.registration.similarity_after > 0.4


def test_by_default_images_that_lie_near_are_left_and_others_aligned(loaded: host.Loaded, ui: Any) -> None:
    assert ui.prealignmentSelector.currentText == "auto"
    ui.applyButton.click()
    assert "pre-alignment left the images unchanged: they are near enough" in ui.statusLabel.text
    assert loaded.widget.result.pair.prealignmentMatrix is None
    place(ui, 40.0)
    ui.applyButton.click()
    assert "pre-alignment shifted the moving image" in ui.statusLabel.text


def test_without_it_nothing_is_said_of_it(ui: Any) -> None:
    ui.prealignmentSelector.setCurrentText("none")
    ui.applyButton.click()
    assert "pre-alignment" not in ui.statusLabel.text


def test_the_initial_transform_stays_what_it_was(ui: Any) -> None:
    initial = place(ui, 10.0)
    ui.applyButton.click()
    matrix = slicer.util.arrayFromTransformMatrix(initial)
    assert matrix[0, 3] == 10
    ui.undoButton.click()
    assert moving().GetParentTransformNode() is initial


def test_a_mask_on_the_moving_image_moves_with_it(loaded: host.Loaded, ui: Any, drawMask: Callable[..., Any]) -> None:
    ui.prealignmentSelector.setCurrentText("none")
    mask = drawMask(slice(None), slice(60, 140), slice(50, 120), "moving mask")
    ui.movingMaskSelector.setCurrentNode(mask)
    ui.applyButton.click()
    seen = loaded.widget.result.pair.movingMask
    assert seen.sum() == 80 * 70
    initial = place(ui, 20.0)
    mask.SetAndObserveTransformNodeID(initial.GetID())
    ui.applyButton.click()
    shifted = loaded.widget.result.pair.movingMask
    assert shifted.sum() == 80 * 70
    ways = [loaded.widget.result.pair.plane.pixelPositions()[mask].mean(axis=0) for mask in (seen, shifted)]
    np.testing.assert_allclose(ways[1] - ways[0], [20, 0, 0], atol=0.01)


def test_outside_the_mask_nothing_moves(loaded: host.Loaded, ui: Any, drawMask: Callable[..., Any]) -> None:
    ui.maskSelector.setCurrentNode(drawMask(slice(None), slice(90, 110), slice(80, 96)))
    ui.applyButton.click()
    displacement = loaded.widget.result.registration.displacement[0].abs().amax(dim=0)
    assert displacement[90:110, 80:96].max() > 0.3
    assert displacement[:40].max() < 1e-3


def test_an_empty_mask_is_a_sentence_and_the_scene_stays(ui: Any, drawMask: Callable[..., Any]) -> None:
    for selector in (ui.maskSelector, ui.movingMaskSelector):
        selector.setCurrentNode(drawMask(slice(0, 0), slice(0, 0), slice(0, 0), "nothing"))
        ui.applyButton.click()
        assert "The mask 'nothing' has no pixel" in ui.statusLabel.text
        assert moving().GetParentTransformNode() is None
        selector.setCurrentNode(None)


@pytest.mark.parametrize(("button", "name"), [("maskButton", "HeadFixed"), ("movingMaskButton", "HeadMoving")])
def test_a_mask_is_found_where_the_volume_shows_the_patient(
    loaded: host.Loaded, ui: Any, button: str, name: str
) -> None:
    getattr(ui, button).click()
    parameters, volume = loaded.widget.parameters, slicer.util.getNode(name)
    mask = parameters.mask if button == "maskButton" else parameters.movingMask
    assert f"'{mask.GetName()}' is the mask now" in ui.statusLabel.text
    inside, voxels = slicer.util.arrayFromVolume(mask) > 0, slicer.util.arrayFromVolume(volume)
    assert 0.1 < inside.mean() < 0.9
    assert voxels[inside].mean() > 3 * voxels[~inside].mean()
    ui.applyButton.click()
    assert loaded.widget.result.registration.similarity_after > 0.4


def test_without_a_volume_there_is_no_mask_to_find(ui: Any) -> None:
    ui.fixedSelector.setCurrentNode(None)
    ui.maskButton.click()
    assert "Choose the fixed volume first" in ui.statusLabel.text
