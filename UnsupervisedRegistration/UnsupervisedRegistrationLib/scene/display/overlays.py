"""Overlays of two images in Slicer's slice views.

``enterOverlay`` stores the state of the views, then any mode may follow any other, and ``restoreViews`` restores the
state. Blend, flicker and red/cyan use Slicer's layers. Checkerboard, swipe, difference, edges and maps are computed
into one hidden volume, which is updated in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util

from ..geometry.planes import SlicePlane
from ..geometry.result_transform import UNWARPED_ROLE, initialTransformOf, setParentTransform
from ..geometry.sampling import sampleVolume
from ..scene_nodes import nodesByClass
from . import color_tables, view_state
from .overlay_volume import ColorScale, displayIntensities, edgeMask, fillOverlayVolume
from .slice_views import FIXED_VIEW, WARPED_VIEW, displayOrder

_COMPOSITING = slicer.vtkMRMLSliceCompositeNode
_GREY_SCALE = ColorScale("grey")
_LINE_VALUE = -color_tables.MARKED_SHARE  # Value of the pixels on the border of a swipe.


@dataclass(frozen=True)
class Overlay:
    """Two volumes and the slice views that show them.

    Attributes:
        fixedVolume: Background.
        movingVolume: Foreground, shown through its parent transform.
        layers: Composite nodes of the slice views.
    """

    fixedVolume: slicer.vtkMRMLVolumeNode
    movingVolume: slicer.vtkMRMLVolumeNode
    layers: tuple[slicer.vtkMRMLSliceCompositeNode, ...]


@dataclass(frozen=True)
class OverlayImages:
    """Both images on one plane, for the modes that are computed.

    Attributes:
        plane: Pixels of both images.
        fixed: ``(rows, columns)``, 0..1, by window and level of the volume.
        warped: Likewise, the moving image.
    """

    plane: SlicePlane
    fixed: np.ndarray
    warped: np.ndarray


def enterOverlay(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    views: Sequence[slicer.vtkMRMLSliceNode] | None = None,
) -> Overlay:
    """Store the state of slice views; nothing is changed yet.

    Args:
        fixedVolume: Background.
        movingVolume: Foreground.
        views: Slice views; by default all but the two side-by-side views, which show one image each.
    """
    scene = fixedVolume.GetScene()
    names = None if views is None else {view.GetLayoutName() for view in views}
    layers = [
        node
        for node in nodesByClass(scene, "vtkMRMLSliceCompositeNode")
        if (node.GetLayoutName() not in (FIXED_VIEW, WARPED_VIEW) if names is None else node.GetLayoutName() in names)
    ]
    view_state.remember(layers)
    return Overlay(fixedVolume, movingVolume, tuple(layers))


def restoreViews(scene: slicer.vtkMRMLScene) -> None:
    """Restore views, colours and transform display to the state before the first ``enterOverlay``."""
    for volume in nodesByClass(scene, "vtkMRMLVolumeNode"):
        _showWarpedAgain(volume)
    view_state.restoreViewState(scene)


def overlayImages(
    overlay: Overlay, plane: SlicePlane, fixed: np.ndarray | None = None, warped: np.ndarray | None = None
) -> OverlayImages:
    """Both images of an overlay on a plane, scaled to 0..1.

    Args:
        overlay: Overlay with the two volumes.
        plane: Pixels of both images.
        fixed: ``(rows, columns)`` intensities, such as those of a ``SlicePair``; by default they are sampled.
        warped: Likewise; by default the moving volume is sampled through its parent transforms.
    """
    pixels = [
        sampleVolume(volume, plane).pixels if known is None else known
        for volume, known in ((overlay.fixedVolume, fixed), (overlay.movingVolume, warped))
    ]
    return OverlayImages(
        plane, displayIntensities(overlay.fixedVolume, pixels[0]), displayIntensities(overlay.movingVolume, pixels[1])
    )


def blend(overlay: Overlay, opacity: float = 0.5) -> None:
    """Show the moving image over the fixed image."""
    showLayers(overlay, overlay.fixedVolume, overlay.movingVolume, opacity)


def flicker(overlay: Overlay, moving: bool) -> None:
    """Show one image alone; a timer calls this for the fixed and the moving image in turn."""
    showLayers(overlay, overlay.fixedVolume, overlay.movingVolume, float(moving))


def redCyan(overlay: Overlay) -> None:
    """Show the fixed image in red and the moving image in cyan; equal intensities appear grey.

    Raises:
        ValueError: A volume is a colour image, a labelmap, or has no display node.
    """
    volumes = (overlay.fixedVolume, overlay.movingVolume)
    for volume in volumes:
        if volume.IsA("vtkMRMLVectorVolumeNode"):
            raise ValueError(f"'{volume.GetName()}' is a colour image; red/cyan needs scalar images. Choose a blend.")
        if not isinstance(volume.GetDisplayNode(), slicer.vtkMRMLScalarVolumeDisplayNode):
            raise ValueError(f"'{volume.GetName()}' is not displayed as a scalar image; choose a blend.")
    showLayers(overlay, *volumes, 1.0, _COMPOSITING.Add, coloured=True)
    for volume, colour in zip(volumes, ("red", "cyan"), strict=True):
        volume.GetDisplayNode().SetAndObserveColorNodeID(color_tables.colorTable(volume.GetScene(), colour).GetID())


def checkerboard(overlay: Overlay, images: OverlayImages, tile: float = 20.0) -> None:
    """Show fixed and warped image in alternating squares of ``tile`` mm."""
    sides = np.maximum(np.rint(tile / np.linalg.norm(images.plane.ijkToRas[:3, [1, 0]], axis=0)), 1)
    rows, columns = (np.arange(n) // side for n, side in zip(images.plane.shape, sides, strict=True))
    odd = (rows[:, None] + columns) % 2 == 1
    _showImage(overlay, images.plane, np.where(odd, images.warped, images.fixed))


def swipe(overlay: Overlay, images: OverlayImages, position: float = 0.5) -> None:
    """Show the fixed image on the left and the warped one on the right of a line at ``position``, 0..1 of the width."""
    right, line = np.zeros(images.plane.shape, dtype=bool), np.zeros(images.plane.shape, dtype=bool)
    order = displayOrder(images.plane)  # Gives views of its arguments.
    width = order(right).shape[1]
    border = round(position * width)
    order(right)[:, border:] = True
    if 0 < border < width:
        order(line)[:, border] = True
    pixels = np.where(right, images.warped, images.fixed)
    _showImage(overlay, images.plane, np.where(line, _LINE_VALUE, pixels), ColorScale("swipe", _LINE_VALUE))


def difference(overlay: Overlay, images: OverlayImages) -> None:
    """Show warped minus fixed: equal intensities appear grey, brighter where the warped image is brighter."""
    _showImage(overlay, images.plane, (images.warped - images.fixed + 1) / 2)


def edges(overlay: Overlay, images: OverlayImages) -> None:
    """Show the edges of the fixed image in yellow over the moving image."""
    found = edgeMask(images.fixed)
    derived = fillOverlayVolume(overlay.fixedVolume.GetScene(), images.plane, found, ColorScale("edges"), shown=found)
    showLayers(overlay, overlay.movingVolume, derived, 1.0)


def showWarped(overlay: Overlay, warped: bool) -> None:
    """Show the moving volume through its result transform, or through its initial transform only.

    Raises:
        ValueError: The initial transform was deleted.
    """
    volume = overlay.movingVolume
    if warped:
        _showWarpedAgain(volume)
        return
    parent, initial = volume.GetParentTransformNode(), initialTransformOf(volume)
    if parent is not initial:
        volume.SetNodeReferenceID(UNWARPED_ROLE, parent.GetID())
        volume.SetAndObserveTransformNodeID(None if initial is None else initial.GetID())


def showLayers(
    overlay: Overlay,
    background: slicer.vtkMRMLVolumeNode,
    foreground: slicer.vtkMRMLVolumeNode,
    opacity: float,
    compositing: int = _COMPOSITING.Alpha,
    coloured: bool = False,
) -> None:
    """Show two volumes in the layers of the views.

    Args:
        overlay: Overlay with the views.
        background: Background volume.
        foreground: Foreground volume.
        opacity: Opacity of the foreground, 0..1.
        compositing: Compositing mode of Slicer's composite node.
        coloured: If true, the caller sets the colours of the two images and their present colours are stored;
            otherwise stored colours are restored.
    """
    displays = [volume.GetDisplayNode() for volume in (overlay.fixedVolume, overlay.movingVolume)]
    for display in displays:
        if display is not None and coloured:
            view_state.remember([display])
        elif display is not None:
            view_state.restoreNode(display)
    for layers in overlay.layers:
        with slicer.util.NodeModify(layers):
            layers.SetBackgroundVolumeID(background.GetID())
            layers.SetForegroundVolumeID(foreground.GetID())
            layers.SetForegroundOpacity(opacity)
            layers.SetCompositing(compositing)


def _showImage(overlay: Overlay, plane: SlicePlane, image: np.ndarray, scale: ColorScale = _GREY_SCALE) -> None:
    """Show an image, 0..1, in front of both volumes."""
    derived = fillOverlayVolume(overlay.fixedVolume.GetScene(), plane, image, scale)
    showLayers(overlay, overlay.fixedVolume, derived, 1.0)


def _showWarpedAgain(volume: slicer.vtkMRMLVolumeNode) -> None:
    resultTransform = volume.GetNodeReference(UNWARPED_ROLE)
    if resultTransform is not None:
        setParentTransform(volume, resultTransform)
