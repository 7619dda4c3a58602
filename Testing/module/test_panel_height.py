"""The panel is as high as its wrapped texts need, so that no line is cut."""

from __future__ import annotations

import slicer

import host


def missing(loaded: host.Loaded) -> int:
    """By how much the panel is too low, pixels."""
    for _ in range(3):  # A layout follows new texts and sizes in several steps.
        slicer.app.processEvents()
    panel = loaded.panel
    return int(panel.layout().totalHeightForWidth(panel.width) - panel.height)


def test_a_text_that_grows_is_not_cut(loaded: host.Loaded) -> None:
    loaded.panel.resize(391, loaded.panel.layout().totalHeightForWidth(391))
    loaded.widget.say("This sentence is as long as several lines. " * 12)
    assert missing(loaded) <= 0


def test_no_line_is_cut_after_another_module_was_shown(loaded: host.Loaded) -> None:
    loaded.widget.say("This sentence is as long as several lines. " * 12)
    loaded.visitAnotherModule()
    assert missing(loaded) <= 0


def test_a_section_that_opens_is_not_cut(loaded: host.Loaded) -> None:
    loaded.panel.resize(391, loaded.panel.layout().totalHeightForWidth(391))
    loaded.widget.ui.advancedButton.collapsed = False
    assert missing(loaded) <= 0


def test_a_text_that_shrinks_gives_the_height_back(loaded: host.Loaded) -> None:
    loaded.widget.say("This sentence is as long as several lines. " * 12)
    missing(loaded)
    before = loaded.panel.minimumHeight
    loaded.widget.say("")
    missing(loaded)
    assert loaded.panel.minimumHeight < before
