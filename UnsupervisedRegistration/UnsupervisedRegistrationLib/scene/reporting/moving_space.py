"""From the world of the fixed image to the moving image, through any transform node, and the checks of that node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk

from ..geometry.planes import matrixToArray
from ..geometry.result_transform import INITIAL_ROLE, fixedRole, initialTransformOf, isResultTransform, movingRole
from ..geometry.transforms import inSeries, steps, transformToWorld, worldToLocal

_SINGULAR_RATIO = 1e-6  # Determinant over the product of the column lengths.


@dataclass(frozen=True)
class MovingSpace:
    """Where a transform finds the moving image.

    Attributes:
        transformNode: From fixed to moving positions, as the parent transform of the moving volume.
        movingVolume: Moving volume.
        fromWorld: From the world to the RAS space of the moving volume.
        initial: Transform of the moving volume before the registration; ``None`` without any.
    """

    transformNode: slicer.vtkMRMLTransformNode
    movingVolume: slicer.vtkMRMLVolumeNode
    fromWorld: vtk.vtkAbstractTransform
    initial: slicer.vtkMRMLTransformNode | None

    @property
    def before(self) -> vtk.vtkAbstractTransform:
        """From the world to the RAS space of the moving volume before the registration."""
        return worldToLocal(self.initial)

    @property
    def forward(self) -> vtk.vtkAbstractTransform:
        """The deformation: from the world to the place before the registration in the world."""
        return inSeries(self.fromWorld, transformToWorld(self.initial))

    @property
    def reverse(self) -> vtk.vtkAbstractTransform:
        """From the world to the RAS space of the moving volume by the inverse of the deformation."""
        return inSeries(self.before, self.fromWorld.GetInverse(), self.before)

    def toNode(self, node: slicer.vtkMRMLTransformableNode) -> vtk.vtkAbstractTransform:
        """From the RAS space of the moving volume to that of a segmentation or point list that belongs to it.

        If the node is under the same transform as the moving volume, both spaces are the same.
        """
        parent = node.GetParentTransformNode()
        together = parent is not None and (
            parent is self.movingVolume.GetParentTransformNode()
            or isResultTransform(parent)
            or self.transformNode in _upwards(parent)
        )
        if together:
            return vtk.vtkTransform()
        return inSeries(transformToWorld(self.initial), worldToLocal(parent))


def movingSpace(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    transformNode: slicer.vtkMRMLTransformNode,
) -> MovingSpace:
    """Check that a transform registers the moving volume to the fixed one.

    Raises:
        ValueError: The transform belongs to other volumes or to the opposite direction, moves the fixed volume too,
            or is singular; or the volumes are under transforms that do not fit it.
    """
    _checkRoles(fixedVolume, movingVolume, transformNode)
    name, fixedParent = transformNode.GetName(), fixedVolume.GetParentTransformNode()
    if transformNode in _upwards(fixedParent) and fixedVolume is not movingVolume:
        raise ValueError(
            f"The transform '{name}' moves the fixed volume '{fixedVolume.GetName()}' too; put only the moving volume"
            " under it."
        )
    if fixedParent is not None and not fixedParent.IsTransformToWorldLinear():
        raise ValueError(
            f"The fixed volume '{fixedVolume.GetName()}' is under the non-linear transform '{fixedParent.GetName()}';"
            " harden it first."
        )
    parent = movingVolume.GetParentTransformNode()
    above = transformNode in _upwards(parent)
    fromWorld = worldToLocal(parent if above else transformNode)
    for node in _upwards(transformNode):
        _checkRegular(node)
    return MovingSpace(transformNode, movingVolume, fromWorld, _initialOf(movingVolume, transformNode, above))


def _initialOf(
    movingVolume: slicer.vtkMRMLVolumeNode, transformNode: slicer.vtkMRMLTransformNode, above: bool
) -> slicer.vtkMRMLTransformNode | None:
    parent = movingVolume.GetParentTransformNode()
    if isResultTransform(transformNode):
        return transformNode.GetNodeReference(INITIAL_ROLE)
    if above or parent is None:
        return None
    if isResultTransform(parent):
        return initialTransformOf(movingVolume)
    raise ValueError(
        f"The moving volume '{movingVolume.GetName()}' is under '{parent.GetName()}', and"
        f" '{transformNode.GetName()}' is not above it; put the volume under the transform that the report is about."
    )


def _checkRoles(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    transformNode: slicer.vtkMRMLTransformNode,
) -> None:
    """Compare the volumes with those that the registration noted at the transform node, if it did."""
    name = transformNode.GetName()
    noted = [transformNode.GetNodeReference(role) for role in (fixedRole(), movingRole())]
    if noted == [movingVolume, fixedVolume] and fixedVolume is not movingVolume:
        raise ValueError(
            f"The transform '{name}' registers '{fixedVolume.GetName()}' to '{movingVolume.GetName()}', which is the"
            " opposite direction; exchange fixed and moving volume."
        )
    for what, volume, other in zip(("fixed", "moving"), (fixedVolume, movingVolume), noted, strict=True):
        if other is not None and other is not volume:
            raise ValueError(
                f"The {what} volume of the transform '{name}' is '{other.GetName()}', not '{volume.GetName()}'; choose"
                " the volumes or the transform that belong together."
            )


def _checkRegular(node: slicer.vtkMRMLTransformNode) -> None:
    """Refuse a singular linear part; VTK takes the identity in place of its inverse."""
    for step in steps(node.GetTransformFromParent() or vtk.vtkTransform()):
        if isinstance(step, vtk.vtkLinearTransform):
            matrix = matrixToArray(step.GetMatrix())
            lengths = np.linalg.norm(matrix[:3, :3], axis=0).prod()
            if not np.isfinite(matrix).all() or not abs(np.linalg.det(matrix[:3, :3])) > _SINGULAR_RATIO * lengths:
                raise ValueError(
                    f"The transform '{node.GetName()}' is singular: it maps the image to a plane, a line or a point."
                    " Choose another transform."
                )


def _upwards(node: slicer.vtkMRMLTransformNode | None) -> list[slicer.vtkMRMLTransformNode]:
    """A transform node and all above it."""
    found = []
    while node is not None:
        found.append(node)
        node = node.GetParentTransformNode()
    return found
