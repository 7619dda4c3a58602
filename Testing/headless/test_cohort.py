"""A cohort: a folder a pair, a table of results, and nothing done twice."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import SimpleITK as sitk
import torch

from phantom_cohort import writeCohort
from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.cohort import cohort_run, pair_task
from UnsupervisedRegistrationLib.headless.cohort.result_table import RESULT_COLUMNS, CohortRow, ResultTable

OPTIONS = ("--device", "cpu", "--preset", "fast", "--model", "any-contrast")
TIMES = {"seconds", "worker"}


def run(*arguments: object) -> SimpleNamespace:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["cohort", *map(str, arguments), *OPTIONS])
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def rowsOf(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def withoutTimes(path: Path) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rowsOf(path)]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Three pairs, the second of them broken, registered."""
    folder = tmp_path_factory.mktemp("cohort")
    table = writeCohort(folder / "in", 3)
    (folder / "in" / "01_moving.nrrd").write_text("no image")
    return SimpleNamespace(folder=folder, table=table, results=folder / "out", said=run(table, folder / "out"))


@pytest.fixture
def copied(cohort: SimpleNamespace, tmp_path: Path) -> SimpleNamespace:
    """The cohort, where a test may change it."""
    shutil.copytree(cohort.folder, tmp_path / "copy")
    return SimpleNamespace(table=tmp_path / "copy" / "in" / "pairs.csv", results=tmp_path / "copy" / "out")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pairs that are registered from now on."""
    names: list[str] = []
    original = cohort_run.registerPair
    monkeypatch.setattr(cohort_run, "registerPair", lambda task: names.append(task.pair.name) or original(task))
    return names


class TestRun:
    def test_it_exits_with_0_though_a_pair_is_broken(self, cohort: SimpleNamespace) -> None:
        assert cohort.said.code == 0, cohort.said.err
        assert cohort.said.out.startswith("3 pairs: 2 registered, 1 failed. The table is ")

    def test_the_table_has_a_row_for_each_pair_in_their_order(self, cohort: SimpleNamespace) -> None:
        rows = rowsOf(cohort.results / "results.csv")
        assert [row["pair"] for row in rows] == [f"0{n}_moving_to_0{n}_fixed" for n in range(3)]
        assert tuple(rows[0]) == RESULT_COLUMNS

    def test_a_broken_pair_is_a_row_with_a_sentence(self, cohort: SimpleNamespace) -> None:
        row = rowsOf(cohort.results / "results.csv")[1]
        assert row["quality_check"] == "failed"
        assert "01_moving.nrrd' cannot be read as an image" in row["message"]
        assert not row["similarity_after"]

    def test_a_broken_pair_has_no_folder_but_a_note_beside_it(self, cohort: SimpleNamespace) -> None:
        assert not (cohort.results / "01_moving_to_01_fixed").exists()
        assert "failed" in json.loads((cohort.results / "01_moving_to_01_fixed.failed.json").read_text())

    def test_every_other_pair_has_a_folder_with_all_files(self, cohort: SimpleNamespace) -> None:
        names = {path.name for path in (cohort.results / "00_moving_to_00_fixed").iterdir()}
        assert names == {"transform.h5", "warped.nrrd", "before-after.png", "report.json"}

    def test_labels_and_landmarks_come_closer(self, cohort: SimpleNamespace) -> None:
        for row in rowsOf(cohort.results / "results.csv")[::2]:
            assert float(row["dice_after"]) > float(row["dice_before"]) > 0.5
            assert float(row["tre_after_mm"]) < float(row["tre_before_mm"])

    def test_the_landmarks_lie_as_far_apart_as_the_field_is_long(self, cohort: SimpleNamespace) -> None:
        """The field moves no point by more than 4 px of 1 mm along each axis."""
        assert 0.1 < float(rowsOf(cohort.results / "results.csv")[0]["tre_before_mm"]) < 4 * math.sqrt(2)

    def test_the_transform_takes_the_moving_image_to_the_warped_one(self, cohort: SimpleNamespace) -> None:
        folder = cohort.results / "00_moving_to_00_fixed"
        moving = sitk.ReadImage(str(cohort.table.parent / "00_moving.nrrd"), sitk.sitkFloat32)
        volume = sitk.JoinSeries(moving)
        warped = sitk.ReadImage(str(folder / "warped.nrrd"), sitk.sitkFloat32)
        mapped = sitk.Resample(volume, warped, sitk.ReadTransform(str(folder / "transform.h5")), sitk.sitkLinear)
        inside = (slice(None), slice(8, -8), slice(8, -8))
        expected, found = (sitk.GetArrayFromImage(image)[inside] for image in (warped, mapped))
        assert abs(found - expected).max() < 0.01 * (expected.max() - expected.min())

    def test_the_process_uses_as_many_threads_as_it_is_told(self, copied: SimpleNamespace) -> None:
        before = torch.get_num_threads()
        try:
            run(copied.table, copied.results, "--threads", 2, "--part", "1/3")
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    def test_a_table_that_is_missing_is_bad_input(self, tmp_path: Path) -> None:
        said = run(tmp_path / "none.csv", tmp_path / "out")
        assert said.code == 2
        assert "none.csv" in said.err


class TestResume:
    def test_a_second_start_registers_nothing_and_keeps_the_table(
        self, copied: SimpleNamespace, done: list[str]
    ) -> None:
        before = (copied.results / "results.csv").read_text()
        assert run(copied.table, copied.results).code == 0
        assert done == []
        assert (copied.results / "results.csv").read_text() == before

    def test_other_options_register_all_pairs_again(self, copied: SimpleNamespace, done: list[str]) -> None:
        run(copied.table, copied.results, "--smoothness-weight", 2)
        assert len(done) == 3

    def test_a_changed_input_registers_its_pair_again(self, copied: SimpleNamespace, done: list[str]) -> None:
        shutil.copy(copied.table.with_name("02_moving.nrrd"), copied.table.with_name("01_moving.nrrd"))
        said = run(copied.table, copied.results)
        assert done == ["01_moving_to_01_fixed"]
        assert "3 registered, 2 complete before this run" in said.out
        assert not (copied.results / "01_moving_to_01_fixed.failed.json").exists()

    @pytest.mark.parametrize("name", ["report.json", "warped.nrrd"])
    def test_a_folder_that_lacks_a_file_is_done_again(
        self, copied: SimpleNamespace, done: list[str], name: str
    ) -> None:
        (copied.results / "00_moving_to_00_fixed" / name).unlink()
        for left in ("transform.h5", "before-after.png", "warped.nrrd"):
            if name == "report.json":
                (copied.results / "00_moving_to_00_fixed" / left).unlink()
        run(copied.table, copied.results)
        assert done == ["00_moving_to_00_fixed"]
        assert (copied.results / "00_moving_to_00_fixed" / name).is_file()

    def test_what_no_input_is_to_blame_for_is_tried_again(
        self, copied: SimpleNamespace, done: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.rmtree(copied.results)
        with monkeypatch.context() as patch:
            patch.setattr(pair_task, "_register", _failing(OSError(28, "No space left on device")))
            run(copied.table, copied.results)
        assert "No space left" in rowsOf(copied.results / "results.csv")[0]["message"]
        done.clear()
        run(copied.table, copied.results)
        assert len(done) == 3

    @pytest.mark.parametrize("error", [RuntimeError("out of memory"), MemoryError()])
    def test_an_error_of_a_pair_ends_no_cohort(
        self, copied: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        monkeypatch.setattr(pair_task, "_register", _failing(error))
        assert run(copied.table, copied.results, "--smoothness-weight", 3).code == 0
        assert rowsOf(copied.results / "results.csv")[0]["message"] in ("out of memory", "MemoryError")


def _failing(error: Exception) -> object:
    def fail(*arguments: object) -> None:
        raise error

    return fail


class TestParts:
    def test_parts_together_are_the_whole(self, cohort: SimpleNamespace, tmp_path: Path) -> None:
        for part in ("1/2", "2/2"):
            run(cohort.table, tmp_path / "out", "--part", part)
        first, second = (withoutTimes(tmp_path / "out" / f"results-{n}-of-2.csv") for n in (1, 2))
        assert sorted(first + second, key=lambda row: row["pair"]) == withoutTimes(cohort.results / "results.csv")

    def test_a_run_over_all_pairs_after_the_parts_registers_nothing(
        self, cohort: SimpleNamespace, tmp_path: Path, done: list[str]
    ) -> None:
        for part in ("1/2", "2/2"):
            run(cohort.table, tmp_path / "out", "--part", part)
        done.clear()
        run(cohort.table, tmp_path / "out")
        assert done == []
        assert len(rowsOf(tmp_path / "out" / "results.csv")) == 3


class TestTable:
    def test_rows_are_in_the_order_of_the_pairs_whatever_finishes_first(self, tmp_path: Path) -> None:
        table = ResultTable(tmp_path / "results.csv", ["a", "b", "c"])
        table.add(CohortRow("c"))
        table.add(CohortRow("a"))
        assert [row["pair"] for row in rowsOf(table.path)] == ["a", "c"]

    def test_a_number_keeps_all_its_digits(self, tmp_path: Path) -> None:
        table = ResultTable(tmp_path / "results.csv", ["a"])
        table.add(CohortRow("a", similarity_after=0.1 + 0.2))
        assert float(rowsOf(table.path)[0]["similarity_after"]) == 0.1 + 0.2

    def test_it_leaves_no_other_file(self, tmp_path: Path) -> None:
        ResultTable(tmp_path / "results.csv", ["a"]).add(CohortRow("a"))
        assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_the_options_of_a_run_start_the_next(cohort: SimpleNamespace, done: list[str], tmp_path: Path) -> None:
    given = json.loads((cohort.results / "options.json").read_text())
    assert given["command"] == "cohort"
    assert given["arguments"]["model"] == "any-contrast"
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        again = main(["cohort", str(tmp_path / "out"), "--options", str(cohort.results / "options.json")])
        nothing = main(["cohort", str(cohort.results), "--options", str(cohort.results / "options.json")])
    assert (again, nothing) == (0, 0)
    assert len(done) == 3  # In the new folder; the former one is complete.
    assert withoutTimes(tmp_path / "out" / "results.csv") == withoutTimes(cohort.results / "results.csv")
