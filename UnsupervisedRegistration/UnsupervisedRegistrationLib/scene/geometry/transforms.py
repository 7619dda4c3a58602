"""The outcome as a transform node."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .planes import SlicePlane
from .volumes import worldToLocal

UNWARPED_ROLE = "unsupervisedRegistrationUnwarped"
"""From a volume that is drawn as it lay to the outcome that it was taken from."""
INITIAL_ROLE = "unsupervisedRegistrationInitial"
"""Reference from the outcome to the transform that placed the moving volume before."""
_OUTCOME = "UnsupervisedRegistration.Outcome"
RESULT = "UnsupervisedRegistration.Result"
"""Attribute of a transform node that the history keeps; see ``history``."""
_GENTLE, _WIDEST = 1.5, 64  # Pixels of the ring for a pixel of displacement, and at most.
_PLACED = "placed"  # Value of the attribute where the moving volume had an initial transform.


def gridTransform(
    plane: SlicePlane, displacement: np.ndarray, confined: bool = True
) -> slicer.vtkOrientedGridTransform:
    """A displacement as what Slicer stores and draws.

    In the plane the displacement falls to zero in a ring around it, so that VTK, which repeats the border, and ITK,
    which takes zero, agree outside; the ring is wide enough that nothing folds in it. The interpolation is cubic from
    the start, because that is what a reader of the saved file sets.

    Args:
        plane: Grid of the displacement.
        displacement: ``(rows, columns, 3)``, RAS mm, from fixed to moving; or ``(slices, rows, columns, 3)``, of the
            plane and those that follow along its normal.
        confined: Zero at the neighbouring slices, so that these alone are warped; otherwise the last ones repeat.
    """
    slices = displacement.reshape(-1, *plane.shape, 3)
    spacing = np.linalg.norm(plane.ijkToRas[:3, :3], axis=0)
    ring = _ringAround(slices, float(spacing[:2].min()))
    grid = _surrounded(slices, ring, confined)
    image = vtk.vtkImageData()
    image.SetDimensions(grid.shape[2::-1])
    image.SetOrigin((plane.ijkToRas @ [-ring, -ring, -1, 1])[:3])
    image.SetSpacing(spacing)
    vectors = numpy_to_vtk(grid.reshape(-1, 3), deep=True)
    vectors.SetName("Displacement")
    image.GetPointData().SetScalars(vectors)
    direction = np.eye(4)
    direction[:3, :3] = plane.ijkToRas[:3, :3] / spacing
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetGridDirectionMatrix(slicer.util.vtkMatrixFromArray(direction))
    transform.SetInterpolationModeToCubic()
    return transform


def _ringAround(slices: np.ndarray, spacing: float) -> int:
    """Pixels in which the displacement on the border ``(count, rows, columns, 3)`` can fall to zero without a fold."""
    border = (slices[:, 0], slices[:, -1], slices[:, :, 0], slices[:, :, -1])
    longest = max(float(np.linalg.norm(vectors, axis=-1).max()) for vectors in border)
    return int(np.clip(np.ceil(_GENTLE * longest / spacing), 1, _WIDEST))


def _surrounded(slices: np.ndarray, ring: int, confined: bool) -> np.ndarray:
    """Displacements ``(count, rows, columns, 3)`` with a ring in which they fall to zero, and a slice before and after.

    ``numpy.pad`` does the same in thrice the time, which counts while the user scrolls.
    """
    count, rows, columns, _ = slices.shape
    grid = np.zeros((count + 2, rows + 2 * ring, columns + 2 * ring, 3), np.float32)
    inner = grid[1:-1]
    inner[:, ring:-ring, ring:-ring] = slices
    rising = np.arange(ring, dtype=np.float32)[:, None] / ring
    inner[:, :ring, ring:-ring] = rising[:, None] * inner[:, ring, None, ring:-ring]
    inner[:, -ring:, ring:-ring] = rising[::-1, None] * inner[:, -ring - 1, None, ring:-ring]
    inner[:, :, :ring] = rising * inner[:, :, ring, None]
    inner[:, :, -ring:] = rising[::-1] * inner[:, :, -ring - 1, None]
    if not confined:
        grid[0], grid[-1] = grid[1], grid[-2]
    return grid


def initialTransformOf(movingVolume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLTransformNode | None:
    """What places a moving volume: its parent, or, under an earlier outcome of ours, what was its parent before.

    Raises:
        ValueError: That transform was deleted.
    """
    parent = movingVolume.GetParentTransformNode()
    if parent is None or not isOutcome(parent):
        return parent
    initial = parent.GetNodeReference(INITIAL_ROLE)
    if initial is None and parent.GetAttribute(_OUTCOME) == _PLACED:
        raise ValueError(
            f"The transform that placed '{movingVolume.GetName()}' before '{parent.GetName()}' was deleted;"
            " put the volume under the transform that should place it, or under none."
        )
    return initial


def isOutcomeOf(transformNode: slicer.vtkMRMLTransformNode, movingVolume: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether a node holds an outcome for that moving volume, or none yet."""
    return not isOutcome(transformNode) or transformNode.GetNodeReferenceID(movingRole()) == movingVolume.GetID()


def isOutcome(transformNode: slicer.vtkMRMLTransformNode) -> bool:
    """Whether a node was filled by ``setOutcome``."""
    return transformNode.GetAttribute(_OUTCOME) is not None


def checkOutput(
    transformNode: slicer.vtkMRMLTransformNode,
    fixedParent: slicer.vtkMRMLTransformNode | None,
    initial: slicer.vtkMRMLTransformNode | None,
) -> None:
    """Refuses an output node that cannot hold a displacement, or would move what it should not.

    Raises:
        ValueError: It would move the fixed volume, its own input or other nodes, or holds a kept result.
    """
    checkMoves(transformNode, fixedParent, initial)
    if transformNode.GetAttribute(RESULT) is not None:
        raise ValueError(f"The output '{transformNode.GetName()}' is kept in the history; choose a new one.")
    others = [] if isOutcome(transformNode) else _nodesUnder(transformNode)
    if others:
        raise ValueError(f"The output '{transformNode.GetName()}' already moves '{others[0]}'; choose a new one.")
    if transformNode.IsA("vtkMRMLLinearTransformNode"):
        raise ValueError(f"'{transformNode.GetName()}' holds linear transforms only; choose a new output transform.")
    if transformNode.GetParentTransformNode() is not None:
        raise ValueError(f"The output '{transformNode.GetName()}' lies under another transform; choose a new one.")


def checkMoves(
    transformNode: slicer.vtkMRMLTransformNode,
    fixedParent: slicer.vtkMRMLTransformNode | None,
    initial: slicer.vtkMRMLTransformNode | None,
) -> None:
    """Refuses a transform that lies above the fixed volume, or above its own initial transform.

    Raises:
        ValueError: It does.
    """
    for what, first in (("fixed volume", fixedParent), ("initial transform", initial)):
        node = first
        while node is not None:
            if node is transformNode:
                raise ValueError(f"The output '{transformNode.GetName()}' already moves the {what}; choose a new one.")
            node = node.GetParentTransformNode()


def followedBy(
    grid: slicer.vtkOrientedGridTransform,
    initial: slicer.vtkMRMLTransformNode | None,
    placement: np.ndarray | None = None,
) -> vtk.vtkAbstractTransform:
    """A displacement, then a linear placement, then the initial transform as it is now."""
    if initial is None and placement is None:
        return grid
    outcome = vtk.vtkGeneralTransform()
    outcome.PostMultiply()
    outcome.Concatenate(grid)
    if placement is not None:
        outcome.Concatenate(slicer.util.vtkMatrixFromArray(placement))
    if initial is not None:
        outcome.Concatenate(_copied(worldToLocal(initial)))
    return outcome


def placed(placement: np.ndarray | None, fromWorld: vtk.vtkAbstractTransform) -> vtk.vtkAbstractTransform:
    """A linear placement, then the way from the world into the space of a volume."""
    if placement is None:
        return fromWorld
    chain = vtk.vtkTransform() if isinstance(fromWorld, vtk.vtkTransform) else vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(slicer.util.vtkMatrixFromArray(placement))
    chain.Concatenate(fromWorld)
    return chain


def applied(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """``(N, 3)`` points through a ``(4, 4)`` matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def setOutcome(
    transformNode: slicer.vtkMRMLTransformNode,
    outcome: vtk.vtkAbstractTransform,
    initial: slicer.vtkMRMLTransformNode | None,
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
) -> None:
    """Puts an outcome made by ``followedBy`` into a node and the moving volume under it."""
    with slicer.util.NodeModify(transformNode):
        transformNode.SetAndObserveTransformFromParent(outcome)
        transformNode.SetAttribute(_OUTCOME, "alone" if initial is None else _PLACED)
        transformNode.SetNodeReferenceID(fixedRole(), fixedVolume.GetID())
        transformNode.SetNodeReferenceID(movingRole(), movingVolume.GetID())
        transformNode.SetNodeReferenceID(INITIAL_ROLE, initial.GetID() if initial is not None else None)
    putUnder(movingVolume, transformNode)


def putUnder(movingVolume: slicer.vtkMRMLVolumeNode, transformNode: slicer.vtkMRMLTransformNode | None) -> None:
    """Puts a volume under a transform or none, and no longer takes it for one that is drawn unwarped."""
    movingVolume.SetNodeReferenceID(UNWARPED_ROLE, None)
    movingVolume.SetAndObserveTransformNodeID(None if transformNode is None else transformNode.GetID())


def copyOutcome(source: slicer.vtkMRMLTransformNode, target: slicer.vtkMRMLTransformNode) -> None:
    """Makes a node hold the same outcome as another; moves no volume."""
    with slicer.util.NodeModify(target):
        target.SetAndObserveTransformFromParent(_copied(source.GetTransformFromParent()))
        target.SetAttribute(_OUTCOME, source.GetAttribute(_OUTCOME))
        for role in (fixedRole(), movingRole(), INITIAL_ROLE):
            target.SetNodeReferenceID(role, source.GetNodeReferenceID(role))


def movedPoints(transformNode: slicer.vtkMRMLTransformNode, points: np.ndarray) -> np.ndarray:
    """Where an outcome takes ``(N, 3)`` points of the fixed image, RAS mm of the world to that of the moving data."""
    fromWorld = worldToLocal(transformNode)
    ends = vtk.vtkPoints()
    starts = vtk.vtkPoints()
    starts.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64), deep=True))
    fromWorld.TransformPoints(starts, ends)
    return vtk_to_numpy(ends.GetData()).astype(np.float64)


def fixedRole() -> str:
    """Slicer's reference role for the fixed node of a registration."""
    return slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole()


def movingRole() -> str:
    """Slicer's reference role for the moving node of a registration."""
    return slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole()


def _nodesUnder(transformNode: slicer.vtkMRMLTransformNode) -> list[str]:
    """Names of the nodes that a transform moves."""
    nodes = slicer.util.getNodesByClass("vtkMRMLTransformableNode", transformNode.GetScene())
    return [node.GetName() for node in nodes if node.GetParentTransformNode() is transformNode]


def _copied(transform: vtk.vtkAbstractTransform) -> vtk.vtkAbstractTransform:
    """A copy that does not follow later changes of the original node."""
    copy = transform.MakeTransform()
    slicer.vtkMRMLTransformNode.DeepCopyTransform(copy, transform)
    return copy
