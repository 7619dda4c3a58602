"""The base classes of a scripted module, installed as ``slicer.ScriptedLoadableModule``, and the loading of one."""

from __future__ import annotations

import dataclasses
import importlib
import os
import pathlib
import sys
import unittest
from types import ModuleType
from typing import Any

import slicer

from .pythonqt import qt
from .widgets import qMRMLWidget


class ModuleParent:
    """The object that a module describes itself on; like the real one it takes no other attributes."""

    __slots__ = ("acknowledgementText", "categories", "contributors", "dependencies", "helpText", "path", "title")

    def __init__(self, path: str) -> None:
        self.path = path


class ScriptedLoadableModule:
    """What Slicer lists."""

    def __init__(self, parent: ModuleParent) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    """What fills the panel."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self) -> None:
        """Override to build the panel."""


class ScriptedLoadableModuleLogic:
    """What computes, with one node for its parameters."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if not node:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node = slicer.mrmlScene.AddNode(node)
        node.SetAttribute("ModuleName", self.moduleName)  # closing a scene takes it away
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """What Reload and Test runs."""


class ModulePanel(qMRMLWidget):
    """What Slicer gives to a module's widget as its parent; entering and leaving starts here."""

    def __init__(self, widgetClass: Any) -> None:
        super().__init__()
        self._isEntered = False
        # Without a window on the screen there is none whose size the offscreen platform fails to limit.
        self.setLayout(qt.QVBoxLayout())
        self.layout().setSizeConstraint(qt.QLayout.SetNoConstraint)
        self.setMRMLScene(slicer.mrmlScene)
        self._moduleWidget = widgetClass(self)

    isEntered = qt.Property(bool, lambda self: self._isEntered)

    def self(self) -> Any:
        return self._moduleWidget

    def enter(self) -> None:
        self._isEntered = True
        self._moduleWidget.enter()

    def exit(self) -> None:
        self._isEntered = False
        self._moduleWidget.exit()


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A module as Slicer holds it, with its panel open."""

    module: ModuleType
    widget: Any
    panel: ModulePanel

    def visitAnotherModule(self, width: int = 391) -> None:
        """Shows another module and comes back; the panel returns as low as its layout allows without a width."""
        self.panel.exit()
        self.panel.hide()
        slicer.app.processEvents()
        self.panel.resize(width, self.panel.layout().totalMinimumSize().height())
        self.panel.show()
        self.panel.enter()
        slicer.app.processEvents()

    def close(self) -> None:
        self.panel.exit()
        self.widget.cleanup()
        self.panel.deleteLater()
        qt.QCoreApplication.sendPostedEvents(None, qt.QEvent.DeferredDelete)


loaded: list[Loaded] = []


def loadModule(path: str | os.PathLike) -> Loaded:
    """Load the scripted module in the file ``path``, finish the start-up, and open its panel; ``stop`` closes it."""
    path = pathlib.Path(path).resolve()
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    sys.modules.pop(path.stem, None)
    module = importlib.import_module(path.stem)
    parent = ModuleParent(str(path))
    setattr(slicer.modules, path.stem.lower(), parent)
    getattr(module, path.stem)(parent)
    slicer.app.startupCompleted.emit()
    panel = ModulePanel(getattr(module, f"{path.stem}Widget"))
    panel.self().setup()
    panel.show()
    panel.enter()
    loaded.append(Loaded(module, panel.self(), panel))
    return loaded[-1]
