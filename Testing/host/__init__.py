"""A small stand-in for the half of 3D Slicer that needs Qt, on PySide6 and slicer-core, for the tests of a module.

The scene, the nodes and their logics are the real ones. Where Slicer is strict (names, types, which widget can show
which parameter) this is as strict, so that a test cannot pass on what Slicer refuses.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import slicer

from . import ctkwidgets, mrmlwidgets, parameternode, sampledata, scripted
from .application import Application
from .dialogs import Message, answerDialogs, messageBox, messages
from .pythonqt import qt
from .sampledata import clickSample
from .scripted import Loaded
from .uiloader import QUiLoader

__all__ = ["Loaded", "Message", "answerDialogs", "clickSample", "grab", "loadModule", "messages", "start", "stop"]
__all__ += ["uncaught"]

uncaught: list[BaseException] = []
"""Exceptions that left a slot, which Qt only prints."""

_loaded: list[Loaded] = []


def start() -> None:
    """Make the application, the scene and the missing modules; once per process, later calls do nothing."""
    if qt.QApplication.instance():
        return
    slicer.modules = SimpleNamespace(sampleDataSources={})
    slicer.app = Application()
    slicer.mrmlScene = slicer.app.mrmlScene()
    slicer.util.messageBox = messageBox
    for name in ("qMRMLWidget", "qMRMLNodeComboBox", "qMRMLSliderWidget"):
        setattr(slicer, name, getattr(mrmlwidgets, name))
    qt.QUiLoader = QUiLoader
    _installModules()
    sys.excepthook = _remember


def stop() -> None:
    """Close the loaded modules and the scene, and forget messages, samples and answers, as between two tests."""
    while _loaded:
        _loaded.pop().close()
    slicer.mrmlScene.Clear(0)
    slicer.modules.sampleDataSources.clear()
    messages.clear()
    uncaught.clear()
    answerDialogs(True)


def loadModule(path: str | os.PathLike) -> Loaded:
    """Load the scripted module in the file ``path`` and open its panel; ``stop`` closes it."""
    _loaded.append(scripted.loadModule(path))
    return _loaded[-1]


def grab(widget: Any, path: str | os.PathLike, width: int = 400) -> None:
    """Save a picture of ``widget``, ``width`` pixels wide and as high as it asks to be."""
    layout = widget.layout()
    for _ in range(2):  # the height of a wrapped text is known only once its width is
        height = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else widget.sizeHint().height()
        widget.resize(width, height)
        slicer.app.processEvents()
    if not widget.grab().save(str(path)):
        raise OSError(f"cannot write {path}")


def _installModules() -> None:
    i18n = ModuleType("slicer.i18n")
    i18n.__dict__.update(tr=lambda text: text, translate=lambda context, text: text)
    for name, module in (("i18n", i18n), ("ScriptedLoadableModule", scripted), ("parameterNodeWrapper", parameternode)):
        sys.modules[f"slicer.{name}"] = module
        setattr(slicer, name, module)
    sys.modules |= {"qt": qt, "ctk": ctkwidgets, "SampleData": sampledata}


def _remember(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    uncaught.append(error)
    sys.__excepthook__(kind, error, trace)
