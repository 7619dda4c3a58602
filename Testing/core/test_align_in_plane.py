"""Facts about the alignment of two slices in their plane: a known motion is found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from UnsupervisedRegistrationLib.core.registration.prealignment import PlanarImage, Prealignment, align_in_plane

PIXELS = 0.35  # A third of a pixel of the slice, as the images are compared at half the resolution.
SHAPE = (120, 140)
MOTIONS = {"shift": (0, (9.0, -6.0)), "rotation": (12, (0.0, 0.0)), "both": (-18, (-14.0, 20.0))}
AXIAL = np.diag([-1.2, -0.9, 3.0, 1.0])  # Columns of 1.2 mm to the left, rows of 0.9 mm to the back.
OBLIQUE = np.array([[0.0, -0.8, 1.1, 4.0], [1.0, 0.0, 0.0, -7.0], [0.0, 0.6, 1.5, 2.0], [0.0, 0.0, 0.0, 1.0]])
planes = pytest.mark.parametrize("plane", [AXIAL, OBLIQUE], ids=["axial", "oblique"])

Array = NDArray[Any]


def body(seed: int = 1, shape: tuple[int, int] = SHAPE) -> Array:
    """An asymmetric body of soft tissue in air."""
    rows, columns = np.indices(shape)
    centre, random = np.array(shape) / 2, np.random.default_rng(seed)
    inside = ((rows - centre[0]) / (0.33 * shape[0])) ** 2 + ((columns - centre[1]) / (0.22 * shape[1])) ** 2 < 1
    texture = gaussian_filter(random.standard_normal(shape), 4)
    pixels: Array = gaussian_filter(inside * (300 + 180 * texture / texture.std()), 1).astype(np.float32)
    return pixels


def motion(plane: Array, degrees: float, shift: tuple[float, float], scale: float = 1.0) -> Array:
    """In the plane about the centre of the slice, ``(4, 4)`` RAS mm."""
    frame = np.eye(4)
    frame[:3, :3] = plane[:3, :3] / np.linalg.norm(plane[:3, :3], axis=0)
    frame[:3, 3] = (plane @ [(SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2, 0, 1])[:3]
    angle, in_plane = np.deg2rad(degrees), np.eye(4)
    in_plane[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    in_plane[:2, 3] = shift
    moved: Array = frame @ in_plane @ np.linalg.inv(frame)
    return moved


def pair(
    plane: Array,
    truth: Array,
    change: Callable[[Array], Array] = lambda pixels: pixels,
    fill: float = 0.0,
) -> tuple[PlanarImage, PlanarImage]:
    """A body and the same body moved by a matrix, sampled on a rectangle of the plane that covers it."""
    wide = np.array(plane)
    wide[:3, 3] -= plane[:3, :2] @ [60, 60]
    shape = (SHAPE[0] + 120, SHAPE[1] + 120)
    rows, columns = np.indices(shape)
    points = np.stack([columns, rows, np.zeros(shape), np.ones(shape)], -1) @ (np.linalg.inv(truth @ plane) @ wide).T
    column, row = points[..., 0], points[..., 1]
    inside = (column >= 0) & (row >= 0) & (column <= SHAPE[1] - 1) & (row <= SHAPE[0] - 1)
    moved = interpolated(change(body()), np.clip(row, 0, SHAPE[0] - 1), np.clip(column, 0, SHAPE[1] - 1))
    fixed = PlanarImage(body(), np.ones(SHAPE, dtype=bool), plane)
    return fixed, PlanarImage(np.where(inside, moved, fill).astype(np.float32), inside, wide)


def interpolated(pixels: Array, row: Array, column: Array) -> Array:
    top, left = (np.minimum(at.astype(int), size - 2) for at, size in zip((row, column), SHAPE, strict=True))
    down, right = row - top, column - left
    upper = pixels[top, left] * (1 - right) + pixels[top, left + 1] * right
    lower = pixels[top + 1, left] * (1 - right) + pixels[top + 1, left + 1] * right
    mixed: Array = upper * (1 - down) + lower * down
    return mixed


def error(plane: Array, matrix: Array, truth: Array) -> float:
    """Mean distance over the slice, in columns."""
    rows, columns = np.indices(SHAPE)[:, ::6, ::6]
    points = np.stack([columns, rows, 0 * rows, 1 + 0 * rows], -1) @ plane.T
    return float(np.linalg.norm(points @ (matrix - truth).T, axis=-1).mean() / np.linalg.norm(plane[:3, 0]))


@planes
@pytest.mark.parametrize("name", MOTIONS)
def test_a_rigid_motion_is_found(plane: Array, name: str) -> None:
    degrees, shift = MOTIONS[name]
    truth = motion(plane, degrees, shift)
    matrix, sentence = align_in_plane(*pair(plane, truth), "rigid")
    assert error(plane, matrix, truth) < PIXELS
    assert float(sentence.split("turned it by ")[1].split()[0]) == pytest.approx(abs(degrees), abs=0.3)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-6)


def test_an_affine_motion_is_found() -> None:
    truth = motion(OBLIQUE, 6, (5, -4), 1.12)
    matrix, sentence = align_in_plane(*pair(OBLIQUE, truth), "affine")
    assert error(OBLIQUE, matrix, truth) < 3 * PIXELS
    assert "scaled it by 1.1" in sentence


@pytest.mark.parametrize("change", [lambda v: 1000 - v, lambda v: np.sqrt(v.clip(0)) * 40], ids=["inverted", "root"])
def test_another_contrast_does_not_matter(change: Callable[[Array], Array]) -> None:
    truth = motion(OBLIQUE, 8, (10, 5))
    matrix, _ = align_in_plane(*pair(OBLIQUE, truth, change), "rigid")
    assert error(OBLIQUE, matrix, truth) < 2 * PIXELS


def test_what_the_moving_volume_does_not_cover_does_not_matter() -> None:
    truth = motion(AXIAL, 8, (10, 5))
    matrices = [align_in_plane(*pair(AXIAL, truth, fill=fill), "rigid").matrix for fill in (0.0, 1000.0)]
    assert error(AXIAL, matrices[1], truth) < 2 * PIXELS
    assert error(AXIAL, matrices[0], matrices[1]) < PIXELS


@pytest.mark.parametrize("kind", ["auto", "rigid", "affine"])
def test_aligned_images_stay_unchanged(kind: Prealignment) -> None:
    matrix, sentence = align_in_plane(*pair(AXIAL, np.eye(4)), kind)
    assert np.array_equal(matrix, np.eye(4))
    assert sentence.startswith("pre-alignment left the images unchanged")


@pytest.mark.parametrize(("shift", "far"), [(1.0, False), (45.0, True)])
def test_auto_aligns_images_that_lie_far_apart_and_no_others(shift: float, far: bool) -> None:
    truth = motion(AXIAL, 0, (shift, 0))
    matrix, sentence = align_in_plane(*pair(AXIAL, truth), "auto")
    if far:
        assert error(AXIAL, matrix, truth) < PIXELS
    else:
        assert "unchanged: they are near enough" in sentence


def test_it_is_the_same_every_time() -> None:
    images = pair(OBLIQUE, motion(OBLIQUE, 8, (10, 5)))
    first, second = (align_in_plane(*images, "affine").matrix for _ in range(2))
    np.testing.assert_allclose(first, second, atol=1e-9)


@pytest.mark.parametrize("constant", ["fixed", "moving"])
def test_an_image_that_shows_nothing_stays_unchanged(constant: str) -> None:
    fixed, moving = pair(AXIAL, np.eye(4))
    image = fixed if constant == "fixed" else moving
    image.pixels[:] = 7
    matrix, sentence = align_in_plane(fixed, moving, "rigid")
    assert np.array_equal(matrix, np.eye(4))
    assert "shows nothing" in sentence


@pytest.mark.parametrize("rows", [2, 5])
def test_a_slice_of_few_rows_stays_unchanged(rows: int) -> None:
    images = [PlanarImage(body(seed)[60 : 60 + rows], np.ones((rows, SHAPE[1]), bool), AXIAL) for seed in (1, 2)]
    matrix, sentence = align_in_plane(images[0], images[1], "auto")
    assert np.array_equal(matrix, np.eye(4))
    assert sentence.endswith("the slice is too narrow for it")


def test_a_mask_says_what_to_align() -> None:
    """One side of the moving image is turned upside down; the mask covers the other."""

    def half_turned(pixels: Array) -> Array:
        pixels = pixels.copy()
        pixels[:, 85:] = pixels[::-1, 85:]
        return pixels

    mask = np.zeros(SHAPE, dtype=bool)
    mask[20:100, 20:80] = True
    truth = motion(AXIAL, 0, (6, 0))
    matrix, _ = align_in_plane(*pair(AXIAL, truth, half_turned), "rigid", mask)
    assert error(AXIAL, matrix, truth) < 2 * PIXELS


@pytest.mark.parametrize("kind", ["", "Rigid", "none", None])
def test_a_wrong_kind_is_an_error_that_lists_the_choices(kind: Any) -> None:
    with pytest.raises(ValueError, match="choose one of auto, rigid, affine"):
        align_in_plane(*pair(AXIAL, np.eye(4)), kind)


def test_a_coverage_of_another_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match="coverage of the same shape"):
        PlanarImage(body(), np.ones((3, 3), dtype=bool), AXIAL)
