"""Keys pressed in the main window while the module is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import slicer
import slicer.util

import host


@pytest.fixture
def press(loaded: host.Loaded) -> Callable[[str], None]:
    """Alt and a key, as a person presses them anywhere in the window."""
    import qt
    from PySide6.QtTest import QTest

    window = slicer.util.mainWindow()
    window.show()
    window.activateWindow()
    slicer.app.processEvents()

    def press(key: str) -> None:
        QTest.keyClick(window, getattr(qt.Qt, f"Key_{key}"), qt.Qt.AltModifier)
        slicer.app.processEvents()

    yield press
    window.hide()


@pytest.mark.parametrize(
    ("key", "mode"),
    [("0", "Off"), ("2", "Red and cyan"), ("4", "Checkerboard"), ("8", "Change of area"), ("9", "Trust map")],
)
def test_a_number_chooses_the_mode(applied: Any, press: Callable[[str], None], key: str, mode: str) -> None:
    press(key)
    assert applied.overlaySelector.currentText == mode


def test_u_shows_the_image_as_it_lay_and_again_warped(applied: Any, press: Callable[[str], None]) -> None:
    moving = slicer.util.getNode("HeadMoving")
    outcome = moving.GetParentTransformNode()
    press("U")
    assert moving.GetParentTransformNode() is None
    press("U")
    assert moving.GetParentTransformNode() is outcome


def test_l_is_live(loaded: host.Loaded, ui: Any, press: Callable[[str], None]) -> None:
    press("L")
    assert loaded.widget.live.isOn
    press("L")
    assert not loaded.widget.live.isOn


def test_keys_belong_to_the_module_only_while_it_is_shown(
    loaded: host.Loaded, applied: Any, press: Callable[[str], None]
) -> None:
    loaded.panel.exit()
    press("4")
    assert applied.overlaySelector.currentText == "Blend"
    loaded.panel.enter()
    press("4")
    assert applied.overlaySelector.currentText == "Checkerboard"
