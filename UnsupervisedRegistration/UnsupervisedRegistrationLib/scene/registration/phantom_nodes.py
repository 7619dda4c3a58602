"""The phantoms as nodes of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from ...core.images.phantom import Kind as Kind
from ...core.images.phantom import draw_phantom
from ..geometry.volumes import addVolume
from ..landmarks.markups import addLandmarks

SYNTHETIC_ATTRIBUTE = "UnsupervisedRegistration.Synthetic"
"""Of volumes that show no person, so that no model of an organ is chosen for them."""

_WINDOW_LEVEL = {"head": (900.0, 450.0), "abdomen": (400.0, 40.0)}


@dataclass(frozen=True)
class PhantomNodes:
    """A pair of volumes with their landmarks."""

    fixedVolume: slicer.vtkMRMLScalarVolumeNode
    movingVolume: slicer.vtkMRMLScalarVolumeNode
    fixedLandmarks: slicer.vtkMRMLMarkupsFiducialNode
    movingLandmarks: slicer.vtkMRMLMarkupsFiducialNode


def addPhantom(scene: slicer.vtkMRMLScene, kind: Kind) -> PhantomNodes:
    """Draws a phantom and adds its volumes and landmarks; the landmarks lie in the middle axial slice."""
    phantom = draw_phantom(kind)
    name = kind.capitalize()
    fixed = addVolume(scene, f"{name}Fixed", phantom.fixed, phantom.ijk_to_ras)
    moving = addVolume(scene, f"{name}Moving", phantom.moving, phantom.ijk_to_ras)
    for volume in (fixed, moving):
        volume.SetDescription("Phantom, no image of a person")
        volume.SetAttribute(SYNTHETIC_ATTRIBUTE, "1")
        volume.CreateDefaultDisplayNodes()
        volume.GetDisplayNode().SetAutoWindowLevel(False)
        volume.GetDisplayNode().SetWindowLevel(*_WINDOW_LEVEL[kind])
    fixedLandmarks = addLandmarks(scene, f"{name}FixedLandmarks", phantom.fixed_landmarks)
    movingLandmarks = addLandmarks(scene, f"{name}MovingLandmarks", phantom.moving_landmarks)
    return PhantomNodes(fixed, moving, fixedLandmarks, movingLandmarks)


def isSynthetic(*volumes: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether any of the volumes is marked as showing no person."""
    return any(volume.GetAttribute(SYNTHETIC_ATTRIBUTE) == "1" for volume in volumes)
