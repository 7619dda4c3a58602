"""The side-by-side layout: fixed and warped image in two linked slice views."""

from __future__ import annotations

import slicer
import slicer.util

from ..geometry.planes import SlicePlane
from ..scene_nodes import nodesByClass
from . import view_state
from .overlays import Overlay
from .slice_views import FIXED_VIEW, WARPED_VIEW, fitView, showPlaneInView
from .undeformed_volume import undeformedVolume

SIDE_BY_SIDE_LAYOUT_ID = 3173
"""Number of the layout; Slicer's own layouts have numbers below 1000."""
_VIEW_GROUP = 17  # Slicer links views within a group; its own views are in group 0.


def _item(name: str, label: str, colour: str) -> str:
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{colour}</property>'
        f'<property name="viewgroup" action="default">{_VIEW_GROUP}</property>'
        "</view></item>"
    )


SIDE_BY_SIDE_LAYOUT = (
    '<layout type="horizontal" split="true">'
    f"{_item(FIXED_VIEW, 'F', '#F34A33')}{_item(WARPED_VIEW, 'W', '#4A90D9')}"
    "</layout>"
)


def addSideBySideLayout(layoutNode: slicer.vtkMRMLLayoutNode) -> int:
    """Register the layout if it is not registered yet; returns its number."""
    if not layoutNode.IsLayoutDescription(SIDE_BY_SIDE_LAYOUT_ID):
        layoutNode.AddLayoutDescription(SIDE_BY_SIDE_LAYOUT_ID, SIDE_BY_SIDE_LAYOUT)
    return SIDE_BY_SIDE_LAYOUT_ID


def fixedView(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLSliceNode | None:
    """The left view; ``None`` before the layout was first shown."""
    return scene.GetSingletonNode(FIXED_VIEW, "vtkMRMLSliceNode")


def showSideBySide(overlay: Overlay, plane: SlicePlane, isUndeformed: bool = False) -> None:
    """Switch to the layout, with the fixed image on the left and the moving image on the right.

    Args:
        overlay: The two volumes.
        plane: Slice to show.
        isUndeformed: Whether the moving image is shown as it was taken; otherwise it is shown warped.

    Raises:
        ValueError: The scene has no layout node, as outside the application.
    """
    scene = overlay.fixedVolume.GetScene()
    layoutNode = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layoutNode is None:
        raise ValueError("The scene has no layout; side by side needs Slicer's slice views.")
    view_state.remember([layoutNode])
    layoutNode.SetViewArrangement(addSideBySideLayout(layoutNode))
    moving = undeformedVolume(overlay.movingVolume) if isUndeformed else overlay.movingVolume
    volumes = {FIXED_VIEW: overlay.fixedVolume, WARPED_VIEW: moving}
    for layers in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        volume = volumes.get(layers.GetLayoutName())
        if volume is not None:
            view_state.remember([layers])
            with slicer.util.NodeModify(layers):
                layers.SetBackgroundVolumeID(volume.GetID())
                layers.SetForegroundVolumeID(None)
                layers.SetLinkedControl(True)
    fitSideBySide(scene, plane)


def fitSideBySide(scene: slicer.vtkMRMLScene, plane: SlicePlane) -> None:
    """Fit the plane into both views."""
    for view in nodesByClass(scene, "vtkMRMLSliceNode"):
        if view.GetLayoutName() in (FIXED_VIEW, WARPED_VIEW):
            showPlaneInView(view, plane)
            fitView(view, plane)


def isSideBySide(scene: slicer.vtkMRMLScene) -> bool:
    """Whether the side-by-side layout is shown."""
    layoutNode = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    return layoutNode is not None and layoutNode.GetViewArrangement() == SIDE_BY_SIDE_LAYOUT_ID
