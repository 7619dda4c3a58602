"""Unlabelled scans become slices; scans that cannot be used are skipped and named, damaged ones are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from training.configuration import DataConfiguration, run_from
from training.data.batches import Batches
from training.data.files import find_scans, image_files, scan_of
from training.data.pairing import Pairing
from training.data.store import open_store
from training.synthesis.synthesis import Pair, SynthesisConfiguration, synthesise
from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration

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


def test_a_store_that_another_process_made_first_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slower(*_: object) -> list[object]:
        monkeypatch.undo()
        open_store(settings(folder), SIZE)
        return []

    monkeypatch.setattr("training.data.store.read_slices", slower)
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
            "2 values per voxel or time points",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_skipped(folder: Path, name: str, make: object, reason: str) -> None:
    make(folder / name)  # type: ignore[operator]
    store = open_store(settings(folder), SIZE)
    assert [Path(path).name for path in store.findings.skipped] == [name]
    assert reason in next(iter(store.findings.skipped.values()))
    assert len(store) == 18


def test_a_truncated_file_is_skipped(folder: Path) -> None:
    whole = (folder / "p0_ED.nii.gz").read_bytes()
    (folder / "p9_ED.nii.gz").write_bytes(whole[: len(whole) // 2])
    problems = open_store(settings(folder), SIZE).findings.skipped
    assert {Path(path).name: reason for path, reason in problems.items()} == {"p9_ED.nii.gz": "truncated or damaged"}


def test_labels_beside_the_images_are_no_scans(folder: Path) -> None:
    write(folder / "p0_ED_labels.nii.gz", disc())
    assert "p0_ED_labels.nii.gz" not in [scan.path.name for scan in find_scans(image_files((str(folder),)))]


def test_a_folder_without_scans_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"No scan in .*; looked for \.nii, .*\.dcm in all subfolders"):
        image_files((str(tmp_path),))


def test_a_folder_with_nothing_usable_says_why(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    write(tmp_path / "scans" / "a.nii.gz", np.zeros((3, 40, 40), np.int16))
    with pytest.raises(ValueError, match=r"None of 1 scans .* is usable\. a\.nii\.gz: only 1 different"):
        open_store(settings(tmp_path / "scans"), SIZE)


def test_slices_do_not_depend_on_orientation_and_spacing_of_the_file(tmp_path: Path) -> None:
    """The same image, stored along opposite axes and at half the pixel size, gives nearly the same slice."""
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
def test_slices_of_every_plane_are_oriented_as_a_view_shows_them(
    tmp_path: Path, plane: str, down: str, right: str, axes: str
) -> None:
    """A volume whose intensities rise in one direction, stored along any axes, with 1 mm voxels."""
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
    assert "p1_ED_mask.nii.gz" in next(iter(store.findings.skipped.values()))
    assert store[0][1].all()


def test_a_share_of_the_subjects_takes_the_first_ones(folder: Path) -> None:
    store = open_store(settings(folder, subject_share=0.34), SIZE)
    assert {store.entry(n).subject for n in range(len(store))} == {"p0"}


@pytest.mark.parametrize(
    ("name", "subject", "group", "kind"),
    [
        ("sub-1000_T1w.nii.gz", "sub-1000", "sub-1000", "volume"),
        ("patient001_ED.nii.gz", "patient001", "patient001", "volume"),
        ("patient001_ES.nii.gz", "patient001", "patient001", "volume"),
        ("p01_slice3_ED.png", "p01", "p01_slice3", "bitmap"),
        ("oasis2d_0007.nii.gz", "oasis2d_0007", "oasis2d_0007", "volume"),
        ("s.01_a.NII.gz", "s.01", "s.01", "volume"),
        ("alone.nrrd", "alone", "alone", "volume"),
    ],
)
def test_the_name_of_a_file_tells_subject_and_group(name: str, subject: str, group: str, kind: str) -> None:
    scan = scan_of(Path(name))
    assert (scan.subject, scan.group, scan.kind) == (subject, group, kind)


def test_two_phases_of_one_heart_are_paired_slice_by_slice(tmp_path: Path) -> None:
    phases = ("ED", "ES")
    (tmp_path / "scans").mkdir()
    for number in (1, 2):
        for phase in phases:
            write(tmp_path / "scans" / f"patient00{number}_{phase}.nii.gz", disc(10 * number + phases.index(phase)))
    store = open_store(settings(tmp_path / "scans", every=1, pairs="within"), SIZE)
    assert {store.entry(n).subject for n in range(len(store))} == {"patient001", "patient002"}
    pairing = Pairing(store.records, "within")
    for index in range(len(store)):
        (candidate,) = pairing.candidates(index)
        fixed, moving = store.entry(index), store.entry(int(candidate))
        assert (fixed.subject, fixed.level) == (moving.subject, moving.level)
        assert fixed.source != moving.source


def damaged(values: np.ndarray) -> dict[str, np.ndarray]:
    """Scans with few intensities, or clipped inside the body, at the top or at the bottom."""
    low, high = np.quantile(values[values > 0], [0.2, 0.8])
    return {
        "few.nii.gz": values // 16,
        "top.nii.gz": values.clip(0, high),
        "bottom.nii.gz": np.where(values > 0, values.clip(low), low),
    }


def test_scans_that_look_damaged_are_named_and_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, values in damaged(disc(50)).items():
        write(folder / name, values)
    store = open_store(settings(folder), SIZE)
    found = {Path(path).name: reason for path, reason in store.findings.doubtful.items()}
    assert found["few.nii.gz"].startswith("only 8 different intensities")
    assert "inside the body have the highest value" in found["top.nii.gz"]
    assert "inside the body have the lowest value" in found["bottom.nii.gz"]
    assert len(found) == 3
    assert not store.findings.skipped
    with caplog.at_level("WARNING", "training"):
        store.report()
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("3 of 9 scans look damaged and are used nevertheless:")
    assert all(name in warning for name in found)


def test_clipping_beyond_the_intensity_window_is_no_damage(folder: Path) -> None:
    for name, values in damaged(disc(50)).items():
        write(folder / name, values)
    window = PreprocessingConfiguration(intensity="window", lower=130, upper=170)
    store = open_store(settings(folder, preprocessing=window), SIZE)
    assert {Path(path).name for path in store.findings.doubtful} == {"few.nii.gz"}


def test_a_warning_of_many_damaged_scans_names_some_and_counts_the_others(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.data.store._LISTED", 1)
    for name, values in damaged(disc(50)).items():
        write(folder / name, values)
    with caplog.at_level("WARNING", "training"):
        open_store(settings(folder), SIZE).report()
    assert caplog.records[0].getMessage().endswith("and 2 more")


def test_pairs_are_made_in_full_precision_whatever_the_network_has() -> None:
    wanted = run_from({"synthesis": {"size": SIZE}, "optimisation": {"batch": 2}})
    plain = Batches(wanted, None).draw(0, torch.device("cpu"))
    with torch.autocast("cpu", torch.float16):
        again = Batches(wanted, None).draw(0, torch.device("cpu"))
    assert plain.truth is not None
    assert again.truth is not None
    assert torch.equal(plain.truth, again.truth)
    assert torch.equal(plain.fixed, again.fixed)


@pytest.mark.parametrize(("gpu", "world", "groups"), [(False, 1, 3), (False, 3, 1), (True, 1, 1), (True, 2, 1)])
def test_a_gpu_makes_its_pairs_at_once(monkeypatch: pytest.MonkeyPatch, gpu: bool, world: int, groups: int) -> None:
    sizes: list[int] = []

    def counted(count: int, settings: SynthesisConfiguration) -> Pair:
        sizes.append(count)
        return synthesise(count, settings)

    monkeypatch.setattr("training.data.batches.synthesise", counted)
    wanted = run_from({"synthesis": {"size": SIZE}, "optimisation": {"batch": 12}})
    batch = Batches(wanted, None, world - 1, world, gpu).draw(0, torch.device("cpu"))
    assert len(sizes) == groups
    assert sum(sizes) == len(batch.fixed) == 12 // world


def test_real_batches_repeat(folder: Path) -> None:
    store = open_store(settings(folder), SIZE)
    wanted = run_from({"data": {"folders": ("x",), "masks": "auto"}, "synthesis": {"size": SIZE}})
    first, again = (Batches(wanted, store).draw(3, torch.device("cpu")) for _ in range(2))
    assert torch.equal(first.fixed, again.fixed)
    assert first.weight is not None
    assert torch.equal(first.fixed * first.weight, first.fixed)  # Nothing outside the mask.
