"""A small stand-in for the half of 3D Slicer that needs Qt, on PySide6 and slicer-core, for the tests of a module.

The scene, the nodes and their logics are the real ones. Where Slicer is strict (names, types, which widget can show
which parameter) this is as strict, so that a test cannot pass on what Slicer refuses.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import slicer

from . import parameternode, scripted
from .application import (
    Application,
    Message,
    SampleDataLogic,
    clickSample,
    messageBox,
    messages,
    openScene,
    saveScene,
    sources,
)
from .dialogs import QFileDialog, QSettings, answers
from .pythonqt import qt
from .scripted import Loaded, loadModule
from .views import closeSlices, dragInSlice, grabSlice, openSlice
from .widgets import QUiLoader

__all__ = [
    "Loaded",
    "Message",
    "answers",
    "clickSample",
    "dragInSlice",
    "grab",
    "grabSlice",
    "loadModule",
    "messages",
    "openScene",
    "openSlice",
    "saveScene",
    "setDark",
    "start",
    "stop",
    "uncaught",
    "waitUntil",
]

uncaught: list[BaseException] = []
"""Exceptions that left a slot or a thread, which are only printed."""


def start() -> None:
    """Make the application, the scene and the missing modules; later calls only give its scene back."""
    if qt.QApplication.instance():
        slicer.mrmlScene = slicer.app.mrmlScene()
        return
    slicer.modules = SimpleNamespace()
    slicer.mrmlScene = slicer.vtkMRMLScene()
    slicer.app = Application(slicer.mrmlScene)
    slicer.util.messageBox = messageBox
    qt.QUiLoader, qt.QFileDialog, qt.QSettings = QUiLoader, QFileDialog, QSettings
    i18n = SimpleNamespace(tr=lambda text: text, translate=lambda context, text: text)
    for name, module in (("i18n", i18n), ("ScriptedLoadableModule", scripted), ("parameterNodeWrapper", parameternode)):
        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)
    sys.modules |= {"qt": qt, "SampleData": SimpleNamespace(SampleDataLogic=SampleDataLogic)}
    sys.excepthook = _remember
    threading.excepthook = lambda thread: _remember(thread.exc_type, thread.exc_value, thread.exc_traceback)


def stop() -> None:
    """Close the loaded modules and the scene, and forget messages, samples and errors, as between two tests."""
    while scripted.loaded:
        scripted.loaded.pop().close()
    closeSlices()
    slicer.mrmlScene.Clear(0)
    for memory in (sources, messages, uncaught, answers, QSettings.values):
        memory.clear()


def waitUntil(isDone: Callable[[], Any], seconds: float = 30.0) -> None:
    """Let timers and threads go on until something holds, as a person waits."""
    end = time.monotonic() + seconds
    while not isDone():
        if time.monotonic() > end:
            raise TimeoutError(f"it does not hold after {seconds:g} s")
        slicer.app.processEvents()
        time.sleep(0.001)


def setDark(dark: bool) -> None:
    """Show all in Slicer's dark or light colours."""
    slicer.app.setDark(dark)


def grab(widget: Any, path: str | os.PathLike, width: int = 400) -> None:
    """Save a picture of ``widget``, ``width`` pixels wide (or what its contents need) and as high as it asks to be."""
    layout = widget.layout()
    width = max(width, layout.totalMinimumSize().width())
    heights: list[int] = []
    while len(heights) < 2 or (heights[-1] != heights[-2] and len(heights) < 9):
        # The height of a wrapped text is known only once its width is, and what changed is laid out when it is painted.
        for _ in range(2):
            widget.grab()
            slicer.app.processEvents()
        heights.append(layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else widget.sizeHint().height())
        widget.resize(width, heights[-1])
        slicer.app.processEvents()
    if not widget.grab().save(str(path)):
        raise OSError(f"cannot write {path}")


def _remember(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    uncaught.append(error)
    sys.__excepthook__(kind, error, trace)
