"""Fold repair removes folds and changes nothing else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from UnsupervisedRegistrationLib.core.spatial.deformation import compose, symmetric_flows
from UnsupervisedRegistrationLib.core.spatial.filters import gaussian
from UnsupervisedRegistrationLib.core.spatial.folding import folded_cells, folding, repair_folds, repair_folds_of_both


def folded_field(shape: tuple[int, ...]) -> Tensor:
    """A gentle field with one voxel that jumps over its neighbour."""
    displacement = torch.full((1, len(shape), *shape), 0.3)
    displacement[(0, 0, *[size // 2 for size in shape])] += 3
    return displacement


@pytest.mark.parametrize("shape", [(32, 40), (12, 14, 16)])
def test_a_fold_is_smoothed_away_and_the_rest_stays(shape: tuple[int, ...]) -> None:
    displacement = folded_field(shape)
    mended = repair_folds(displacement)
    assert mended is not None
    assert folding(displacement) > 0
    assert folding(mended) == 0
    assert torch.equal(mended[..., :4], displacement[..., :4])


def test_a_wide_fold_is_repaired() -> None:
    places = torch.stack(torch.meshgrid(torch.arange(64.0) - 32, torch.arange(64.0) - 32, indexing="ij"))
    lens = -2 * (places * torch.exp(-places.square().sum(dim=0) / 200))[None]  # Turns what is around its middle over.
    assert int(folded_cells(lens).sum()) > 300
    mended = repair_folds(lens)
    assert mended is not None
    assert folding(mended) == 0


def test_a_fold_that_shows_only_where_the_border_is_repeated_is_repaired() -> None:
    rows, columns = torch.meshgrid(torch.arange(48.0) - 24, torch.arange(48.0), indexing="ij")
    angle = 1.6 * torch.exp(-(rows.square() + columns.square()) / 200)  # A swirl around a point of the border.
    turned = torch.stack([angle.cos() * rows - angle.sin() * columns, angle.sin() * rows + angle.cos() * columns])
    displacement = (turned - torch.stack([rows, columns]))[None]
    assert folding(displacement) == 0
    assert folding(F.pad(displacement, [4] * 4, mode="replicate")) > 0
    mended = repair_folds(displacement)
    assert mended is not None
    assert folding(F.pad(mended, [4] * 4, mode="replicate")) == 0


def test_without_a_fold_nothing_changes() -> None:
    displacement = torch.full((1, 2, 20, 20), 0.3)
    assert repair_folds(displacement) is displacement


def test_a_mirror_image_cannot_be_repaired() -> None:
    rows = torch.arange(128.0)[:, None].expand(128, 128)
    mirror = torch.stack([127 - 2 * rows, torch.zeros(128, 128)])[None]
    assert repair_folds(mirror) is None


def test_flows_of_a_rough_velocity_fold_nowhere_and_undo_each_other() -> None:
    velocity = 5 * gaussian(torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(1)), 1.0)
    velocity[1] = 0
    flows = symmetric_flows(velocity, 6)
    assert folding(flows[:1]) > 0
    there, back = repair_folds_of_both(flows).chunk(2)
    assert folding(there[:1]) == folding(back[:1]) == 0
    assert not there[1].any()
    inner = compose(there, back)[:1, :, 12:-12, 12:-12]
    assert float(inner.norm(dim=1).mean()) < 0.1
