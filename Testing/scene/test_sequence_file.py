"""The transforms of a sequence are still those of its frames after the scene was saved and opened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
from UnsupervisedRegistrationLib.scene.registration import sequence as sequences


def places(sequence) -> list[np.ndarray]:
    """Where the transform of each frame maps a point, RAS mm."""
    nodes = [sequence.GetNthDataNode(index) for index in range(sequence.GetNumberOfDataNodes())]
    return [np.array(node.GetTransformFromParent().TransformPoint(4.0, 6.0, 0.0)) for node in nodes]


@pytest.fixture
def transformSequence(scene, makeVolume, handmade):
    """Three frames with a displacement of its own each, as a registration fills them."""
    frames = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    for index in range(3):
        frames.SetDataNodeAtValue(makeVolume(np.diag([1.0, 1, 5, 1]), shape=(1, 32, 40), seed=index), str(index))
    plane = planeFromIndex(frames.GetNthDataNode(0))
    made = handmade(plane.shape)
    displacement = torch.cat([made.displacement, 0.5 * made.displacement])
    transforms = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "transforms")
    sequences._fillSequence(transforms, frames, plane, replace(made, displacement=displacement))
    return transforms


def test_the_transforms_of_a_sequence_survive_a_saved_scene(scene, transformSequence, reopened):
    before = places(transformSequence)
    restored = reopened(scene).GetFirstNodeByName("transforms")
    assert restored.GetNumberOfDataNodes() == 3
    np.testing.assert_allclose(places(restored), before, atol=1e-4)
    assert np.linalg.norm(before[1] - before[0]) > 0.1
