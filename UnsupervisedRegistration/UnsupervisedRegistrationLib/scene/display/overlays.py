"""Ways to see how well two images fit, on Slicer's own layers, volumes and transform display.

``enterOverlay`` remembers how the views were, each mode may then follow any other, and ``restoreViews`` puts all back.
What Slicer cannot draw itself (checkerboard, swipe, difference, edges, maps) is computed into one hidden volume that
is updated in place.
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
from . import color_tables, view_state
from .overlay_volume import ColorScale, displayIntensities, edgeMask, fillOverlayVolume, hideLegend
from .slice_views import FIXED_VIEW, WARPED_VIEW, displayOrder

_LAYERS = slicer.vtkMRMLSliceCompositeNode


@dataclass(frozen=True)
class Overlay:
    """What is laid over each other, and where.

    Attributes:
        fixedVolume: Below.
        movingVolume: Above; Slicer draws it through its transform.
        layers: Composite nodes of the slice views.
    """

    fixedVolume: slicer.vtkMRMLVolumeNode
    movingVolume: slicer.vtkMRMLVolumeNode
    layers: tuple[slicer.vtkMRMLSliceCompositeNode, ...]


@dataclass(frozen=True)
class OverlayImages:
    """Both images on one plane as the eye sees them, for the modes that Slicer cannot draw itself.

    Attributes:
        plane: Where.
        fixed: ``(rows, columns)``, 0..1, by the volume's window.
        warped: Likewise.
    """

    plane: SlicePlane
    fixed: np.ndarray
    warped: np.ndarray


def enterOverlay(
    fixedVolume: slicer.vtkMRMLVolumeNode,
    movingVolume: slicer.vtkMRMLVolumeNode,
    views: Sequence[slicer.vtkMRMLSliceNode] | None = None,
) -> Overlay:
    """Remembers how slice views show their data; changes nothing yet.

    Args:
        fixedVolume: Below.
        movingVolume: Above.
        views: Which; without them all slice views, but those beside each other, which show one image each.
    """
    scene = fixedVolume.GetScene()
    names = None if views is None else {view.GetLayoutName() for view in views}
    layers = [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene)
        if (node.GetLayoutName() not in (FIXED_VIEW, WARPED_VIEW) if names is None else node.GetLayoutName() in names)
    ]
    view_state.remember(layers)
    return Overlay(fixedVolume, movingVolume, tuple(layers))


def restoreViews(scene: slicer.vtkMRMLScene) -> None:
    """Puts views, colours and transform display back to what they were before the first ``enterOverlay``."""
    for volume in slicer.util.getNodesByClass("vtkMRMLVolumeNode", scene):
        _warpAgain(volume)
    view_state.restore(scene)


def overlayImages(
    overlay: Overlay, plane: SlicePlane, fixed: np.ndarray | None = None, warped: np.ndarray | None = None
) -> OverlayImages:
    """Both images as the eye sees them.

    Args:
        overlay: Of these volumes.
        plane: Where.
        fixed: ``(rows, columns)`` intensities if they are known already, such as those of a ``SlicePair``.
        warped: Likewise; without them the moving volume is sampled through its transforms.
    """
    pixels = [
        sampleVolume(volume, plane).pixels if known is None else known
        for volume, known in ((overlay.fixedVolume, fixed), (overlay.movingVolume, warped))
    ]
    return OverlayImages(
        plane, displayIntensities(overlay.fixedVolume, pixels[0]), displayIntensities(overlay.movingVolume, pixels[1])
    )


def blend(overlay: Overlay, opacity: float = 0.5) -> None:
    """The moving image over the fixed one."""
    showLayers(overlay, overlay.fixedVolume, overlay.movingVolume, opacity)


def flicker(overlay: Overlay, moving: bool) -> None:
    """Either image alone; a timer calls it with one and the other."""
    showLayers(overlay, overlay.fixedVolume, overlay.movingVolume, float(moving))


def redCyan(overlay: Overlay) -> None:
    """The fixed image in red and the moving one in cyan: grey where they agree.

    Raises:
        ValueError: One is a colour image, a labelmap, or not displayed at all.
    """
    volumes = (overlay.fixedVolume, overlay.movingVolume)
    for volume in volumes:
        if volume.IsA("vtkMRMLVectorVolumeNode"):
            raise ValueError(f"'{volume.GetName()}' is a colour image; red and cyan need grey ones. Choose a blend.")
        if not isinstance(volume.GetDisplayNode(), slicer.vtkMRMLScalarVolumeDisplayNode):
            raise ValueError(f"'{volume.GetName()}' is not displayed as a grey image; choose a blend.")
    showLayers(overlay, *volumes, 1.0, _LAYERS.Add, coloured=True)
    for volume, colour in zip(volumes, ("red", "cyan"), strict=True):
        volume.GetDisplayNode().SetAndObserveColorNodeID(color_tables.colorTable(volume.GetScene(), colour).GetID())


def checkerboard(overlay: Overlay, images: OverlayImages, tile: float = 20.0) -> None:
    """Fixed and warped in turn, in squares of ``tile`` mm."""
    sides = np.maximum(np.rint(tile / np.linalg.norm(images.plane.ijkToRas[:3, [1, 0]], axis=0)), 1)
    rows, columns = (np.arange(n) // side for n, side in zip(images.plane.shape, sides, strict=True))
    odd = (rows[:, None] + columns) % 2 == 1
    _showPicture(overlay, images.plane, np.where(odd, images.warped, images.fixed))


def swipe(overlay: Overlay, images: OverlayImages, position: float = 0.5) -> None:
    """Fixed on the left of the picture, warped on the right; ``position`` is the share of the width, 0..1."""
    right = np.zeros(images.plane.shape, dtype=bool)
    picture = displayOrder(images.plane)(right)  # A view, so that it fills ``right``.
    picture[:, round(position * picture.shape[1]) :] = True
    _showPicture(overlay, images.plane, np.where(right, images.warped, images.fixed))


def difference(overlay: Overlay, images: OverlayImages) -> None:
    """Warped minus fixed: grey where they agree, bright where the warped one is brighter."""
    _showPicture(overlay, images.plane, (images.warped - images.fixed + 1) / 2)


def edges(overlay: Overlay, images: OverlayImages) -> None:
    """Edges of the fixed image in yellow over the moving one."""
    found = edgeMask(images.fixed)
    derived = fillOverlayVolume(overlay.fixedVolume.GetScene(), images.plane, found, ColorScale("edges"), shown=found)
    showLayers(overlay, overlay.movingVolume, derived, 1.0)


def showWarped(overlay: Overlay, warped: bool) -> None:
    """Draws the moving volume through the outcome, or as it lay before.

    Raises:
        ValueError: The initial transform was deleted.
    """
    volume = overlay.movingVolume
    if warped:
        _warpAgain(volume)
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
    compositing: int = _LAYERS.Alpha,
    coloured: bool = False,
) -> None:
    """Puts two volumes into the layers of the views.

    Args:
        overlay: Whose views.
        background: Below.
        foreground: Above.
        opacity: Of the foreground.
        compositing: One of those of Slicer's composite node.
        coloured: The caller gives the two images colours, which are remembered; otherwise they get theirs back.
    """
    displays = [volume.GetDisplayNode() for volume in (overlay.fixedVolume, overlay.movingVolume)]
    for display in displays:
        if display is not None and coloured:
            view_state.remember([display])
        elif display is not None:
            view_state.restoreNode(display)
    hideLegend(overlay.fixedVolume.GetScene())
    for layers in overlay.layers:
        with slicer.util.NodeModify(layers):
            layers.SetBackgroundVolumeID(background.GetID())
            layers.SetForegroundVolumeID(foreground.GetID())
            layers.SetForegroundOpacity(opacity)
            layers.SetCompositing(compositing)


def _showPicture(overlay: Overlay, plane: SlicePlane, picture: np.ndarray) -> None:
    """A grey picture, 0..1, in front of everything."""
    derived = fillOverlayVolume(overlay.fixedVolume.GetScene(), plane, picture, ColorScale("grey"))
    showLayers(overlay, overlay.fixedVolume, derived, 1.0)


def _warpAgain(volume: slicer.vtkMRMLVolumeNode) -> None:
    outcome = volume.GetNodeReference(UNWARPED_ROLE)
    if outcome is not None:
        setParentTransform(volume, outcome)
