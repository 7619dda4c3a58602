"""A cohort of phantom pairs as files, each deformed by a known field of its own."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, map_coordinates

from UnsupervisedRegistrationLib.core.images.phantom import draw_phantom

PIXELS = 96  # Rows and columns.
LARGEST = 4.0  # Pixels, of a displacement.
POINTS = ((30, 30), (30, 60), (60, 30), (60, 60), (48, 48))  # Rows and columns of the landmarks of the moving image.
COLUMNS = ("fixed", "moving", "fixed_labels", "moving_labels", "fixed_landmarks", "moving_landmarks")


def writeCohort(folder: Path, count: int) -> Path:
    """Write ``count`` pairs with labels and landmarks, and the table of the pairs; return the table."""
    folder.mkdir(parents=True, exist_ok=True)
    fixed = _fixedSlice()
    rows = [_writePair(folder, number, fixed) for number in range(count)]
    table = folder / "pairs.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return table


def _fixedSlice() -> np.ndarray:
    """The middle slice of the head phantom, ``(PIXELS, PIXELS)``."""
    slices = draw_phantom("head").fixed
    pixels = slices[len(slices) // 2].astype(np.float32)
    rows, columns = np.indices((PIXELS, PIXELS))
    places = [rows * pixels.shape[0] / PIXELS, columns * pixels.shape[1] / PIXELS]
    return map_coordinates(gaussian_filter(pixels, 0.5), places, order=1)


def _writePair(folder: Path, number: int, fixed: np.ndarray) -> dict[str, str]:
    rows, columns = np.indices((PIXELS, PIXELS))
    noise = np.random.default_rng(number).standard_normal((2, PIXELS, PIXELS))
    field = gaussian_filter(noise, (0, 12, 12))
    field *= LARGEST / np.abs(field).max()
    moving = map_coordinates(fixed, [rows + field[0], columns + field[1]], order=1, mode="nearest")
    labels, movedLabels = ((image > np.percentile(fixed, 60)).astype(np.uint8) for image in (fixed, moving))
    points = [(row, column) for row, column in POINTS]
    there = [(row + field[0, row, column], column + field[1, row, column]) for row, column in points]
    stem = f"{number:02}"
    files = {name: f"{stem}_{name}.nrrd" for name in COLUMNS[:4]}
    for name, image in zip(files.values(), (fixed, moving, labels, movedLabels), strict=True):
        sitk.WriteImage(sitk.GetImageFromArray(image.astype(np.int16)), str(folder / name))
    for name, places in zip(COLUMNS[4:], (there, points), strict=True):
        files[name] = f"{stem}_{name}.csv"
        lines = ["X,Y", *(f"{column},{row}" for row, column in places)]
        (folder / files[name]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files
