"""The scripts of the documents run in Slicer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import slicer
import slicer.util

import host

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "Resources/Documentation/scripting.md"])
def test_the_scripts_of_a_document_run(loaded: host.Loaded, name: str) -> None:
    scripts = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
    assert scripts
    host.clickSample("RegistrationHead")
    names = {"fixedVolume": slicer.util.getNode("HeadFixed"), "movingVolume": slicer.util.getNode("HeadMoving")}
    for script in scripts:
        exec(script, names)
        assert names["result"].transformNode.GetScene() is slicer.mrmlScene
