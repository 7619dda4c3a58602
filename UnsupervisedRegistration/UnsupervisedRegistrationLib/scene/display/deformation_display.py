"""The deformation of a transform node as a grid or as arrows in the slice views."""

from __future__ import annotations

import slicer
import slicer.util

from . import view_state
from .color_tables import displacementColors

_DEFORMATION = slicer.vtkMRMLTransformDisplayNode


def deformationGrid(transformNode: slicer.vtkMRMLTransformNode, spacing: float = 10.0) -> None:
    """Show the deformation as a grid with lines every ``spacing`` mm."""
    display = _transformDisplay(transformNode)
    with slicer.util.NodeModify(display):
        display.SetVisualizationMode(_DEFORMATION.VIS_MODE_GRID)
        display.SetGridSpacingMm(spacing)
        display.SetGridResolutionMm(spacing / 4)
        _show2D(display)


def deformationGlyphs(transformNode: slicer.vtkMRMLTransformNode, spacing: float = 10.0) -> None:
    """Show the deformation as arrows every ``spacing`` mm."""
    display = _transformDisplay(transformNode)
    with slicer.util.NodeModify(display):
        display.SetVisualizationMode(_DEFORMATION.VIS_MODE_GLYPH)
        display.SetGlyphSpacingMm(spacing)
        _show2D(display)


def hideDeformation(transformNode: slicer.vtkMRMLTransformNode) -> None:
    """Restore the display of a transform as it was before the grid or the arrows."""
    view_state.restoreNode(transformNode.GetDisplayNode())


def _transformDisplay(transformNode: slicer.vtkMRMLTransformNode) -> slicer.vtkMRMLTransformDisplayNode:
    if transformNode.GetDisplayNode() is None:
        transformNode.CreateDefaultDisplayNodes()
        view_state.own(transformNode.GetDisplayNode(), "deformation")
    display = transformNode.GetDisplayNode()
    view_state.remember([display])
    display.SetAndObserveColorNodeID(displacementColors(transformNode.GetScene()).GetID())
    return display


def _show2D(display: slicer.vtkMRMLTransformDisplayNode) -> None:
    display.SetVisibility(True)
    display.SetVisibility2D(True)
