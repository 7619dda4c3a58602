"""A folder with a report matches it, whatever ended the run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from UnsupervisedRegistrationLib.headless.output_folder import fileHash

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has neither fork nor these signals.")

KILLS = 20
# Loads everything once; each line of standard input then starts a run in a copy of the process. No run takes place in
# the process itself, because the threads of ITK and torch do not survive a copy.
SERVER = """
import os, sys
from UnsupervisedRegistrationLib.headless import registration_run, session
from UnsupervisedRegistrationLib.headless.__main__ import main
for line in sys.stdin:
    child = os.fork()
    if not child:
        sys.stdout = open(os.devnull, "w")
        os._exit(main(sys.argv[1:]))
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
COMMAND = """
import sys
from UnsupervisedRegistrationLib.headless.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
FULL_DISK = """
import resource, sys
from UnsupervisedRegistrationLib.headless.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
sys.exit(main(sys.argv[1:]))
"""


def arguments(files, folder: Path) -> list[str]:
    options = ["--preset", "fast", "--model", "any-contrast", "--device", "cpu", "--overwrite"]
    return ["register", str(files.fixed), str(files.moving), "--output", str(folder), *options]


def isComplete(folder: Path) -> bool:
    """Whether the folder has a report; if so, it holds exactly the files of its run."""
    if not (folder / "report.json").exists():
        return False
    hashes = json.loads((folder / "report.json").read_text())["files"]
    assert {path.name for path in folder.iterdir() if path.is_file()} == {"report.json", *hashes}
    assert {name: fileHash(folder / name) for name in hashes} == hashes
    return True


def start(script: str, *given: str, errors: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Starts a script in a process with text streams."""
    run = [sys.executable, "-c", script, *given]
    return subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)


def test_a_folder_with_a_report_matches_it_after_every_kill(files, tmp_path):
    moments, folder, seconds = random.Random(1), tmp_path / "out", None
    with start(SERVER, *arguments(files, folder), errors=subprocess.DEVNULL) as server:
        states = []
        for _ in range(KILLS + 1):
            server.stdin.write("run\n")
            server.stdin.flush()
            child, began = int(server.stdout.readline()), time.monotonic()
            if seconds is not None:  # The first run ends by itself.
                time.sleep(moments.uniform(0, seconds))
                with contextlib.suppress(ProcessLookupError):  # It may have ended already.
                    os.kill(child, signal.SIGKILL)
            assert int(server.stdout.readline()) in (0, signal.SIGKILL)
            seconds = seconds or time.monotonic() - began
            states.append(isComplete(folder))
        server.stdin.close()
    assert states[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_file_but_the_reason(files, tmp_path, number):
    with start(COMMAND, *arguments(files, tmp_path / "out")) as process:
        while "write the" not in (line := process.stderr.readline()):
            assert line, "The run ended before it wrote a file."
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        said = process.stderr.read()
    assert said.splitlines()[-1].startswith(f"unsupervised-registration: Stopped by {number.name}.")
    assert [path.name for path in tmp_path.iterdir()] == ["out.failed.json"]
    assert "Stopped by" in json.loads((tmp_path / "out.failed.json").read_text())["failed"]


def test_a_full_disk_leaves_no_file_but_the_reason(files, tmp_path):
    with start(FULL_DISK, *arguments(files, tmp_path / "out")) as process:
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 2, said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["out.failed.json"]
