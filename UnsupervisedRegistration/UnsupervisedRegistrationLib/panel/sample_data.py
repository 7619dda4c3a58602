"""The synthetic samples in the Sample Data module, and the layout that a saved scene may need."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import slicer
import slicer.util

from ..scene.display.side_by_side import addSideBySideLayout
from ..scene.display.slice_views import showOverlay
from ..scene.geometry.planes import planeFromIndex
from ..scene.registration.phantom_nodes import addPhantom

SAMPLES: dict[str, Literal["head", "abdomen"]] = {"RegistrationHead": "head", "RegistrationAbdomen": "abdomen"}
"""Name of each sample, and the phantom that it shows."""


def registerSampleData(icons: Path) -> None:
    """Adds the phantoms to the Sample Data module; they are computed, nothing is downloaded.

    Args:
        icons: Folder of the thumbnails.
    """
    import SampleData

    for sampleName, kind in SAMPLES.items():
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="UnsupervisedRegistration",
            sampleName=sampleName,
            uris=[""],
            fileNames=[sampleName],
            nodeNames=[sampleName],
            thumbnailFileName=str(icons / f"{sampleName}.png"),
            customDownloader=lambda source, kind=kind: addSample(kind),
        )


def registerLayout() -> None:
    """Makes the side-by-side layout known, so that a scene saved with it opens with it."""
    layoutNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layoutNode:
        addSideBySideLayout(layoutNode)


def addSample(kind: Literal["head", "abdomen"]) -> list[Any]:
    """Adds a phantom to the scene and shows the pair as an overlay; returns its volumes and landmarks."""
    nodes = addPhantom(slicer.mrmlScene, kind)
    showOverlay(nodes.fixedVolume, nodes.movingVolume, planeFromIndex(nodes.fixedVolume, "axial"))
    if slicer.app.layoutManager():  # There is none without a main window.
        slicer.util.resetSliceViews()
    return [nodes.fixedVolume, nodes.movingVolume, nodes.fixedLandmarks, nodes.movingLandmarks]
