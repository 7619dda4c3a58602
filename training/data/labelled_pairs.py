"""Labelled pairs from a folder or a list: two slices on one grid, with labels, landmarks or both."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from training.data.pair_files import PairedImage, listed_pairs, named_pairs, read_rows
from training.data.reading import mean_of_colours
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid


@dataclass(frozen=True)
class LabelledPair:
    """Two slices on the grid of the fixed one.

    Attributes:
        fixed: ``(1, 1, H, W)``.
        moving: Like ``fixed``.
        grid: Of both.
        fixed_labels: Like ``fixed``, or ``None``.
        moving_labels: Like ``fixed``, or ``None``.
        fixed_points: ``(N, 2)`` voxels, array order, or ``None``.
        moving_points: The same places in the moving image, voxels of the grid, or ``None``.
        fixed_mask: Like ``fixed``, or ``None``.
        moving_mask: Like ``fixed``, or ``None``.
        fixed_subject: Who is shown, if the list says so.
        moving_subject: Likewise.
    """

    fixed: Tensor
    moving: Tensor
    grid: ImageGrid
    fixed_labels: Tensor | None = None
    moving_labels: Tensor | None = None
    fixed_points: Tensor | None = None
    moving_points: Tensor | None = None
    fixed_mask: Tensor | None = None
    moving_mask: Tensor | None = None
    fixed_subject: str = ""
    moving_subject: str = ""


def find_pairs(place: Path, slices: list[int], pixel: float = 0.0, data: Path | None = None) -> Iterator[LabelledPair]:
    """Find the labelled pairs of a folder, or of a CSV file.

    A CSV file has the columns ``fixed`` and ``moving``, and of ``fixed_labels`` with ``moving_labels``,
    ``fixed_landmarks`` with ``moving_landmarks``, ``fixed_mask`` with ``moving_mask``, ``fixed_subject`` with
    ``moving_subject`` and ``slice`` those that exist.

    In a folder, files ``X_ED`` and ``X_ES``, or ``X_fixed`` and ``X_moving``, make a pair. Without such names every
    ordered pair of two images is taken, of volumes at each of the ``slices`` along their first array axis. The labels
    of ``X`` stand in ``X_labels`` or in ``X_`` and one more word; of ``X_T1w`` in ``X_labels``; its landmarks in
    ``X.csv`` or ``X_landmarks.csv``, with the columns X and Y (and Z) in pixels, the same point in the same row.

    Args:
        place: Folder or CSV file.
        slices: Of volumes in a folder.
        pixel: Pixel size of 2-D files, mm; 0 takes the size that the file states.
        data: Folder that the paths in a CSV file are relative to; by default the folder of the file.

    Raises:
        OSError: A file is missing.
        ValueError: There is no pair, or a row or a file makes no sense.
    """
    read = functools.lru_cache(16)(functools.partial(_read, pixel=pixel))
    for fixed, moving, index in (
        listed_pairs(place, data or place.parent) if place.is_file() else named_pairs(place, slices)
    ):
        yield _pair(fixed, moving, index, read)


def _pair(fixed: PairedImage, moving: PairedImage, index: int, read: Callable[[Path], sitk.Image]) -> LabelledPair:
    """One slice of two images, on the grid of the fixed one."""
    like = read(fixed.image)
    if not 0 <= index < like.GetDepth():
        raise ValueError(f"'{fixed.image}' has {like.GetDepth()} slices, and none with the number {index}.")

    def values(path: Path | None, nearest: bool) -> Tensor | None:
        if path is None:
            return None
        array = sitk.GetArrayFromImage(_on_grid(read(path), like, nearest))[index]
        return torch.from_numpy(array.astype(np.float32))[None, None]

    images = [values(files.image, nearest=False) for files in (fixed, moving)]
    labels = [values(files.labels, nearest=True) for files in (fixed, moving)]
    masks = [values(files.mask, nearest=True) for files in (fixed, moving)]
    points = _corresponding_points(fixed, moving, index, read)
    if all(any(one is None for one in part) for part in (labels, points)):
        raise ValueError(
            f"'{fixed.image}' and '{moving.image}' cannot be scored: labels, or landmarks, are needed of both."
        )
    grid = ImageGrid((like.GetHeight(), like.GetWidth()), torch.diag(torch.tensor([*like.GetSpacing(), 1.0])))
    assert images[0] is not None
    assert images[1] is not None
    return LabelledPair(
        fixed=images[0],
        moving=images[1],
        grid=grid,
        fixed_labels=labels[0],
        moving_labels=labels[1],
        fixed_points=points[0],
        moving_points=points[1],
        fixed_mask=masks[0],
        moving_mask=masks[1],
        fixed_subject=fixed.subject,
        moving_subject=moving.subject,
    )


def _corresponding_points(
    fixed: PairedImage, moving: PairedImage, index: int, read: Callable[[Path], sitk.Image]
) -> tuple[Tensor | None, Tensor | None]:
    """The landmarks of both images, voxels of the fixed one."""
    like, other = read(fixed.image), read(moving.image)
    first = None if fixed.landmarks is None else _points(fixed.landmarks, like, like, index)
    second = None if moving.landmarks is None else _points(moving.landmarks, other, like, index)
    if first is not None and second is not None and len(first) != len(second):
        raise ValueError(
            f"'{fixed.landmarks}' has {len(first)} landmarks, '{moving.landmarks}' {len(second)};"
            " the same row must be the same place in both."
        )
    return first, second


def _read(path: Path, pixel: float) -> sitk.Image:
    """A volume, or a 2-D file as a volume of one slice; colours are averaged."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ValueError(f"'{path}' cannot be read as an image; it may be damaged, or text.") from error
    if image.GetDimension() > 3:
        raise ValueError(f"'{path}' has {image.GetDimension()} dimensions; a slice or a volume is needed.")
    image = mean_of_colours(image)
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if pixel and image.GetDepth() == 1:
        image.SetSpacing((pixel, pixel, image.GetSpacing()[2]))
    return image


def _on_grid(image: sitk.Image, like: sitk.Image, nearest: bool) -> sitk.Image:
    """The image resampled to the grid of another."""
    if all(
        np.allclose(getattr(image, f"Get{part}")(), getattr(like, f"Get{part}")(), atol=1e-4)
        for part in ("Size", "Spacing", "Origin", "Direction")
        if image.GetDimension() == like.GetDimension()
    ) and (image.GetSize() == like.GetSize()):
        return image
    return sitk.Resample(image, like, sitk.Transform(), sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)


def _points(path: Path, image: sitk.Image, like: sitk.Image, index: int) -> Tensor:
    """``(N, 2)`` voxels of the grid ``like``, array order, of the landmarks in pixels of ``image`` on that slice."""
    rows = [{name.upper(): value for name, value in row.items()} for row in read_rows(path)]
    if not rows or not {"X", "Y"} <= rows[0].keys():
        raise ValueError(f"'{path}' needs the columns X and Y, in pixels, and at least one row.")
    points = []
    for row in rows:
        x, y, z = float(row["X"]), float(row["Y"]), float(row.get("Z") or index)
        if round(z) == index:
            place = image.TransformContinuousIndexToPhysicalPoint((x, y, z))
            column, line, _ = like.TransformPhysicalPointToContinuousIndex(place)
            points.append((line, column))
    return torch.tensor(points, dtype=torch.float32).view(-1, 2)
