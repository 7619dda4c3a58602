"""Unlabelled scans of any kind become slices; what is not usable is named and skipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from training.configuration import DataConfiguration, run_from
from training.data.batches import Batch, Batches, apart
from training.data.files import find_scans, image_files, person_of
from training.data.store import open_store
from training.synthesis.synthesis import Pair, SynthesisConfiguration, synthesise

SIZE = (48, 48)


def write(path: Path, voxels: np.ndarray, spacing: float = 1.0, direction: tuple[float, ...] | None = None) -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([spacing] * image.GetDimension())
    if direction:
        image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


def disc(seed: int = 0, shape: tuple[int, ...] = (5, 60, 50)) -> np.ndarray:
    """A bright disc with texture on black, off the middle."""
    rows, columns = np.indices(shape[-2:])
    inside = (rows - 25) ** 2 + (columns - 22) ** 2 < 15**2
    return (inside * np.random.default_rng(seed).uniform(100, 200, shape)).astype(np.int16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scans").mkdir()
    for number in range(3):
        write(tmp_path / "scans" / f"p{number}_ED.nii.gz", disc(number))
        write(tmp_path / "scans" / f"p{number}_ES.nrrd", disc(number + 10))
    return tmp_path / "scans"


def settings(folder: Path, **changes: object) -> DataConfiguration:
    return DataConfiguration(folders=(str(folder),), cache=str(folder.parent / "cache"), **{"every": 2, **changes})


def test_slices_of_all_files_are_stored(folder: Path) -> None:
    store = open_store(settings(folder), SIZE)
    assert len(store) == 6 * 3 - 6 * (5 % 2 == 0)
    image, mask = store[0]
    assert image.shape == mask.shape == SIZE
    assert image.dtype == np.float16
    assert 0 <= image.min() < 0.1 < 0.9 < image.max() <= 1


def test_a_second_start_reads_nothing_but_the_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(settings(folder), SIZE)
    monkeypatch.setattr("training.data.store.read_slices", lambda *_: pytest.fail("read again"))
    assert len(open_store(settings(folder), SIZE)) == 18


def test_a_second_start_reads_no_header_either(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(settings(folder), SIZE)
    monkeypatch.setattr("training.data.store.find_scans", lambda *_: pytest.fail("looked into the files again"))
    assert len(open_store(settings(folder), SIZE)) == 18


def test_a_scan_that_changed_is_read_again(folder: Path) -> None:
    open_store(settings(folder), SIZE)
    write(folder / "p0_ED.nii.gz", disc(99, (3, 60, 50)))
    assert len(open_store(settings(folder), SIZE)) == 5 * 3 + 2


def test_a_store_that_another_process_made_meanwhile_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overtaken(*_: object) -> list[object]:
        monkeypatch.undo()
        open_store(settings(folder), SIZE)
        return []

    monkeypatch.setattr("training.data.store.read_slices", overtaken)
    assert len(open_store(settings(folder), SIZE)) == 18
    assert not list((folder.parent / "cache").glob("unfinished-*"))


def test_many_chunks_keep_few_files_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.store._CHUNK", 2)
    monkeypatch.setattr("training.data.store._OPEN", 3)
    store = open_store(settings(folder), SIZE)
    assert all(store[index][0].shape == SIZE for index in range(18))
    assert store._chunk.cache_info().currsize == 3


def test_images_stay_on_disk(folder: Path) -> None:
    image, _ = open_store(settings(folder), SIZE)[0]
    assert isinstance(image.base, np.memmap)


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("text.nii", lambda p: p.write_text("no image"), ""),
        ("empty.nrrd", lambda p: p.write_bytes(b""), ""),
        ("constant.nii.gz", lambda p: write(p, np.full((3, 40, 40), 7, np.int16)), "only 1 different intensities"),
        ("binary.nii.gz", lambda p: write(p, (disc() > 0).astype(np.int16)), "only 2 different intensities"),
        ("tiny.nii.gz", lambda p: write(p, disc(5)[:, 20:28, 18:26]), "slices of 8 x 8 pixels; 16 are needed"),
        ("nan.nrrd", lambda p: write(p, np.where(disc() > 0, np.nan, disc(6)).astype(np.float32)), "NaN or infinite"),
        ("twin.nii.gz", lambda p: write(p, disc(0)), "the same voxels as 'p0_ED.nii.gz'"),
        (
            "four.nii.gz",
            lambda p: sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(disc(n)) for n in (8, 9)]), str(p)),
            "2 values a voxel or time points",
        ),
    ],
)
def test_a_file_that_is_not_usable_is_named_and_skipped(folder: Path, name: str, make: object, reason: str) -> None:
    make(folder / name)  # type: ignore[operator]
    store = open_store(settings(folder), SIZE)
    assert [Path(path).name for path in store.problems] == [name]
    assert reason in next(iter(store.problems.values()))
    assert len(store) == 18


def test_a_truncated_file_is_skipped(folder: Path) -> None:
    whole = (folder / "p0_ED.nii.gz").read_bytes()
    (folder / "p9_ED.nii.gz").write_bytes(whole[: len(whole) // 2])
    problems = open_store(settings(folder), SIZE).problems
    assert {Path(path).name: reason for path, reason in problems.items()} == {"p9_ED.nii.gz": "truncated or damaged"}


def test_labels_beside_the_images_are_no_scans(folder: Path) -> None:
    write(folder / "p0_ED_labels.nii.gz", disc())
    assert "p0_ED_labels.nii.gz" not in [path.name for path in find_scans(image_files((str(folder),)))]


def test_a_folder_without_scans_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"No scan in .*; looked for \.nii, .*\.dcm in all subfolders"):
        image_files((str(tmp_path),))


def test_a_folder_with_nothing_usable_says_why(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    write(tmp_path / "scans" / "a.nii.gz", np.zeros((3, 40, 40), np.int16))
    with pytest.raises(ValueError, match=r"None of 1 scans .* is usable\. a\.nii\.gz: only 1 different"):
        open_store(settings(tmp_path / "scans"), SIZE)


def test_orientations_and_spacings_mix(tmp_path: Path) -> None:
    """The same picture, stored the other way round and twice as fine, gives nearly the same slice."""
    (tmp_path / "scans").mkdir()
    smooth = np.tile(np.add.outer(np.linspace(0, 90, 60), np.linspace(0, 60, 60)), (3, 1, 1)).astype(np.float32)
    write(tmp_path / "scans" / "a_1.nii.gz", smooth)
    fine = np.repeat(np.repeat(smooth, 2, axis=1), 2, axis=2)[:, ::-1, ::-1]
    image = sitk.GetImageFromArray(np.ascontiguousarray(fine))
    image.SetSpacing([0.5, 0.5, 1.0])
    image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    sitk.WriteImage(image, str(tmp_path / "scans" / "b_1.nii.gz"))
    store = open_store(settings(tmp_path / "scans", every=3), (56, 56))
    a, b = (store[n][0].astype(float) for n in range(2))
    assert np.abs(a - b).mean() < 0.02  # Half a fine pixel of a ramp of 1/60 a pixel.


@pytest.mark.parametrize(
    ("plane", "down", "right"), [("axial", "back", "left"), ("coronal", "feet", "left"), ("sagittal", "feet", "back")]
)
@pytest.mark.parametrize("axes", ["LPS", "RAS", "PIR"])
def test_slices_of_every_plane_lie_as_a_view_shows_them(
    tmp_path: Path, plane: str, down: str, right: str, axes: str
) -> None:
    """A volume that is brightest where one goes, stored along any axes, with 1 mm voxels."""
    (tmp_path / "scans").mkdir()
    size = 40
    towards = {"left": 0, "back": 1, "feet": 2}  # Axes of LPS, of which the last one points to the head.
    for number, way in enumerate((down, right)):
        ramp = np.indices((size, size, size))[::-1][towards[way]] * (-1.0 if way == "feet" else 1.0)
        image = sitk.GetImageFromArray(ramp)  # Indices run from right to left, front to back, feet to head.
        sitk.WriteImage(sitk.DICOMOrient(image, axes), str(tmp_path / "scans" / f"p{number}_1.nii"))
    store = open_store(settings(tmp_path / "scans", plane=plane, every=20, pairs="within"), (size, size))
    rows, columns = (store[n * len(store) // 2][0].astype(float) for n in range(2))
    assert (np.diff(rows, axis=0)[1:-1] > 0).all()
    assert (np.diff(columns, axis=1)[:, 1:-1] > 0).all()


def test_a_mask_of_another_size_is_named(folder: Path) -> None:
    masks = folder.parent / "masks"
    masks.mkdir()
    for number in range(3):
        for name in (f"p{number}_ED_mask.nii.gz", f"p{number}_ES_mask.nii.gz"):
            write(masks / name, np.ones((5, 60, 50), np.uint8))
    write(masks / "p1_ED_mask.nii.gz", np.ones((5, 20, 50), np.uint8))
    store = open_store(settings(folder, masks=str(masks)), SIZE)
    assert "p1_ED_mask.nii.gz" in next(iter(store.problems.values()))
    assert store[0][1].all()


def test_half_of_the_people_are_the_first_ones(folder: Path) -> None:
    store = open_store(settings(folder, people=0.34), SIZE)
    assert {store.entry(n).person for n in range(len(store))} == {"p0"}


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("sub-1000_T1w.nii.gz", "sub-1000"),
        ("p01_slice3_ED.png", "p01"),
        ("oasis2d_0007.nii.gz", "oasis2d_0007"),
        ("s.01_a.NII.gz", "s.01"),
    ],
)
def test_a_person_is_told_from_the_name(name: str, person: str) -> None:
    assert person_of(Path(name)) == person


def test_the_second_image_of_about_half_of_the_pairs_is_shifted() -> None:
    torch.manual_seed(2)
    first, second = apart(200, 7.0).unflatten(0, (200, 2)).unbind(1)
    assert not bool(first.any())
    shifted = second.flatten(1).any(dim=1)
    assert 70 < int(shifted.sum()) < 130
    assert 6 < float(second.abs().max()) <= 7


def test_real_batches_shift_pairs_apart_only_if_asked_to(folder: Path) -> None:
    store = open_store(settings(folder), SIZE)
    plain, shifted = (
        Batches(run_from({"data": {"folders": ("x",)} | more, "synthesis": {"size": SIZE}}), store).draw(
            3, torch.device("cpu")
        )
        for more in ({}, {"apart": 20})
    )
    assert not torch.equal(plain.moving, shifted.moving)


def drawn(folder: Path, **changes: object) -> Batch:
    """A batch of 32 pairs of real slices."""
    values = {"data": {"folders": ("x",)} | changes, "synthesis": {"size": SIZE}, "optimisation": {"batch": 32}}
    return Batches(run_from(values), open_store(settings(folder), SIZE)).draw(3, torch.device("cpu"))


def test_pairs_bent_alike_differ_as_their_scans_do(tmp_path: Path) -> None:
    for scale, person in enumerate("ab", start=1):  # The same in other units; the same voxels would be skipped.
        write(tmp_path / f"{person}.nii.gz", scale * disc())
    for share, least, most in ((0.0, 0, 0), (0.5, 8, 24), (1.0, 32, 32)):
        batch = drawn(tmp_path, alike=share)
        equal = (batch.fixed - batch.moving).abs().flatten(1).amax(dim=1) < 1e-6
        assert least <= int(equal.sum()) <= most


def test_half_of_the_pairs_bent_alike_are_as_sharp_as_their_scans(tmp_path: Path) -> None:
    for seed, person in enumerate("ab"):  # The disc is at least half as bright as its brightest voxel, or air.
        write(tmp_path / f"{person}.nii.gz", disc(seed))
    for share, least, most in ((0.0, 0, 0), (1.0, 8, 24)):
        batch = drawn(tmp_path, alike=share)
        sharp = ((batch.fixed < 0.02) | (batch.fixed > 0.1)).flatten(1).all(dim=1)
        assert least <= int(sharp.sum()) <= most


def test_of_saturated_pairs_the_network_sees_what_was_clipped_and_the_similarity_all(tmp_path: Path) -> None:
    for seed, person in enumerate("ab"):
        write(tmp_path / f"{person}.nii.gz", disc(seed).clip(0, 150))
    plain, batch = (drawn(tmp_path, saturated=share) for share in (0.0, 0.5))
    assert torch.equal(plain.fixed, plain.similar_fixed)
    for seen, whole in ((batch.fixed, batch.similar_fixed), (batch.moving, batch.similar_moving)):
        two = ((seen == 0) | (seen == 1)).flatten(1).all(dim=1)
        assert 8 <= int(two.sum()) <= 24
        assert torch.equal(seen[~two], whole[~two])
        bright = seen[two] == 1
        assert 0.01 < float(bright.float().mean()) < 0.3
        assert float(whole[two][bright].quantile(0.1)) > 0.8 > float(whole[two][~bright].mean())
    assert not torch.equal(batch.fixed, batch.moving)


def test_what_is_shown_of_saturated_pairs_keeps_single_pixels(tmp_path: Path) -> None:
    for seed, person in enumerate("ab"):
        image = disc(seed).clip(0, 150)
        image[:, 16:40:4, 12:36:4] = 200  # Brighter than all others, each alone.
        write(tmp_path / f"{person}.nii.gz", image)
    batch = drawn(tmp_path, saturated=1.0, alike=1.0)
    assert batch.partial is not None
    assert bool(batch.partial.all())
    counts = batch.fixed.sum(dim=(1, 2, 3))
    assert 8 <= int((counts == 36).sum()) <= 24  # Those that are not bent.
    assert float(counts.min()) > 12  # Bent ones keep most; where they become larger, a pixel may become several.


def test_turned_pairs_come_from_all_sides_and_both_images_from_the_same(tmp_path: Path) -> None:
    image = np.random.default_rng(1).uniform(10, 40, SIZE)
    image[6:14] = 200  # At one border.
    for scale, person in enumerate("ab", start=1):
        write(tmp_path / f"{person}.nii.gz", scale * image)
    for wanted, sides in ((False, 2), (True, 4)):  # Mirrored they are anyway.
        batch = drawn(tmp_path, alike=1.0, turned=wanted)
        assert float((batch.fixed - batch.moving).abs().max()) < 1e-6
        third = SIZE[0] // 3
        borders = [side for way in (batch.fixed, batch.fixed.mT) for side in (way[:, :, :third], way[:, :, -third:])]
        upper = torch.stack([border.mean(dim=(1, 2, 3)) for border in borders]).argmax(dim=0)
        assert len(upper.unique()) == sides


def test_pairs_are_drawn_in_full_precision_beside_a_network_of_half() -> None:
    wanted = run_from({"synthesis": {"size": SIZE}, "optimisation": {"batch": 2}})
    plain = Batches(wanted, None).draw(0, torch.device("cpu"))
    with torch.autocast("cpu", torch.float16):
        again = Batches(wanted, None).draw(0, torch.device("cpu"))
    assert plain.truth is not None
    assert again.truth is not None
    assert torch.equal(plain.truth, again.truth)
    assert torch.equal(plain.fixed, again.fixed)


@pytest.mark.parametrize(("gpu", "world", "groups"), [(False, 1, 3), (False, 3, 1), (True, 1, 1), (True, 2, 1)])
def test_a_gpu_draws_its_pairs_together(monkeypatch: pytest.MonkeyPatch, gpu: bool, world: int, groups: int) -> None:
    drawn: list[int] = []

    def counted(count: int, settings: SynthesisConfiguration) -> Pair:
        drawn.append(count)
        return synthesise(count, settings)

    monkeypatch.setattr("training.data.batches.synthesise", counted)
    wanted = run_from({"synthesis": {"size": SIZE}, "optimisation": {"batch": 12}})
    batch = Batches(wanted, None, world - 1, world, gpu).draw(0, torch.device("cpu"))
    assert len(drawn) == groups
    assert sum(drawn) == len(batch.fixed) == 12 // world


def test_real_batches_repeat(folder: Path) -> None:
    store = open_store(settings(folder), SIZE)
    wanted = run_from({"data": {"folders": ("x",), "masks": "auto"}, "synthesis": {"size": SIZE}})
    first, again = (Batches(wanted, store).draw(3, torch.device("cpu")) for _ in range(2))
    assert torch.equal(first.fixed, again.fixed)
    assert first.weight is not None
    assert torch.equal(first.fixed * first.weight, first.fixed)  # The network sees nothing outside the mask.
