"""Fixed and moving image side by side, in two slice views that scroll and zoom together."""

from __future__ import annotations

import slicer
import slicer.util

from ..geometry.planes import SlicePlane
from . import view_state
from .overlays import Overlay
from .slice_views import FIXED_VIEW, WARPED_VIEW, fitView, lookAt

SIDE_BY_SIDE_LAYOUT_ID = 3173
"""Number of the layout; Slicer's own end below 1000."""
_GROUP = 17  # Views are linked within a group; the other views of Slicer are in group 0.


def _item(name: str, label: str, colour: str) -> str:
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{colour}</property>'
        f'<property name="viewgroup" action="default">{_GROUP}</property>'
        "</view></item>"
    )


SIDE_BY_SIDE_LAYOUT = (
    '<layout type="horizontal" split="true">'
    f"{_item(FIXED_VIEW, 'F', '#F34A33')}{_item(WARPED_VIEW, 'W', '#4A90D9')}"
    "</layout>"
)


def addSideBySideLayout(layoutNode: slicer.vtkMRMLLayoutNode) -> int:
    """Makes the layout known, once, and gives its number."""
    if not layoutNode.IsLayoutDescription(SIDE_BY_SIDE_LAYOUT_ID):
        layoutNode.AddLayoutDescription(SIDE_BY_SIDE_LAYOUT_ID, SIDE_BY_SIDE_LAYOUT)
    return SIDE_BY_SIDE_LAYOUT_ID


def fixedView(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLSliceNode | None:
    """The view on the left, once the layout has been shown."""
    return scene.GetSingletonNode(FIXED_VIEW, "vtkMRMLSliceNode")


def showSideBySide(overlay: Overlay, plane: SlicePlane) -> None:
    """Switches to the layout, with the fixed image on the left and the moving one, warped, on the right.

    Raises:
        ValueError: The scene has no layout, as without the application.
    """
    scene = overlay.fixedVolume.GetScene()
    layoutNode = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layoutNode is None:
        raise ValueError("The scene has no layout; side by side needs Slicer's slice views.")
    view_state.remember([layoutNode])
    layoutNode.SetViewArrangement(addSideBySideLayout(layoutNode))
    volumes = {FIXED_VIEW: overlay.fixedVolume, WARPED_VIEW: overlay.movingVolume}
    for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene):
        volume = volumes.get(layers.GetLayoutName())
        if volume is not None:
            view_state.remember([layers])
            with slicer.util.NodeModify(layers):
                layers.SetBackgroundVolumeID(volume.GetID())
                layers.SetForegroundVolumeID(None)
                layers.SetLinkedControl(True)
    fitSideBySide(scene, plane)


def fitSideBySide(scene: slicer.vtkMRMLScene, plane: SlicePlane) -> None:
    """Shows the whole plane in both views."""
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene):
        if view.GetLayoutName() in (FIXED_VIEW, WARPED_VIEW):
            lookAt(view, plane)
            fitView(view, plane)


def isSideBySide(scene: slicer.vtkMRMLScene) -> bool:
    """Whether the layout is the one with both views."""
    layoutNode = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    return layoutNode is not None and layoutNode.GetViewArrangement() == SIDE_BY_SIDE_LAYOUT_ID
