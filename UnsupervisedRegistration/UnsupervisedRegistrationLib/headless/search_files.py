"""The files of a search for a slice: the curve as a picture and a table, the slice, and its plane as a transform."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import slicer
import slicer.util
from matplotlib.figure import Figure

from ..scene.display.slice_views import displayOrder
from ..scene.geometry.sampling import sampleVolume
from ..scene.geometry.transforms import withPrealignment, worldToLocal
from ..scene.geometry.volumes import addVolume
from ..scene.registration.slice_search import COARSE_PIXELS, FINE_PIXELS, SliceSearch
from .figure import windowed
from .output_files import saveNode
from .output_folder import OutputFolder

_CURVE, _TABLE, _PLANE, _SLICE = SEARCH_FILES = ("similarity.png", "similarity.csv", "plane.h5", "slice.nrrd")


def writeSearch(
    search: SliceSearch, given: slicer.vtkMRMLVolumeNode, volume: slicer.vtkMRMLVolumeNode, folder: OutputFolder
) -> None:
    """Write all files.

    Args:
        search: What was found.
        given: Volume of the slice that was looked for.
        volume: In which it was found.
        folder: Of the run.

    Raises:
        OSError: A file cannot be written.
    """
    fromWorld = withPrealignment(search.matrix, worldToLocal(volume.GetParentTransformNode()))
    found = sampleVolume(volume, search.plane, fromWorld).pixels
    _writePlane(search, volume.GetScene(), folder.path(_PLANE))
    node = addVolume(volume.GetScene(), "slice", found[None], search.plane.ijkToRas)
    saveNode(slicer.vtkMRMLVolumeArchetypeStorageNode(), node, folder.path(_SLICE))
    _writeTable(search, folder.path(_TABLE))
    _writePicture(search, sampleVolume(given, search.plane).pixels, found, folder.path(_CURVE))


def searchReport(search: SliceSearch) -> dict[str, object]:
    """What was found, as plain values."""
    return {
        "best": {
            "slice": None if search.indices is None else int(search.indices[search.best]),
            "offset_mm": float(search.offsets[search.best]),
            "similarity": float(search.similarity[search.best]),
        },
        "compared": int(np.isfinite(search.similarity).sum()),
        "of": len(search.similarity),
        "model": search.model,
        "direction": "plane.h5 maps points of the given slice to the volume. In the file they are LPS millimetres.",
    }


def searchSentence(search: SliceSearch, volume: slicer.vtkMRMLVolumeNode) -> str:
    """The best slice in one sentence or two."""
    compared = np.flatnonzero(np.isfinite(search.similarity))
    best, median = search.similarity[search.best], np.nanmedian(search.similarity)
    sentence = (
        f"Of {len(compared)} slices of {volume.GetName()}, {search.name} fits best: normalised mutual information"
        f" {best:.3f}, median of all {median:.3f}."
    )
    if search.best in (compared[0], compared[-1]):
        sentence += " It is the last one on its side; the place may lie beyond the volume."
    return sentence


def _writePlane(search: SliceSearch, scene: slicer.vtkMRMLScene, path: Path) -> None:
    """The linear transform from points of the given slice to the volume: the initial transform of ``register``."""
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "plane")
    node.SetMatrixTransformFromParent(slicer.util.vtkMatrixFromArray(search.matrix))
    saveNode(slicer.vtkMRMLTransformStorageNode(), node, path)


def _writeTable(search: SliceSearch, path: Path) -> None:
    """Slice, position and similarity of each slice as CSV; a similarity is empty where it was not measured."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["slice", "offset_mm", "similarity", "refined"])
    names = np.arange(len(search.offsets)) if search.indices is None else search.indices
    for name, offset, *values in sorted(zip(names, search.offsets, search.similarity, search.refined, strict=True)):
        writer.writerow([name, f"{offset:.4f}", *(f"{value:.6f}" if np.isfinite(value) else "" for value in values)])
    path.write_text(stream.getvalue(), encoding="utf-8")


def _writePicture(search: SliceSearch, given: np.ndarray, found: np.ndarray, path: Path) -> None:
    """The similarity of all slices, the given slice and the best one."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    curve, left, right = figure.subplots(1, 3, width_ratios=(2, 1, 1))
    places = search.offsets if search.indices is None else search.indices
    curve.plot(places, search.similarity, color="#357", marker=".", label=f"all, {COARSE_PIXELS} pixels")
    curve.plot(places, search.refined, color="#c33", linestyle="", marker="x", label=f"best, {FINE_PIXELS} pixels")
    curve.axvline(places[search.best], color="#c33", linewidth=1)
    curve.legend(loc="upper left")
    curve.set_xlabel("mm along the normal" if search.indices is None else "slice")
    curve.set_ylabel("normalised mutual information")
    order = displayOrder(search.plane)
    for axes, pixels, title in ((left, given, "given slice"), (right, found, search.name)):
        axes.imshow(order(windowed(pixels)), cmap="gray", vmin=0, vmax=1)
        axes.set_title(title)
        axes.set_axis_off()
    figure.savefig(path, dpi=100)
