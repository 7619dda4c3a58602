"""Draws the pictures that people look at: ``python Testing/make_pictures.py`` after ``make demo`` and ``make tour``.

The tutorial shows the panel and the slice views of the tour, the rest is drawn from the phantoms.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom

ROOT = Path(__file__).parents[1]

MODULE = ROOT / "UnsupervisedRegistration"
TUTORIAL = {
    "panel": "refined",
    "tutorial-landmarks": "steered-by-landmarks",
    "tutorial-live": "scrolled",
    "tutorial-results": "two-compared",
}
WINDOWS = {"head": (0, 900), "abdomen": (-160, 240)}


def main() -> None:
    """Writes the screenshot of the demo, those of the tutorial, and the thumbnails of the samples."""
    copySmall(ROOT / "out" / "demo" / "overlay.png", ROOT / "Resources" / "demo.png")
    for kind, window in WINDOWS.items():
        drawThumbnail(kind, window, MODULE / "Resources" / "Icons" / f"Registration{kind.capitalize()}.png")
    for name, step in TUTORIAL.items():
        copySmall(next((ROOT / "out" / "tour").glob(f"*-{step}.png")), ROOT / "Resources" / f"{name}.png")


def copySmall(source: Path, target: Path) -> None:
    """Copies a picture with 256 colours, which halves its size; the repository keeps files under 500 kB."""
    picture = Image.open(source).convert("RGB").quantize(256, kmeans=5)
    picture.save(target, optimize=True)


def drawThumbnail(kind: str, window: tuple[int, int], path: Path) -> None:
    """Draws the middle slice in red and cyan, 260 x 280 pixels, the size of thumbnails in the Sample Data module."""
    phantom = draw_phantom(kind)
    middle = len(phantom.fixed) // 2
    low, high = window
    fixed, moving = (np.clip((v[middle] - low) / (high - low), 0, 1) for v in (phantom.fixed, phantom.moving))
    figure = Figure(figsize=(2.6, 2.8), facecolor="black")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(np.stack([fixed, moving, moving], axis=-1))
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
