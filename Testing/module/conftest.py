"""The module with its panel open, as every test of it begins."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import slicer.util

import host
from UnsupervisedRegistrationLib.core.phantom import draw_phantom

_draw = functools.cache(draw_phantom)
MODULE = Path(__file__).parents[2] / "UnsupervisedRegistration" / "UnsupervisedRegistration.py"


@pytest.fixture(autouse=True)
def drawnOnce(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a patient takes seconds, and every test begins with the same one."""
    monkeypatch.setattr("UnsupervisedRegistrationLib.scene.phantoms.draw_phantom", _draw)


@pytest.fixture
def loaded() -> Iterator[host.Loaded]:
    """The module with its panel open in an empty scene."""
    host.start()
    yield host.loadModule(MODULE)
    host.stop()


@pytest.fixture
def ui(loaded: host.Loaded) -> Any:
    """The controls, with the head phantom loaded and chosen."""
    host.clickSample("RegistrationHead")
    controls = loaded.widget.ui
    controls.fixedSelector.setCurrentNode(slicer.util.getNode("HeadFixed"))
    controls.movingSelector.setCurrentNode(slicer.util.getNode("HeadMoving"))
    return controls
