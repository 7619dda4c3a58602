"""Colours of the overlays, of the figures and of the report; a person with any colour blindness can tell them apart."""

from __future__ import annotations

import numpy as np
import slicer

from . import view_state

RED_FIXED, CYAN_MOVING = "#ff0000", "#00ffff"
"""Of the red and cyan overlay; equal intensities add up to grey."""
EDGE_COLOUR = "#ffd21f"
FOLDED_COLOUR = "#ff00ff"
AREA_COLOURS = ("#2166ac", "#67a9cf", "#f7f7f7", "#ef8a62", "#b2182b")
"""Of the change of area, from half the size over the same size to double the size; evenly spaced on a log scale."""
TRUST_COLOURS = ("#440154", "#31688e", "#35b779", "#fde725")
"""Of the trust, from 0 % to 100 %."""
DISPLACEMENT_COLOURS = ("#4da3ff", "#f7f7f7", "#ffb000")
"""Of the grid and the arrows, from no displacement to ``MOST_DISPLACEMENT_MM``."""
MOST_DISPLACEMENT_MM = 10.0
AREA_RANGE = 2.0
"""The colours of the change of area end at 1 / ``AREA_RANGE`` and at ``AREA_RANGE`` times the size."""

_STOPS = {
    "red": ("#000000", RED_FIXED),
    "cyan": ("#000000", CYAN_MOVING),
    "grey": ("#000000", "#ffffff"),
    "edges": (EDGE_COLOUR, EDGE_COLOUR),
    "swipe": ("#000000", "#ffffff"),
    "jacobian": AREA_COLOURS,
    "trust": TRUST_COLOURS,
}
_FIRST = {"jacobian": FOLDED_COLOUR, "swipe": EDGE_COLOUR}
"""Colour of the first entry of a table, for pixels at ``MARKED_SHARE`` below the other values."""
MARKED_SHARE = 0.01
_SIZE = 256


def colorTable(scene: slicer.vtkMRMLScene, name: str) -> slicer.vtkMRMLColorTableNode:
    """The colour table of a name; it is created when first needed."""
    node, new = view_state.ownedNode(scene, "vtkMRMLColorTableNode", f"colours {name}")
    if new:
        _fill(node, name)
    return node


def displacementColors(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLProceduralColorNode:
    """The colours of the length of the displacement in mm; the node is created when first needed."""
    node, new = view_state.ownedNode(scene, "vtkMRMLProceduralColorNode", "colours displacement")
    if new:
        function = node.GetColorTransferFunction()
        function.RemoveAllPoints()
        positions = np.linspace(0, MOST_DISPLACEMENT_MM, len(DISPLACEMENT_COLOURS))
        for millimetres, colour in zip(positions, DISPLACEMENT_COLOURS, strict=True):
            function.AddRGBPoint(millimetres, *_shares(colour))
    return node


def colourAt(colours: tuple[str, ...], share: np.ndarray) -> np.ndarray:
    """Colours ``(..., 3)``, 0..1, at positions 0..1 between evenly spaced hexadecimal colours."""
    stops, positions = np.array([_shares(colour) for colour in colours]), np.linspace(0, 1, len(colours))
    return np.stack([np.interp(share, positions, stops[:, channel]) for channel in range(3)], axis=-1)


def areaShare(jacobian: np.ndarray) -> np.ndarray:
    """Position of Jacobian determinants among ``AREA_COLOURS``, -1 (half the size) to 1 (double); -1 where it folds."""
    change = np.log(np.clip(jacobian, 1e-6, None)) / np.log(AREA_RANGE)
    return np.asarray(np.clip(change, -1, 1))


def _shares(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def _fill(node: slicer.vtkMRMLColorTableNode, name: str) -> None:
    values = colourAt(_STOPS[name], np.linspace(0, 1, _SIZE))
    if name in _FIRST:
        values[0] = _shares(_FIRST[name])
    node.SetTypeToUser()
    node.SetNumberOfColors(_SIZE)
    for index, (red, green, blue) in enumerate(values):
        node.SetColor(index, str(index), red, green, blue, 1.0)
    node.GetLookupTable().SetRange(0, _SIZE - 1)
