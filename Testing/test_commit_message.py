"""The hook that checks commit messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[1] / ".ci" / "check_commit_message.py"


def check(tmp_path: Path, message: str) -> tuple[int, str]:
    path = tmp_path / "COMMIT_EDITMSG"
    path.write_text(message, encoding="utf-8")
    run = subprocess.run([sys.executable, str(HOOK), str(path)], capture_output=True, text=True, check=False)
    return run.returncode, run.stderr


@pytest.mark.parametrize(
    "message",
    [
        "DOC: Describe the presets\n",
        "STYLE: Sort the imports",
        "ENH: Register a range of slices\n\nOne transform covers the range, so that a volume can be warped.\n",
        f"COMP: {'x' * 66}\n",
        "BUG: Read 16-bit PNG files\n\nTheir values were halved.\n# Please enter the commit message\n",
        "Merge branch 'main' into topic\n",
        "fixup! ENH: Register a range of slices\n",
    ],
)
def test_a_good_message_passes(tmp_path: Path, message: str) -> None:
    assert check(tmp_path, message) == (0, "")


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("Describe the presets\n", "begins with one of"),
        ("doc: Describe the presets\n", "begins with one of"),
        ("DOC:Describe the presets\n", "begins with one of"),
        ("DOC: \n", "begins with one of"),
        ("", "begins with one of"),
        (f"COMP: {'x' * 67}\n", "73 characters; 72 is the most"),
        ("DOC: Describe the presets.\n", "without a full stop"),
        ("DOC: Describe the presets\nand more\n", "A blank line follows"),
        ("ENH: Register a range of slices\n", "type ENH has a body"),
        ("PERF: Warp once\n\nSigned-off-by: A Name <a@example.org>\n", "type PERF has a body"),
        ("BUG: Read 16-bit PNG files\n\n# Please enter the commit message\n", "type BUG has a body"),
    ],
)
def test_a_bad_message_is_refused_with_a_sentence(tmp_path: Path, message: str, complaint: str) -> None:
    status, text = check(tmp_path, message)
    assert status == 1
    assert complaint in text
