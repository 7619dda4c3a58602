"""A folder holds all files of one run or none of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from UnsupervisedRegistrationLib.headless.output_folder import OutputFolder, completeFiles, fileHash


def write(folder: Path, content: str = "one", overwrite: bool = False, inputs: tuple[Path, ...] = ()) -> OutputFolder:
    """A run that writes two files."""
    with OutputFolder(folder, ["a.txt", "b.txt"], inputs, overwrite) as output:
        output.path("a.txt").write_text(content)
        output.path("b.txt").write_text("b")
        output.finish({"figure": float("nan")})
    return output


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_report_holds_the_hashes_of_the_other_files(tmp_path):
    write(tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["files"] == {name: fileHash(tmp_path / "out" / name) for name in ("a.txt", "b.txt")}
    assert set(contents(tmp_path / "out")) == {"a.txt", "b.txt", "report.json"}


def test_a_number_that_is_not_finite_is_null_in_the_report(tmp_path):
    write(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["figure"] is None


def test_a_run_that_fails_leaves_not_even_the_folder(tmp_path):
    with OutputFolder(tmp_path / "new" / "out", ["a.txt"]) as output:
        output.path("a.txt").write_text("half")
    assert list(tmp_path.iterdir()) == []


def test_a_former_run_is_replaced_only_with_overwrite(tmp_path):
    write(tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(FileExistsError, match="holds the result of a former run; replace it with --overwrite"):
        write(tmp_path / "out", "two")
    assert contents(tmp_path / "out") == before
    write(tmp_path / "out", "two", overwrite=True)
    assert contents(tmp_path / "out")["a.txt"] == "two"


def test_files_that_only_the_former_run_wrote_are_removed(tmp_path):
    write(tmp_path / "out")
    with OutputFolder(tmp_path / "out", ["a.txt"], overwrite=True) as output:
        output.path("a.txt").write_text("two")
        output.finish({})
    assert set(contents(tmp_path / "out")) == {"a.txt", "report.json"}


@pytest.mark.parametrize("name", ["a.txt", "report.json"])
def test_a_file_of_the_user_is_not_replaced_even_with_overwrite(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(FileExistsError, match=f"{name}' is not, or no longer, what a former run wrote"):
        write(tmp_path, overwrite=True)
    assert contents(tmp_path) == {name: "{}"}


def test_a_file_that_changed_since_the_former_run_is_not_replaced(tmp_path):
    write(tmp_path / "out")
    (tmp_path / "out" / "a.txt").write_text("edited")
    with pytest.raises(FileExistsError, match="no longer, what a former run wrote"):
        write(tmp_path / "out", overwrite=True)
    assert contents(tmp_path / "out")["a.txt"] == "edited"


def test_other_files_of_the_folder_stay(tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    write(tmp_path)
    write(tmp_path, overwrite=True)
    assert contents(tmp_path)["notes.md"] == "mine"


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_is_never_an_output(tmp_path, link):
    write(tmp_path / "out")
    link(tmp_path / "out" / "a.txt", tmp_path / "input")
    with pytest.raises(ValueError, match=r"a\.txt' is an input of this run"):
        write(tmp_path / "out", "two", overwrite=True, inputs=(tmp_path / "input",))
    assert contents(tmp_path / "out")["a.txt"] == "one"


def test_the_folder_is_no_input(tmp_path):
    with pytest.raises(ValueError, match="is an input; choose another folder"):
        write(tmp_path, inputs=(tmp_path,))


def test_two_runs_at_once_do_not_mix(tmp_path):
    with OutputFolder(tmp_path, ["a.txt"]) as output:
        output.path("a.txt").write_text("first")
        with pytest.raises(OSError, match="Another run is writing"):
            write(tmp_path, "second")
        output.finish({})
    assert contents(tmp_path)["a.txt"] == "first"


def test_what_a_killed_run_left_is_removed_and_said(tmp_path, monkeypatch):
    """The run ends without any cleaning in the middle of renaming, as after SIGKILL."""
    out, rename, calls = tmp_path / "out", os.replace, []
    write(out)

    def killed(source, target):
        calls.append(target)
        if len(calls) == 5:  # The report and two files were moved away, one new file is there.
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(OutputFolder, "_release", lambda self: self._lock.close())
        patch.setattr(OutputFolder, "_undo", lambda self, moves: None)
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write(out, "two", overwrite=True)
    assert (out / "a.txt").read_text() == "two"
    assert completeFiles(out) == {}
    (out / "notes.md").write_text("mine")
    with OutputFolder(out, ["c.txt"]) as output:
        assert "incomplete run" in output.notes[0]
        assert {path.name for path in out.iterdir() if path.is_file()} == {"notes.md"}


def test_a_failure_while_renaming_brings_the_former_run_back(tmp_path, monkeypatch):
    out, rename = tmp_path / "out", os.replace
    write(out)
    before = contents(out)

    def full(source, target):
        if target == out / "b.txt" and "new" in source.parts:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write(out, "two", overwrite=True)
    assert contents(out) == before


def test_a_file_that_the_run_did_not_name_is_refused(tmp_path):
    with OutputFolder(tmp_path, ["a.txt"]) as output, pytest.raises(ValueError, match="none of the files of this run"):
        output.path("b.txt")
