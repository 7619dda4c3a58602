"""Large images have a transform on a coarser grid, where that moves no point noticeably."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from UnsupervisedRegistrationLib.scene.geometry import grid_transform
from UnsupervisedRegistrationLib.scene.geometry.grid_transform import gridTransform
from UnsupervisedRegistrationLib.scene.geometry.planes import SlicePlane
from UnsupervisedRegistrationLib.scene.geometry.transforms import mapPoints, transformPoints

PX = 0.05


@pytest.fixture
def plane(oblique):
    return SlicePlane((1201, 70), oblique.ijkToRas, "plane")


def fromWorkingGrid(shape, factor):
    """``(rows, columns, 3)``, mm: random displacements every ``factor`` pixels, resized as those of a network."""
    coarse = torch.nn.functional.avg_pool2d(
        torch.randn(1, 3, *(-(-size // factor) + 4 for size in shape), generator=torch.Generator().manual_seed(1)), 5, 1
    )
    size = [factor * count for count in coarse.shape[2:]]
    fine = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")[0].movedim(0, -1).numpy()
    return fine[: shape[0], : shape[1]]


def movements(plane, displacement, monkeypatch, finest):
    """How far random points of the slice are moved, in pixels of the plane, and the nodes along each axis."""
    monkeypatch.setattr(grid_transform, "_FINE_SHAPE", finest)
    transform = gridTransform(plane, displacement)
    last = [size - 0.5 for size in plane.shape[::-1]]
    indices = np.random.default_rng(0).uniform([-0.5, -0.5, 0], [*last, 0], (4000, 3))
    points = transformPoints(plane.ijkToRas, indices)
    moved = (mapPoints(transform, points) - points) / np.linalg.norm(plane.ijkToRas[:3, :2], axis=0).min()
    return moved, transform.GetDisplacementGrid().GetDimensions()


@pytest.mark.parametrize(("factor", "step"), [(8, 4), (4, 2)])
def test_a_field_of_a_working_grid_is_kept_on_fewer_nodes(plane, monkeypatch, factor, step):
    displacement = fromWorkingGrid(plane.shape, factor)
    exact, nodes = movements(plane, displacement, monkeypatch, 10_000)
    found, fewer = movements(plane, displacement, monkeypatch, 1024)
    assert np.percentile(np.linalg.norm(found - exact, axis=1), 99) <= PX
    assert np.linalg.norm(exact, axis=1).max() > 10 * PX
    assert fewer[1] < 1.2 * nodes[1] / step


def test_a_field_with_details_keeps_every_pixel(plane, monkeypatch):
    _, nodes = movements(plane, fromWorkingGrid(plane.shape, 1), monkeypatch, 1024)
    assert nodes[1] > plane.shape[0]


def test_small_planes_keep_every_pixel(plane, monkeypatch):
    displacement = fromWorkingGrid(plane.shape, 8)
    assert movements(plane, displacement, monkeypatch, 1201)[1][1] > plane.shape[0]
