"""The chosen overlay and the chosen display of the deformation, drawn in the slice views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer.util

from ..scene.display import overlays, scalar_maps
from ..scene.display.deformation_display import deformationGlyphs, deformationGrid, hideDeformation
from ..scene.reporting.translation import tr as _
from ..scene.scene_nodes import nodesByClass
from . import choices, inputs
from .parameters import RegistrationParameters


def drawOverlay(
    parameters: RegistrationParameters, overlay: overlays.Overlay, result: Any, isWarped: bool, isMovingTurn: bool
) -> None:
    """Draws the chosen overlay.

    Args:
        parameters: With the overlay and its settings.
        overlay: The two volumes and the views.
        result: Registration whose overlay is drawn; ``None`` for what the scene shows.
        isWarped: Whether the moving image is shown warped.
        isMovingTurn: Whether the flicker shows the moving image now.

    Raises:
        ValueError: The overlay cannot be drawn.
    """

    def images() -> overlays.OverlayImages:
        return _overlayImages(parameters, overlay, result if isWarped else None)

    drawings: dict[str, Callable[[], object]] = {
        choices.OVERLAY_OFF: lambda: None,
        choices.BLEND: lambda: overlays.blend(overlay, parameters.blend),
        choices.RED_CYAN: lambda: overlays.redCyan(overlay),
        choices.FLICKER: lambda: overlays.flicker(overlay, isMovingTurn),
        choices.CHECKERBOARD: lambda: overlays.checkerboard(overlay, images(), parameters.tileSize),
        choices.SWIPE: lambda: overlays.swipe(overlay, images(), parameters.swipe),
        choices.DIFFERENCE: lambda: overlays.difference(overlay, images()),
        choices.EDGES: lambda: overlays.edges(overlay, images()),
        choices.JACOBIAN: lambda: _drawMap(overlay, choices.JACOBIAN, result),
        choices.TRUST_MAP: lambda: _drawMap(overlay, choices.TRUST_MAP, result),
    }
    drawings[parameters.overlay]()


def drawDeformation(parameters: RegistrationParameters) -> None:
    """Draws the deformation of the shown result as chosen, and hides that of all others."""
    draw = {choices.GRID: deformationGrid, choices.ARROWS: deformationGlyphs}.get(parameters.deformation)
    shown = inputs.shownTransform(parameters)
    for transform in nodesByClass(slicer.mrmlScene, "vtkMRMLTransformNode"):
        if transform.GetDisplayNode() is not None and (draw is None or transform is not shown):
            hideDeformation(transform)
    if draw and shown:
        draw(shown, parameters.gridSpacing)


def _overlayImages(
    parameters: RegistrationParameters, overlay: overlays.Overlay, result: Any
) -> overlays.OverlayImages:
    """The images of the slice that is shown, from the result if it is of this slice, else from the scene."""
    plane = inputs.chosenPlane(parameters)
    if result is None or result.pair.plane.name != plane.name:
        return overlays.overlayImages(overlay, plane)
    return overlays.overlayImages(overlay, result.pair.plane, result.pair.fixed.pixels, result.warpedPixels)


def _drawMap(overlay: overlays.Overlay, mode: str, result: Any) -> None:
    overlays.blend(overlay, 0.0)  # Without a map to draw, the one before would stay.
    if result is None:
        raise ValueError(_("'{mode}' needs a registration of this slice; press Apply first.").format(mode=mode))
    pair, trust = result.pair, result.trust
    if mode == choices.JACOBIAN:
        scalar_maps.jacobianMap(overlay, pair.plane, result.jacobian, pair.fixed.pixels)
    elif trust is None and result.registration.plan.transform != "deformable":
        raise ValueError(_("The trust map is for deformable registrations; choose another overlay."))
    elif trust is None:
        raise ValueError(_("The error of this result was not estimated; press Estimate."))
    else:
        scalar_maps.trustMap(overlay, pair.plane, trust, pair.fixed.pixels)
