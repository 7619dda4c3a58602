"""The automatic mask: the patient without holes, without the table."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from UnsupervisedRegistrationLib.core.images.foreground import foreground

ROWS, COLUMNS = torch.meshgrid(torch.arange(120), torch.arange(100), indexing="ij")
DISC = (ROWS - 50) ** 2 + (COLUMNS - 45) ** 2 < 30**2


def picture(region: Tensor = DISC) -> Tensor:
    """Texture in a region, on black with a little noise."""
    noise = torch.rand(ROWS.shape, generator=torch.Generator().manual_seed(1))
    return torch.where(region, 0.6 + 0.4 * noise, 0.05 * noise)


def test_it_is_the_disc() -> None:
    inside = foreground(picture())
    assert int((inside != DISC).sum()) < 0.05 * math.pi * 30**2  # Squares of a few pixels round the border off.


def test_holes_are_filled() -> None:
    hole = (ROWS - 50) ** 2 + (COLUMNS - 40) ** 2 < 10**2
    assert foreground(picture(DISC & ~hole))[hole].all()


def test_a_table_below_the_patient_is_left_out() -> None:
    table = (ROWS > 90) & (ROWS < 94) & (COLUMNS > 10) & (COLUMNS < 90)
    assert not foreground(picture(DISC | table))[table].any()


def test_of_two_parts_the_larger_one_stays() -> None:
    arm = (ROWS - 100) ** 2 + (COLUMNS - 85) ** 2 < 12**2
    inside = foreground(picture(DISC | arm))
    assert not inside[arm].any()
    assert inside[DISC].float().mean() > 0.95


def test_a_patient_cut_by_the_border_is_not_drawn_along_it() -> None:
    half = DISC.roll(-45, 1) & (COLUMNS < 60)
    inside = foreground(picture(half))
    assert inside[50, 0]
    assert not inside[:10].any()


def test_no_side_is_preferred() -> None:
    inside = foreground(picture())
    assert torch.equal(foreground(picture().flip(0)).flip(0), inside)
    assert torch.equal(foreground(picture().T).T, inside)


@pytest.mark.parametrize("size", [(16, 16), (17, 90), (300, 40)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    image = torch.zeros(size)
    image[4:-4, 4:-4] = 1
    assert foreground(image)[size[0] // 2, size[1] // 2]


def test_nothing_shows_nothing() -> None:
    assert not foreground(torch.zeros(40, 40)).any()
