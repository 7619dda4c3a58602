"""Facts about the synthetic patients; their truth is what other tests rest on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates

from UnsupervisedRegistrationLib.core.images.phantom import PHANTOM_KINDS, Kind, Phantom, draw_phantom, true_partner

kinds = pytest.mark.parametrize("kind", PHANTOM_KINDS)


@pytest.fixture(scope="module")
def phantoms() -> dict[Kind, Phantom]:
    return {kind: draw_phantom(kind) for kind in PHANTOM_KINDS}


def positions(phantom: Phantom) -> NDArray[np.float64]:
    """RAS of the voxels of the middle slice, ``(J, I, 3)``."""
    count, rows, columns = phantom.fixed.shape
    j, i = np.mgrid[:rows, :columns].astype(np.float64)
    indices = np.stack([i, j, np.full_like(i, count // 2), np.ones_like(i)], axis=-1)
    return (indices @ phantom.ijk_to_ras.T)[..., :3]


def sample(volume: NDArray[np.int16], phantom: Phantom, ras: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intensities at RAS positions of the middle slice, smoothed in the slice against the noise."""
    ijk = np.concatenate([ras, np.ones((*ras.shape[:-1], 1))], axis=-1) @ np.linalg.inv(phantom.ijk_to_ras).T
    smooth = gaussian_filter1d(gaussian_filter1d(volume[len(volume) // 2].astype(np.float64), 1.5, 0), 1.5, 1)
    return map_coordinates(smooth, [ijk[..., 1], ijk[..., 0]], order=1, mode="nearest")


@kinds
def test_a_phantom_is_the_same_every_time(phantoms: dict[Kind, Phantom], kind: Kind) -> None:
    again = draw_phantom(kind)
    assert np.array_equal(again.fixed, phantoms[kind].fixed)
    assert np.array_equal(again.moving, phantoms[kind].moving)
    assert again.moving_landmarks == phantoms[kind].moving_landmarks


@kinds
def test_both_volumes_are_on_one_grid(phantoms: dict[Kind, Phantom], kind: Kind) -> None:
    phantom = phantoms[kind]
    assert phantom.fixed.shape == phantom.moving.shape
    assert phantom.fixed.dtype == phantom.moving.dtype == np.int16


@kinds
def test_the_middle_of_the_volume_is_the_origin(phantoms: dict[Kind, Phantom], kind: Kind) -> None:
    middle = (np.array(phantoms[kind].fixed.shape[::-1]) - 1) / 2
    np.testing.assert_allclose(phantoms[kind].ijk_to_ras @ [*middle, 1], [0, 0, 0, 1], atol=1e-12)


@kinds
def test_each_landmark_has_the_true_partner(phantoms: dict[Kind, Phantom], kind: Kind) -> None:
    phantom = phantoms[kind]
    assert phantom.fixed_landmarks.keys() == phantom.moving_landmarks.keys()
    for name, point in phantom.fixed_landmarks.items():
        np.testing.assert_allclose(phantom.moving_landmarks[name], true_partner(kind, np.array(point)), atol=1e-9)


@kinds
def test_all_landmarks_are_in_the_middle_axial_slice(phantoms: dict[Kind, Phantom], kind: Kind) -> None:
    phantom = phantoms[kind]
    for point in (*phantom.fixed_landmarks.values(), *phantom.moving_landmarks.values()):
        assert (np.linalg.inv(phantom.ijk_to_ras) @ [*point, 1])[2] == pytest.approx(len(phantom.fixed) // 2)


@kinds
def test_all_landmarks_are_inside_the_image(phantoms: dict[Kind, Phantom], kind: Kind) -> None:
    phantom = phantoms[kind]
    for point in (*phantom.fixed_landmarks.values(), *phantom.moving_landmarks.values()):
        i, j, _, _ = np.linalg.inv(phantom.ijk_to_ras) @ [*point, 1]
        assert 0 <= i <= phantom.fixed.shape[2] - 1
        assert 0 <= j <= phantom.fixed.shape[1] - 1


@kinds
def test_each_landmark_has_moved_by_millimetres(phantoms: dict[Kind, Phantom], kind: Kind) -> None:
    phantom = phantoms[kind]
    moved = [np.subtract(phantom.moving_landmarks[name], point) for name, point in phantom.fixed_landmarks.items()]
    assert np.median(np.linalg.norm(moved, axis=-1)) > 2


@kinds
def test_the_moving_volume_shows_at_the_partner_what_the_fixed_one_shows_at_the_point(
    phantoms: dict[Kind, Phantom], kind: Kind
) -> None:
    phantom = phantoms[kind]
    points = positions(phantom)[12:-12:3, 12:-12:3]
    fixed = sample(phantom.fixed, phantom, points)
    aligned = np.abs(sample(phantom.moving, phantom, true_partner(kind, points)) - fixed)
    apart = np.abs(sample(phantom.moving, phantom, points) - fixed)
    contrast = np.ptp(fixed)
    # The bias field of the head changes sign between the volumes: 2.7 % either way at half width, 40 mm.
    assert np.median(aligned) < 0.03 * contrast
    assert np.quantile(aligned, 0.9) < 0.5 * np.quantile(apart, 0.9)


@kinds
def test_the_partner_of_a_point_in_another_slice_is_in_that_slice(kind: Kind) -> None:
    assert true_partner(kind, np.array([[10.0, 20.0, 8.0]]))[0, 2] == 8


@kinds
def test_the_true_deformation_does_not_fold(phantoms: dict[Kind, Phantom], kind: Kind) -> None:
    partners = true_partner(kind, positions(phantoms[kind]))[..., :2]
    down, right = np.gradient(partners, axis=(0, 1))
    step = np.abs(np.diag(phantoms[kind].ijk_to_ras))[:2]
    determinant = (right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]) / step.prod()
    assert determinant.min() > 0.2


def test_an_unknown_kind_is_an_error_that_lists_the_known_ones() -> None:
    unknown: Any = "knee"
    with pytest.raises(ValueError, match="no phantom 'knee'; choose one of head, abdomen"):
        draw_phantom(unknown)
