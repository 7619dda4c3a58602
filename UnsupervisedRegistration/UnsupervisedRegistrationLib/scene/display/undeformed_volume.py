"""The moving image as it was taken: a second node on the same voxels, without the deformation.

Slicer draws a volume under a transform warped in every view. The second node shares the voxels of the moving volume and
has its initial transform as parent, so one view can show it while the others show the warped image.
"""

from __future__ import annotations

import slicer
import slicer.util
import vtk

from ..geometry.result_transform import initialTransformOf
from . import view_state

_SECOND_NODE_PURPOSE = "undeformed moving image"


def undeformedVolume(movingVolume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLVolumeNode:
    """The hidden second node of a moving volume, created or updated; ``restoreViews`` removes it.

    Raises:
        ValueError: The initial transform of the moving volume was deleted.
    """
    initial, matrix = initialTransformOf(movingVolume), vtk.vtkMatrix4x4()
    node, isNew = view_state.ownedNode(movingVolume.GetScene(), movingVolume.GetClassName(), _SECOND_NODE_PURPOSE)
    movingVolume.GetIJKToRASMatrix(matrix)
    with slicer.util.NodeModify(node):
        node.SetName(f"{movingVolume.GetName()} undeformed")
        node.SetSaveWithScene(False)
        node.SetIJKToRASMatrix(matrix)
        node.SetAndObserveImageData(movingVolume.GetImageData())
        node.SetAndObserveTransformNodeID(None if initial is None else initial.GetID())
    if isNew:
        node.CreateDefaultDisplayNodes()
    source, display = movingVolume.GetDisplayNode(), node.GetDisplayNode()
    if source is not None and display is not None:
        display.CopyContent(source, True)
        display.SetAndObserveColorNodeID(source.GetColorNodeID())
        display.SetSaveWithScene(False)
    return node
