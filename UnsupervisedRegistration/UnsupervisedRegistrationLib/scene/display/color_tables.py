"""Colour tables of the overlays."""

from __future__ import annotations

import numpy as np
import slicer

from . import view_state

_STOPS = {
    "red": ["#000000", "#ff0000"],
    "cyan": ["#000000", "#00ffff"],
    "grey": ["#000000", "#ffffff"],
    "edges": ["#ffd21f", "#ffd21f"],
    "jacobian": ["#2166ac", "#67a9cf", "#f7f7f7", "#ef8a62", "#b2182b"],
    "trust": ["#b2182b", "#f2c14e", "#1a9850"],
}
_FOLDED = (1.0, 0.0, 1.0)  # Magenta marks folding.
_SIZE = 256


def colorTable(scene: slicer.vtkMRMLScene, name: str) -> slicer.vtkMRMLColorTableNode:
    """The colour table of a name; it is created when first needed."""
    node, new = view_state.ownedNode(scene, "vtkMRMLColorTableNode", f"colours {name}")
    if new:
        _fill(node, name)
    return node


def _fill(node: slicer.vtkMRMLColorTableNode, name: str) -> None:
    stops = np.array([[int(stop[i : i + 2], 16) / 255 for i in (1, 3, 5)] for stop in _STOPS[name]])
    positions = np.linspace(0, 1, len(stops))
    values = np.stack([np.interp(np.linspace(0, 1, _SIZE), positions, stops[:, c]) for c in range(3)], axis=1)
    if name == "jacobian":
        values[0] = _FOLDED
    node.SetTypeToUser()
    node.SetNumberOfColors(_SIZE)
    for index, (red, green, blue) in enumerate(values):
        node.SetColor(index, str(index), red, green, blue, 1.0)
    node.GetLookupTable().SetRange(0, _SIZE - 1)
