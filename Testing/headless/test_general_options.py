"""What every command has: version, help, quiet, verbose, threads, log, options file and completion."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from UnsupervisedRegistrationLib.headless import session
from UnsupervisedRegistrationLib.headless.__main__ import main
from UnsupervisedRegistrationLib.headless.commands import COMMANDS

COMMAND = "import sys; from UnsupervisedRegistrationLib.headless.__main__ import main; sys.exit(main(sys.argv[1:]))"
FAST = ["--preset", "fast", "--model", "any-contrast", "--device", "cpu"]


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def test_version_names_program_and_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("unsupervised-registration ")


@pytest.mark.parametrize("command", [add.__name__.removeprefix("add").lower() for add in COMMANDS])
def test_the_help_of_a_command_has_an_example_of_it(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"  unsupervised-registration {command}" in capsys.readouterr().out.split("examples:")[1]


def test_quiet_prints_the_last_line_only(files, tmp_path):
    outcome = run("register", files.fixed, files.moving, "--output", tmp_path / "out", "--quiet", *FAST)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "Exit code 0: done.\n"


def test_verbose_shows_the_seconds_of_each_step(files, tmp_path):
    outcome = run("register", files.fixed, files.moving, "--output", tmp_path / "out", "--verbose", *FAST)
    assert "read the files (0.0 s)\n" in outcome.err


def test_the_log_has_command_steps_and_result_and_is_appended(files, tmp_path):
    log = tmp_path / "run.log"
    log.write_text("before\n")
    outcome = run("register", files.fixed, files.moving, "--output", tmp_path / "out", "--log", log, *FAST)
    text = log.read_text()
    assert text.startswith("before\n")
    assert "unsupervised-registration register" in text
    assert "0 % read the files" in text
    assert outcome.out.splitlines()[0] in text


def test_the_log_has_the_error(tmp_path):
    run("register", tmp_path / "no.nii", tmp_path / "no.nii", "--output", tmp_path / "out", "--log", tmp_path / "log")
    assert "There is no file" in (tmp_path / "log").read_text()


def test_threads_limits_those_of_torch(monkeypatch):
    counts = []
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    assert run("models", "--threads", 3).code == 0
    assert counts == [3]


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_wrong_number_of_threads_is_refused(capsys, count):
    with pytest.raises(SystemExit, match="2"):
        main(["models", f"--threads={count}"])
    assert "is no whole number from 1" in capsys.readouterr().err


def test_a_run_writes_options_that_the_next_run_accepts(files, tmp_path):
    first = run("register", files.fixed, files.moving, "--output", tmp_path / "a", "--fixed-slice", 3, *FAST)
    second = run("register", "--options", tmp_path / "a" / "options.json", "--output", tmp_path / "b")
    assert (first.code, second.code) == (0, 0), second.err
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in "ab"]
    assert reports[0]["slice"] == reports[1]["slice"] == "axial slice 3"
    assert reports[0]["options"] == reports[1]["options"]
    assert reports[0]["files"]["options.json"] == reports[1]["files"]["options.json"]


def test_an_argument_counts_more_than_the_options_file(files, tmp_path):
    run("register", files.fixed, files.moving, "--output", tmp_path / "a", "--fixed-slice", 3, *FAST)
    run("register", "--options", tmp_path / "a" / "options.json", "--output", tmp_path / "b", "--fixed-slice", 1)
    assert json.loads((tmp_path / "b" / "report.json").read_text())["slice"] == "axial slice 1"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("nothing", "is no options file"),
        ("[]", "is no options file"),
        ('{"command": "demo", "arguments": {}}', "has the options of 'demo', not of 'register'"),
        ('{"command": "register", "arguments": {"speed": 1}}', "arguments that 'register' does not know: speed"),
    ],
)
def test_another_file_is_refused_as_options_file(tmp_path, content, sentence):
    (tmp_path / "o.json").write_text(content)
    outcome = run("register", "a", "b", "--output", tmp_path / "out", "--options", tmp_path / "o.json")
    assert outcome.code == 2
    assert sentence in outcome.err


def chatter(scene):
    os.write(2, b"HDF5-DIAG: Error detected\n")
    raise ValueError("The sentence.")


@pytest.mark.parametrize("isVerbose", [False, True])
def test_native_messages_do_not_reach_the_terminal_unless_verbose(tmp_path, monkeypatch, capfd, isVerbose):
    monkeypatch.setattr(session, "newScene", lambda: chatter(None))
    assert main(["demo", "--output", str(tmp_path / "out"), *(["--verbose"] if isVerbose else [])]) == 2
    said = capfd.readouterr().err
    assert ("HDF5-DIAG" in said) == isVerbose
    assert said.endswith("unsupervised-registration: The sentence. (exit code 2)\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no /dev/full.")
@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_a_standard_error_that_takes_nothing_does_not_end_the_run(tmp_path, stream):
    arguments = f'"{sys.executable}" -c "{COMMAND}" demo --output {tmp_path / "out"} {" ".join(FAST)} {stream}'
    done = subprocess.run(["sh", "-c", arguments], stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Exit code 0: done.")
    assert (tmp_path / "out" / "report.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="The completion belongs to Unix shells.")
def test_the_shell_completes_the_choices_of_an_option(tmp_path):
    line = "unsupervised-registration register --preset th"
    environment = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    script = f'"{sys.executable}" -c "{COMMAND}" 8>{tmp_path / "found"}'
    subprocess.run(["sh", "-c", script], env={**os.environ, **environment}, check=False)
    assert (tmp_path / "found").read_text().strip() == "thorough"


def test_the_options_file_is_one_of_the_files_of_the_run(files, tmp_path: Path):
    run("register", files.fixed, files.moving, "--output", tmp_path / "a", *FAST)
    assert json.loads((tmp_path / "a" / "options.json").read_text())["arguments"]["fixed"] == str(files.fixed)


def test_more_threads_than_memory_holds_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--output", "out", "--threads", "100000"])
    assert "'100000' is more than 256 threads; give the number of cores" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "name"), [("--log", "no/run.log"), ("--options", "nowhere.json")])
def test_an_error_of_the_system_names_the_file(tmp_path, capsys, option, name):
    assert main(["demo", "--output", str(tmp_path / "out"), option, str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert f"{name}' cannot be read or written (No such file or directory); check the path. (exit code 2)" in said


def test_a_full_memory_is_a_sentence(tmp_path, capsys, monkeypatch):
    def full(*arguments):
        raise MemoryError

    monkeypatch.setattr("UnsupervisedRegistrationLib.headless.commands.models._wrapped", full)
    assert main(["models"]) == 2
    assert "The memory is not enough; register smaller images" in capsys.readouterr().err
