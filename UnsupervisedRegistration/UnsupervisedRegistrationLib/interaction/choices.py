"""What can be chosen in the lists of the panel; needs neither Qt nor torch."""

from __future__ import annotations

from typing import get_args

from ..scene.geometry.planes import Orientation
from ..scene.registration_options import Prealignment, Preset, Similarity, TransformType

IN_VIEW = "Shown in a slice view"
ORIENTATIONS: dict[str, Orientation] = {
    "Axial, by index": "axial",
    "Sagittal, by index": "sagittal",
    "Coronal, by index": "coronal",
}
"""Ways to choose the slice without a view."""

PRESETS = list(get_args(Preset))
TRANSFORM_TYPES = list(get_args(TransformType))
PREALIGNMENTS = list(get_args(Prealignment))
SIMILARITIES = list(get_args(Similarity))

OVERLAY_OFF, BLEND, RED_CYAN, FLICKER = "Off", "Blend", "Red and cyan", "Flicker"
CHECKERBOARD, SWIPE, DIFFERENCE, EDGES = "Checkerboard", "Swipe", "Difference", "Edges"
JACOBIAN, TRUST_MAP = "Change of area", "Trust map"
OVERLAYS = [OVERLAY_OFF, BLEND, RED_CYAN, FLICKER, CHECKERBOARD, SWIPE, DIFFERENCE, EDGES, JACOBIAN, TRUST_MAP]
OF_INTENSITIES = (CHECKERBOARD, SWIPE, DIFFERENCE, EDGES)
"""Overlays that are drawn anew when window or level change."""
PER_SLICE = (*OF_INTENSITIES, JACOBIAN, TRUST_MAP)
"""Overlays that are drawn anew for each slice."""

UNDER_TRANSFORM, RESAMPLED_COPY = "Under the transform", "Resampled copy, original untouched"
MOVING_OUTPUTS = [UNDER_TRANSFORM, RESAMPLED_COPY]
"""What happens to the moving volume at Apply."""

HIDDEN, GRID, ARROWS = "Hidden", "Grid", "Arrows"
DEFORMATIONS = [HIDDEN, GRID, ARROWS]
