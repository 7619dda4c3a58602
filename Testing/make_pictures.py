"""Draws the pictures that people look at: ``python Testing/make_pictures.py`` after ``make demo``.

The panel is that of the stand-in for Slicer, the rest is drawn from the phantoms.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "Testing"))

import host  # noqa: E402 - found only through the line above
from UnsupervisedRegistrationLib.core.phantom import draw_phantom  # noqa: E402

MODULE = ROOT / "UnsupervisedRegistration"
WINDOWS = {"head": (0, 900), "abdomen": (-160, 240)}


def main() -> None:
    """Writes the screenshot of the demo, of the panel, and the thumbnails of the samples."""
    shutil.copy(ROOT / "out" / "demo" / "overlay.png", ROOT / "Resources" / "demo.png")
    for kind, window in WINDOWS.items():
        drawThumbnail(kind, window, MODULE / "Resources" / "Icons" / f"Registration{kind.capitalize()}.png")
    grabPanel(ROOT / "Resources" / "panel.png")


def drawThumbnail(kind: str, window: tuple[int, int], path: Path) -> None:
    """The middle slice in red and cyan, 260 x 280 pixels as the Sample Data module asks."""
    phantom = draw_phantom(kind)
    middle = len(phantom.fixed) // 2
    low, high = window
    fixed, moving = (np.clip((v[middle] - low) / (high - low), 0, 1) for v in (phantom.fixed, phantom.moving))
    figure = Figure(figsize=(2.6, 2.8), facecolor="black")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(np.stack([fixed, moving, moving], axis=-1))
    figure.savefig(path, dpi=100)


def grabPanel(path: Path) -> None:
    """The panel after Apply on the head sample, with its landmarks."""
    host.start()
    loaded = host.loadModule(MODULE / "UnsupervisedRegistration.py")
    fixed, moving, fixedLandmarks, movingLandmarks = host.clickSample("RegistrationHead")
    controls = loaded.widget.ui
    controls.fixedSelector.setCurrentNode(fixed)
    controls.movingSelector.setCurrentNode(moving)
    controls.landmarksButton.collapsed = False
    controls.fixedLandmarksSelector.setCurrentNode(fixedLandmarks)
    controls.movingLandmarksSelector.setCurrentNode(movingLandmarks)
    controls.applyButton.click()
    host.grab(loaded.panel, path, 391)


if __name__ == "__main__":
    main()
