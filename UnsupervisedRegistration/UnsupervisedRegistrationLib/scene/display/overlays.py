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
from ..geometry.transforms import UNWARPED_ROLE, initialTransformOf, isOutcome, putUnder
from ..geometry.volumes import sampleVolume
from . import color_tables as colours
from . import view_state as viewstate
from .overlay_volume import Scale, edgesOf, fillPicture, greyOf, hideLegend
from .slice_views import FIXED_VIEW, WARPED_VIEW, pictureOrder

_LAYERS = slicer.vtkMRMLSliceCompositeNode
_DEFORMATION = slicer.vtkMRMLTransformDisplayNode


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
    viewstate.remember(layers)
    return Overlay(fixedVolume, movingVolume, tuple(layers))


def restoreViews(scene: slicer.vtkMRMLScene) -> None:
    """Puts views, colours and transform display back to what they were before the first ``enterOverlay``."""
    for volume in slicer.util.getNodesByClass("vtkMRMLVolumeNode", scene):
        _warpAgain(volume)
    viewstate.restore(scene)


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
    return OverlayImages(plane, greyOf(overlay.fixedVolume, pixels[0]), greyOf(overlay.movingVolume, pixels[1]))


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
        volume.GetDisplayNode().SetAndObserveColorNodeID(colours.table(volume.GetScene(), colour).GetID())


def checkerboard(overlay: Overlay, images: OverlayImages, tile: float = 20.0) -> None:
    """Fixed and warped in turn, in squares of ``tile`` mm."""
    sides = np.maximum(np.rint(tile / np.linalg.norm(images.plane.ijkToRas[:3, [1, 0]], axis=0)), 1)
    rows, columns = (np.arange(n) // side for n, side in zip(images.plane.shape, sides, strict=True))
    odd = (rows[:, None] + columns) % 2 == 1
    _showPicture(overlay, images.plane, np.where(odd, images.warped, images.fixed))


def swipe(overlay: Overlay, images: OverlayImages, position: float = 0.5) -> None:
    """Fixed on the left of the picture, warped on the right; ``position`` is the share of the width, 0..1."""
    right = np.zeros(images.plane.shape, dtype=bool)
    picture = pictureOrder(images.plane)(right)  # A view, so that it fills ``right``.
    picture[:, round(position * picture.shape[1]) :] = True
    _showPicture(overlay, images.plane, np.where(right, images.warped, images.fixed))


def difference(overlay: Overlay, images: OverlayImages) -> None:
    """Warped minus fixed: grey where they agree, bright where the warped one is brighter."""
    _showPicture(overlay, images.plane, (images.warped - images.fixed + 1) / 2)


def edges(overlay: Overlay, images: OverlayImages) -> None:
    """Edges of the fixed image in yellow over the moving one."""
    found = edgesOf(images.fixed)
    derived = fillPicture(overlay.fixedVolume.GetScene(), images.plane, found, Scale("edges"), shown=found)
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


def isWarped(movingVolume: slicer.vtkMRMLVolumeNode) -> bool:
    """Whether the volume is not one that ``showWarped`` draws as it lay."""
    return movingVolume.GetNodeReference(UNWARPED_ROLE) is None


def outcomeOf(movingVolume: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLTransformNode | None:
    """The outcome that the volume lies under, or would if it were not drawn unwarped; ``None`` without any."""
    parent = movingVolume.GetParentTransformNode()
    if parent is not None and isOutcome(parent):
        return parent
    return movingVolume.GetNodeReference(UNWARPED_ROLE)


def deformationGrid(transformNode: slicer.vtkMRMLTransformNode, spacing: float = 10.0) -> None:
    """Draws the deformation as a grid with lines ``spacing`` mm apart in the slice views."""
    display = _transformDisplay(transformNode)
    with slicer.util.NodeModify(display):
        display.SetVisualizationMode(_DEFORMATION.VIS_MODE_GRID)
        display.SetGridSpacingMm(spacing)
        display.SetGridResolutionMm(spacing / 4)
        _show2D(display)


def deformationGlyphs(transformNode: slicer.vtkMRMLTransformNode, spacing: float = 10.0) -> None:
    """Draws the deformation as arrows ``spacing`` mm apart in the slice views."""
    display = _transformDisplay(transformNode)
    with slicer.util.NodeModify(display):
        display.SetVisualizationMode(_DEFORMATION.VIS_MODE_GLYPH)
        display.SetGlyphSpacingMm(spacing)
        _show2D(display)


def hideDeformation(transformNode: slicer.vtkMRMLTransformNode) -> None:
    """Puts the display of a transform back to what it was before the grid or the arrows."""
    viewstate.restoreNode(transformNode.GetDisplayNode())


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
            viewstate.remember([display])
        elif display is not None:
            viewstate.restoreNode(display)
    hideLegend(overlay.fixedVolume.GetScene())
    for layers in overlay.layers:
        with slicer.util.NodeModify(layers):
            layers.SetBackgroundVolumeID(background.GetID())
            layers.SetForegroundVolumeID(foreground.GetID())
            layers.SetForegroundOpacity(opacity)
            layers.SetCompositing(compositing)


def _showPicture(overlay: Overlay, plane: SlicePlane, picture: np.ndarray) -> None:
    """A grey picture, 0..1, in front of everything."""
    derived = fillPicture(overlay.fixedVolume.GetScene(), plane, picture, Scale("grey"))
    showLayers(overlay, overlay.fixedVolume, derived, 1.0)


def _warpAgain(volume: slicer.vtkMRMLVolumeNode) -> None:
    outcome = volume.GetNodeReference(UNWARPED_ROLE)
    if outcome is not None:
        putUnder(volume, outcome)


def _transformDisplay(transformNode: slicer.vtkMRMLTransformNode) -> slicer.vtkMRMLTransformDisplayNode:
    if transformNode.GetDisplayNode() is None:
        transformNode.CreateDefaultDisplayNodes()
        viewstate.own(transformNode.GetDisplayNode(), "deformation")
    viewstate.remember([transformNode.GetDisplayNode()])
    return transformNode.GetDisplayNode()


def _show2D(display: slicer.vtkMRMLTransformDisplayNode) -> None:
    display.SetVisibility(True)
    display.SetVisibility2D(True)
