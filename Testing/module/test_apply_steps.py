"""Apply in three steps gives what Apply at once gives, and Cancel leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
import slicer
import torch

import host
from UnsupervisedRegistrationLib.scene.history.result_history import storedResults
from UnsupervisedRegistrationLib.scene.registration.phantom_nodes import addPhantom


@pytest.fixture
def logic(loaded: host.Loaded) -> Any:
    """The logic, with the head phantom chosen."""
    logic = loaded.widget.logic
    parameters = logic.getParameterNode()
    nodes = addPhantom(slicer.mrmlScene, "head")
    parameters.fixedVolume, parameters.movingVolume = nodes.fixedVolume, nodes.movingVolume
    parameters.fixedLandmarks, parameters.movingLandmarks = nodes.fixedLandmarks, nodes.movingLandmarks
    parameters.sliceSource, parameters.sliceIndex, parameters.preset = "Axial, by index", 7, "fast"
    parameters.model = "any-contrast"
    return logic


def stepsOf(logic: Any) -> Any:
    from UnsupervisedRegistrationLib.interaction.apply_steps import ApplySteps  # Needs the stand-in for Slicer.

    return ApplySteps(logic, logic.getParameterNode())


def test_in_steps_the_field_is_that_of_apply_bit_by_bit(logic: Any) -> None:
    parameters = logic.getParameterNode()
    atOnce = logic.apply(parameters).result.registration.displacement
    parameters.transform = parameters.warpedVolume = None
    steps = stepsOf(logic)
    request = steps.sample()
    applied = steps.show(request, steps.compute(request, lambda stage, share: None))
    assert torch.equal(applied.result.registration.displacement, atOnce)
    assert parameters.movingVolume.GetParentTransformNode() is parameters.transform
    assert "landmarks" in applied.sentence
    assert len(storedResults(slicer.mrmlScene)) == 2


def test_cancelled_the_moving_volume_is_where_it_was(logic: Any) -> None:
    parameters, initial = logic.getParameterNode(), slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    parameters.initialTransform = initial
    steps = stepsOf(logic)
    request = steps.sample()
    assert parameters.movingVolume.GetParentTransformNode() is initial
    steps.cancel(request)
    assert parameters.movingVolume.GetParentTransformNode() is None


def test_without_a_moving_volume_a_sentence_says_so(logic: Any) -> None:
    logic.getParameterNode().movingVolume = None
    with pytest.raises(ValueError, match="Choose a fixed and a moving volume"):
        stepsOf(logic).sample()
