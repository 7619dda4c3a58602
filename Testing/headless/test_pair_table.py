"""The table of the pairs of a cohort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from training.data.pair_files import listed_pairs
from UnsupervisedRegistrationLib.headless.cohort.pair_table import CohortPair, partOf, readPairTable


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "pairs.csv"
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return write


def test_paths_are_relative_to_the_table(table: Callable[..., Path], tmp_path: Path) -> None:
    (pair,) = readPairTable(table("fixed,moving", "a.nrrd,sub/b.nrrd"))
    assert (pair.fixed, pair.moving) == (tmp_path / "a.nrrd", tmp_path / "sub" / "b.nrrd")


def test_every_column_of_the_evaluation_is_read(table: Callable[..., Path]) -> None:
    columns = [f"{side}{part}" for side in ("fixed", "moving") for part in ("", "_labels", "_landmarks", "_mask")]
    path = table(",".join([*columns, "slice"]), ",".join([*columns, "7"]))
    (pair,) = readPairTable(path)
    ((fixed, moving, index),) = listed_pairs(path, path.parent)
    assert pair.slice == index == 7
    for side, files in (("fixed", fixed), ("moving", moving)):
        parts = (getattr(pair, f"{side}{part}") for part in ("", "Labels", "Landmarks", "Mask"))
        assert list(parts) == [files.image, files.labels, files.landmarks, files.mask]


def test_the_byte_order_mark_of_excel_is_no_part_of_a_column(table: Callable[..., Path]) -> None:
    assert len(readPairTable(table("fixed,moving", "a,b", encoding="utf-8-sig"))) == 1


def test_an_empty_slice_is_the_middle_one(table: Callable[..., Path]) -> None:
    assert readPairTable(table("fixed,moving,slice", "a,b,"))[0].slice is None


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["fixed,slice", "a,1"], "needs the columns fixed and moving"),
        (["fixed,moving"], "at least one row"),
        (["fixed,moving,age", "a,b,3"], "has the columns age"),
    ],
)
def test_a_table_of_other_columns_is_refused(table: Callable[..., Path], lines: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        readPairTable(table(*lines))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (",b,,", "Row 1 names no fixed image."),
        ("a,,,", "Row 1 names no moving image."),
        ("a,b,x,", "has the slice 'x'"),
        ("a,b,,l", "labels of one image only"),
        ("a,b,,,c,d", "more values than there are columns"),
        ("a", "names no moving image"),
    ],
)
def test_a_broken_row_is_a_pair_with_a_problem(table: Callable[..., Path], row: str, words: str) -> None:
    broken, whole = readPairTable(table("fixed,moving,slice,fixed_labels", row, "c,d,,"))
    assert words in broken.problem
    assert not whole.problem


def test_names_are_unique_where_the_case_of_letters_is_ignored(table: Callable[..., Path]) -> None:
    rows = ["x/A.nii.gz,x/b.nii.gz", "y/a.nii.gz,y/B.nii.gz", "A.png,b.png", "a b.png,b.png"]
    names = [pair.name for pair in readPairTable(table("fixed,moving", *rows))]
    assert names == ["b_to_A", "B_to_a-2", "b_to_A-3", "b_to_a_b"]


def test_the_parts_hold_every_pair_once() -> None:
    pairs = [CohortPair(name=str(number), fixed=Path("f"), moving=Path("m")) for number in range(7)]
    parts = [pair for number in (1, 2, 3) for pair in partOf(pairs, f"{number}/3")]
    assert sorted(parts, key=lambda pair: pair.name) == pairs


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "a/b", "-1/3", "1/0"])
def test_a_part_that_does_not_exist_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match="--part needs i/n"):
        partOf([], part)
