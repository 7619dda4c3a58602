"""What each augmentation changes, and that none of them changes the stored slices."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from test_data import SIZE, disc, settings, write
from torch import Tensor

from training.configuration import AugmentationConfiguration, run_from
from training.data.augmentation import (
    ApplyMask,
    BackgroundNoise,
    Deform,
    Gamma,
    ImagePairs,
    Mirror,
    Share,
    Translate,
    Warp,
    augmentations,
)
from training.data.batches import Batch, Batches
from training.data.store import open_store, prepare
from training.synthesis.synthesis import SynthesisConfiguration

COUNT = 200
WHOLE = Share(COUNT, torch.arange(COUNT))


@pytest.fixture
def pairs() -> ImagePairs:
    """Pairs of identical images, dark on the left and bright on the right, with the middle as mask."""
    images = torch.linspace(0.2, 0.8, 32).expand(2 * COUNT, 1, 32, 32).clone()
    masks = torch.zeros_like(images)
    masks[..., 8:24, 8:24] = 1
    torch.manual_seed(2)
    return ImagePairs(images, masks, torch.zeros(2 * COUNT, 2, 32, 32))


def both(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values of the fixed and of the moving images."""
    return values[0::2], values[1::2]


def test_both_images_of_half_of_the_pairs_are_mirrored(pairs: ImagePairs) -> None:
    fixed, moving = both(Mirror()(pairs, WHOLE).images)
    assert torch.equal(fixed, moving)
    mirrored = fixed[:, 0, 0, 0] > fixed[:, 0, 0, -1]
    assert 70 < int(mirrored.sum()) < 130
    assert torch.equal(fixed[mirrored], pairs.images[0::2][mirrored].flip(3))


def test_the_moving_image_of_half_of_the_pairs_is_shifted(pairs: ImagePairs) -> None:
    fixed, moving = both(Translate(7.0)(pairs, WHOLE).displacement)
    assert not bool(fixed.any())
    shifted = moving.flatten(1).any(dim=1)
    assert 70 < int(shifted.sum()) < 130
    assert 6 < float(moving.abs().max()) <= 7
    assert torch.equal(moving, moving[..., :1, :1].expand_as(moving))


@pytest.mark.parametrize(
    ("shared", "equal", "zero"), [(0.0, (0, 0), (0, 0)), (0.5, (70, 130), (30, 70)), (1.0, (200, 200), (70, 130))]
)
def test_a_share_of_the_pairs_has_one_deformation_and_half_of_these_none(
    pairs: ImagePairs, shared: float, equal: tuple[int, int], zero: tuple[int, int]
) -> None:
    wanted = SynthesisConfiguration((32, 32), warp_scales=(8, 16), warp_strengths=(1, 2))
    fixed, moving = both(Deform(wanted, shared)(pairs, WHOLE).displacement)
    same = (fixed == moving).flatten(1).all(dim=1)
    undeformed = (moving == 0).flatten(1).all(dim=1)
    assert equal[0] <= int(same.sum()) <= equal[1]
    assert zero[0] <= int(undeformed.sum()) <= zero[1]


def test_images_are_warped_once_by_the_sum_of_all_displacements(pairs: ImagePairs) -> None:
    column = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)
    warped = Warp()(pairs.replace(displacement=pairs.displacement + column), WHOLE)
    torch.testing.assert_close(warped.images[..., :-2], pairs.images[..., 2:])
    assert torch.equal(warped.masks[..., 6:22], pairs.masks[..., 8:24])
    assert not bool(warped.displacement.any())


def test_gamma_is_the_same_for_both_images_and_keeps_the_order_of_intensities(pairs: ImagePairs) -> None:
    fixed, moving = both(Gamma()(pairs, WHOLE).images)
    assert torch.equal(fixed, moving)
    assert bool((fixed.diff(dim=3) > 0).all())
    assert float(fixed[:, 0, 0, 16].std()) > 0.05


def test_noise_replaces_what_lies_outside_the_mask_only(pairs: ImagePairs) -> None:
    images = BackgroundNoise(0.3)(pairs, WHOLE).images
    inside = pairs.masks > 0
    assert torch.equal(images[inside], pairs.images[inside])
    assert 0.05 < float(images[~inside].std()) < 0.3


def test_masked_images_are_zero_outside_the_mask(pairs: ImagePairs) -> None:
    images = ApplyMask()(pairs, WHOLE).images
    assert torch.equal(images, pairs.images * pairs.masks)
    assert float(images[pairs.masks == 0].abs().max()) == 0


def test_a_process_varies_its_pairs_as_one_process_varies_all(pairs: ImagePairs) -> None:
    own = torch.tensor([3, 8, 150])
    rows = torch.stack([2 * own, 2 * own + 1], dim=1).flatten()
    part = ImagePairs(pairs.images[rows], pairs.masks[rows], pairs.displacement[rows])
    steps = (
        Mirror(),
        Deform(SynthesisConfiguration((32, 32)), 0.5),
        Translate(3.0),
        Warp(),
        Gamma(),
        BackgroundNoise(0.3),
    )
    for step in steps:
        torch.manual_seed(4)
        whole = step(pairs, WHOLE)
        torch.manual_seed(4)
        found = step(part, Share(COUNT, own))
        for name, values in vars(found).items():
            assert torch.equal(values, getattr(whole, name)[rows]), (step, name)


def test_augmentation_never_changes_the_stored_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scans").mkdir()
    for number in range(2):
        write(tmp_path / "scans" / f"p{number}_1.nii.gz", disc(number))
    data = settings(tmp_path / "scans")
    first = prepare(data, SIZE)
    monkeypatch.setattr("training.data.store.read_slices", lambda *_: pytest.fail("prepared again"))
    values = dataclasses.asdict(data)
    for field in dataclasses.fields(AugmentationConfiguration):
        run = run_from({"data": values, "augmentation": {field.name: 0.7}, "synthesis": {"size": SIZE}})
        assert getattr(run.augmentation, field.name) == 0.7
        assert prepare(run.data, run.synthesis.size) == first
    assert not {field.name for field in dataclasses.fields(data)} & set(vars(AugmentationConfiguration()))


def real(folder: Path, **changes: object) -> Batch:
    """A batch of 32 pairs of real slices."""
    values = {
        "data": {"folders": ("x",)},
        "augmentation": changes,
        "synthesis": {"size": SIZE},
        "optimisation": {"batch": 32},
    }
    return Batches(run_from(values), open_store(settings(folder), SIZE)).draw(3, torch.device("cpu"))


@pytest.mark.parametrize("changes", [{"translation": 20.0}, {"background_noise": 0.3}, {"shared_deformation": 1.0}])
def test_real_batches_change_with_every_augmentation(tmp_path: Path, changes: dict[str, float]) -> None:
    (tmp_path / "scans").mkdir()
    for number in range(2):
        write(tmp_path / "scans" / f"p{number}_1.nii.gz", disc(number))
    plain, augmented = (real(tmp_path / "scans", **given) for given in ({}, changes))
    assert not torch.equal(plain.moving, augmented.moving)


def test_pairs_with_a_shared_deformation_differ_as_their_scans_do(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for scale, subject in enumerate("ab", start=1):  # Equal but for the unit; equal voxels would be skipped.
        write(tmp_path / "scans" / f"{subject}.nii.gz", scale * disc())
    for share, expected in ((0.0, 0), (1.0, 32)):
        batch = real(tmp_path / "scans", shared_deformation=share)
        equal = (batch.fixed - batch.moving).abs().flatten(1).amax(dim=1) < 1e-6
        assert int(equal.sum()) == expected


def test_the_list_of_augmentations_holds_what_a_run_asks_for() -> None:
    plain = [type(step) for step in augmentations(run_from({}))]
    assert plain == [Mirror, Deform, Warp, Gamma]
    wanted = {"augmentation": {"translation": 3, "background_noise": 0.1}, "data": {"masks": "auto"}}
    assert [type(step) for step in augmentations(run_from(wanted))] == [
        Mirror,
        Deform,
        Translate,
        Warp,
        Gamma,
        BackgroundNoise,
        ApplyMask,
    ]


def test_noise_stays_in_the_range_of_intensities(pairs: ImagePairs) -> None:
    images = BackgroundNoise(5.0)(pairs, WHOLE).images
    assert float(images.min()) >= 0
    assert float(images.max()) == 1
