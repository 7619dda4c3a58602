"""Files as hospitals store them: DICOM series, several series in one folder, truncated and mislabelled files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from training.configuration import DataConfiguration
from training.data.files import find_scans, image_files, scan_of
from training.data.reading import read_scan
from training.data.store import open_store

SIZE = (48, 48)


def volume(seed: int = 0, shape: tuple[int, ...] = (5, 60, 50)) -> np.ndarray:
    """A bright disc with texture on black."""
    rows, columns = np.indices(shape[-2:])
    inside = (rows - 30) ** 2 + (columns - 25) ** 2 < 15**2
    return (inside * np.random.default_rng(seed).uniform(100, 200, shape)).astype(np.int16)


def write_series(
    folder: Path, series: str, voxels: np.ndarray, patient: str = "p1", ending: str = ".dcm", first_instance: int = 1
) -> None:
    """A DICOM series of CT slices, 2 mm apart, as 1.2 mm pixels; files in an order that is not that of the slices."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetImageIO("GDCMImageIO")
    for index, values in enumerate(voxels):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((1.2, 1.2))
        for key, value in {
            "0008|0060": "CT",
            "0010|0020": patient,
            "0020|000d": "1.2.3",
            "0020|000e": f"1.2.3.{series}",
            "0008|0018": f"1.2.3.{series}.{index + first_instance}",
            "0020|0013": str(index + first_instance),
            "0020|0032": f"0\\0\\{2 * index}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            image.SetMetaData(key, value)
        plain = folder / f"{series}{len(voxels) - index}.dcm"
        writer.SetFileName(str(plain))
        writer.Execute(image)
        if ending != ".dcm":
            plain.rename(plain.with_suffix(ending))


def settings(folder: Path, **changes: object) -> DataConfiguration:
    return DataConfiguration(folders=(str(folder),), cache=str(folder.parent / "cache"), **{"every": 1, **changes})


@pytest.mark.parametrize("ending", [".dcm", "", ".840"])
def test_a_dicom_series_is_one_scan_in_the_order_of_its_slices(tmp_path: Path, ending: str) -> None:
    write_series(tmp_path / "scans", "7", volume(), ending=ending)
    (scan,) = find_scans(image_files((str(tmp_path / "scans"),)))
    image = read_scan(scan, 0)
    assert image.spacing == pytest.approx((1.2, 1.2, 2.0))
    rows_up = image.data[0].numpy().transpose(2, 1, 0)[:, ::-1, ::-1]  # From right, front, top to LPS and array order.
    np.testing.assert_array_equal(rows_up, volume())


def test_several_series_in_one_folder_are_several_scans(tmp_path: Path) -> None:
    write_series(tmp_path / "scans", "7", volume(1), "anna")
    write_series(tmp_path / "scans", "8", volume(2, (3, 60, 50)), "anna")
    write_series(tmp_path / "scans", "9", volume(3, (4, 40, 70)), "bert")
    store = open_store(settings(tmp_path / "scans"), SIZE)
    assert len(store) == 5 + 3 + 4  # Slices; each series has been read from its own files.
    assert {store.entry(n).subject for n in range(len(store))} == {"anna", "bert"}
    assert not store.findings.skipped


def test_a_series_without_a_patient_is_named_after_its_folder(tmp_path: Path) -> None:
    write_series(tmp_path / "case_4", "7", volume(), patient="")
    (scan,) = find_scans(image_files((str(tmp_path),)))
    assert scan.subject == "case_4"


def test_a_truncated_dicom_file_is_named_and_the_rest_of_the_folder_is_used(tmp_path: Path) -> None:
    write_series(tmp_path / "scans", "7", volume())
    (tmp_path / "scans" / "cut.dcm").write_bytes((tmp_path / "scans" / "71.dcm").read_bytes()[:200])
    store = open_store(settings(tmp_path / "scans"), SIZE)
    assert [Path(path).name for path in store.findings.skipped] == ["cut.dcm"]
    assert len(store) == 5


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".jpg", ".dcm"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_truncated_file_of_any_format_is_refused(tmp_path: Path, ending: str, share: float) -> None:
    values = np.random.default_rng(0).integers(0, 255, (6, 60, 60))
    flat = ending in (".png", ".jpg", ".dcm")
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(values[0].astype(np.uint8) if flat else values.astype(np.int16)), str(path))
    assert read_scan(scan_of(path), 0).num_channels == 1
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises((ValueError, RuntimeError)):
        read_scan(scan_of(path), 0)


def test_several_values_per_voxel_are_refused_with_a_reason(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 40, 40, 3)).astype(np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(values, isVector=True), str(tmp_path / "a.nii.gz"))
    with pytest.raises(ValueError, match="3 values per voxel or time points; split it"):
        read_scan(scan_of(tmp_path / "a.nii.gz"), 0)


def test_text_in_a_nifti_file_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_text("no image")
    with pytest.raises(ValueError, match="no NIfTI image, whatever its name says"):
        read_scan(scan_of(tmp_path / "a.nii"), 0)


def test_the_pixel_size_of_a_2d_file_can_be_set_but_not_of_a_volume(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(volume()[0].astype(np.uint8)), str(tmp_path / "flat.png"))
    sitk.WriteImage(sitk.GetImageFromArray(volume()), str(tmp_path / "deep.nii.gz"))
    assert read_scan(scan_of(tmp_path / "flat.png"), 1.5).spacing[:2] == (1.5, 1.5)
    assert read_scan(scan_of(tmp_path / "deep.nii.gz"), 1.5).spacing == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_may_lie_in_any_plane(tmp_path: Path, axis: int) -> None:
    (tmp_path / "scans").mkdir()
    flat = np.expand_dims(volume()[0], axis)
    sitk.WriteImage(sitk.GetImageFromArray(flat), str(tmp_path / "scans" / "a_1.nii.gz"))
    assert len(open_store(settings(tmp_path / "scans"), SIZE)) == 1


def test_a_mask_from_a_file_belongs_to_the_image_of_its_name(tmp_path: Path) -> None:
    for folder in ("scans", "masks"):
        (tmp_path / folder).mkdir()
    region = np.zeros((5, 60, 50), np.uint8)
    region[:, 20:40, 15:35] = 1
    sitk.WriteImage(sitk.GetImageFromArray(volume()), str(tmp_path / "scans" / "a_1.nii.gz"))
    sitk.WriteImage(sitk.GetImageFromArray(region), str(tmp_path / "masks" / "a_1_mask.nii.gz"))
    store = open_store(settings(tmp_path / "scans", masks=str(tmp_path / "masks")), SIZE)
    assert store[0][1].sum() == 20 * 20


def scan_and_masks(folder: Path, masks: dict[str, np.ndarray], spacing: float = 1.0) -> DataConfiguration:
    """The scan ``a_1`` with masks of these names."""
    for name in ("scans", "masks"):
        (folder / name).mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(volume()), str(folder / "scans" / "a_1.nii.gz"))
    for name, voxels in masks.items():
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing([spacing] * 3)
        sitk.WriteImage(image, str(folder / "masks" / f"{name}.nii.gz"))
    return settings(folder / "scans", masks=str(folder / "masks"))


def test_a_mask_of_another_scan_with_a_similar_name_is_not_used(tmp_path: Path) -> None:
    own, other = np.zeros((5, 60, 50), np.uint8), np.ones((5, 60, 50), np.uint8)
    own[:, 20:40, 15:35] = 1
    data = scan_and_masks(tmp_path, {"a_10_mask": other, "a_1_b_mask": other, "a_1_mask": own})
    assert open_store(data, SIZE)[0][1].sum() == 20 * 20


def test_a_mask_at_another_position_is_named(tmp_path: Path) -> None:
    data = scan_and_masks(tmp_path, {"a_1_mask": np.ones((5, 60, 50), np.uint8)}, spacing=1.2)
    with pytest.raises(ValueError, match=r"the mask 'a_1_mask\.nii\.gz' lies 15\.4 mm from where the image does"):
        open_store(data, SIZE)


def test_the_mask_of_a_dicom_series_is_named_after_the_subject(tmp_path: Path) -> None:
    write_series(tmp_path / "scans", "7", volume(), "anna")
    (tmp_path / "masks").mkdir()
    mask = sitk.GetImageFromArray(np.ones((5, 60, 50), np.uint8))
    mask.SetSpacing((1.2, 1.2, 2.0))
    sitk.WriteImage(mask, str(tmp_path / "masks" / "anna.nii.gz"))
    assert open_store(settings(tmp_path / "scans", masks=str(tmp_path / "masks")), SIZE)[0][1].all()


def test_a_scan_with_an_empty_mask_is_named(tmp_path: Path) -> None:
    for folder in ("scans", "masks"):
        (tmp_path / folder).mkdir()
    for name in "ab":
        sitk.WriteImage(sitk.GetImageFromArray(volume(ord(name))), str(tmp_path / "scans" / f"{name}_1.nii.gz"))
        region = np.full((5, 60, 50), name == "a", np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(region), str(tmp_path / "masks" / f"{name}_1_mask.nii.gz"))
    store = open_store(settings(tmp_path / "scans", masks=str(tmp_path / "masks")), SIZE)
    assert list(store.findings.skipped.values()) == ["no slice that shows anything"]
    assert len(store) == 5


@pytest.mark.parametrize("ending", [".png", ".jpg"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_a_bitmap_are_averaged(tmp_path: Path, ending: str, channels: int) -> None:
    flat = volume()[0].astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(flat), str(tmp_path / f"grey{ending}"))
    colours = np.stack([flat] * 3 + [np.full_like(flat, 255)], -1)[..., : 3 if ending == ".jpg" else channels]
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / f"colour{ending}"))
    grey, colour = (read_scan(scan_of(tmp_path / f"{name}{ending}"), 0.0) for name in ("grey", "colour"))
    assert colour.num_channels == 1
    assert float((grey.data.float() - colour.data).abs().mean()) < 1  # Of 255; JPEG stores colours with a loss.


def test_a_bitmap_of_16_bits_keeps_its_intensities(tmp_path: Path) -> None:
    flat = volume()[0].astype(np.uint16) * 200
    sitk.WriteImage(sitk.GetImageFromArray(flat), str(tmp_path / "deep.png"))
    assert int(read_scan(scan_of(tmp_path / "deep.png"), 0.0).data.max()) == flat.max()


def test_the_same_scan_in_another_number_format_is_used_once(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for number, kind in enumerate((np.int16, np.float32)):
        image = sitk.GetImageFromArray(volume().astype(kind))
        sitk.WriteImage(image, str(tmp_path / "scans" / f"p{number}_1.nrrd"))
    store = open_store(settings(tmp_path / "scans"), SIZE)
    assert list(store.findings.skipped.values()) == ["the same voxels as 'p0_1.nrrd'"]


def test_a_slice_that_is_twice_in_a_folder_counts_once(tmp_path: Path) -> None:
    write_series(tmp_path, "7", volume())
    for path in list(tmp_path.glob("*.dcm")):
        shutil.copy(path, tmp_path / f"copy_{path.name}")
    (scan,) = find_scans(image_files((str(tmp_path),)))
    image = read_scan(scan, 0)
    assert image.shape == (1, 50, 60, 5)
    assert image.spacing == pytest.approx((1.2, 1.2, 2.0))


def test_time_points_in_one_series_are_refused_with_a_reason(tmp_path: Path) -> None:
    write_series(tmp_path, "7", volume())
    write_series(tmp_path / "later", "7", volume(1), first_instance=6)
    for path in list((tmp_path / "later").glob("*.dcm")):
        path.rename(tmp_path / f"later_{path.name}")
    (scan,) = find_scans(image_files((str(tmp_path),)))
    with pytest.raises(ValueError, match="10 slices at 5 positions; split its time points into series"):
        read_scan(scan, 0)


def test_files_that_were_added_to_a_folder_are_found(tmp_path: Path) -> None:
    write_series(tmp_path, "7", volume())
    assert len(find_scans(image_files((str(tmp_path),)))) == 1
    write_series(tmp_path, "8", volume(1))
    first, second = find_scans(image_files((str(tmp_path),)))
    assert read_scan(first, 0).num_channels == read_scan(second, 0).num_channels == 1


def test_an_organ_in_the_name_means_labels_only_beside_the_image(tmp_path: Path) -> None:
    for name in ("p1_s1.png", "p1_s1_liver.png", "p2_liver.png"):
        sitk.WriteImage(sitk.GetImageFromArray(volume()[0].astype(np.uint8)), str(tmp_path / name))
    assert [scan.path.name for scan in find_scans(image_files((str(tmp_path),)))] == ["p1_s1.png", "p2_liver.png"]


def test_a_folder_of_labels_alone_says_so(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(volume()), str(tmp_path / "scans" / "a_mask.nii.gz"))
    with pytest.raises(
        ValueError, match=r"None of 0 scans in .*scans is usable\. The names of all files say that they"
    ):
        open_store(settings(tmp_path / "scans"), SIZE)
