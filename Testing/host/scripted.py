"""The base classes of a scripted module, installed as ``slicer.ScriptedLoadableModule``, and the loading of one."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
import sys
import unittest
from types import ModuleType
from typing import Any

import slicer

from .mrmlwidgets import qMRMLWidget
from .pythonqt import qt


@dataclasses.dataclass(slots=True)
class ModuleParent:
    """The object that a module describes itself on; like the real one it takes no other attributes."""

    path: str
    name: str
    title: str = ""
    helpText: str = ""
    acknowledgementText: str = ""
    categories: list[str] = dataclasses.field(default_factory=list)
    dependencies: list[str] = dataclasses.field(default_factory=list)
    contributors: list[str] = dataclasses.field(default_factory=list)
    icon: Any = None
    hidden: bool = False


class ScriptedLoadableModule:
    def __init__(self, parent: ModuleParent) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.icon = qt.QIcon(self.resourcePath(f"Icons/{self.moduleName}.png"))

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        return f'<p>For more information see the <a href="{docPage or self.moduleName}">online documentation</a>.</p>'


class ScriptedLoadableModuleWidget:
    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self) -> None:
        """Override to build the panel."""

    def enter(self) -> None:
        """Override to react when the panel is shown."""

    def exit(self) -> None:
        """Override to react when the panel is left."""

    def cleanup(self) -> None:
        """Override to let go of the scene."""


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode"):
            isOwn = node.GetAttribute("ModuleName") == self.moduleName
            if isOwn or (self.isSingletonParameterNode and node.GetSingletonTag() == self.moduleName):
                # Closing a scene takes the attribute away.
                node.SetAttribute("ModuleName", self.moduleName)
                return node
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def createParameterNode(self) -> Any:
        node = slicer.vtkMRMLScriptedModuleNode()
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        slicer.app.processEvents()

    def runTest(self) -> None:
        """Override to run the tests of the module."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A module as Slicer holds it, with its panel open."""

    module: ModuleType
    parent: ModuleParent
    widget: Any
    panel: Any

    def close(self) -> None:
        self.widget.exit()
        self.widget.cleanup()
        self.panel.deleteLater()
        qt.QCoreApplication.sendPostedEvents(None, qt.QEvent.DeferredDelete)


def loadModule(path: str | os.PathLike) -> Loaded:
    """Load the scripted module in the file ``path``, finish the start-up, and open its panel."""
    path = pathlib.Path(path).resolve()
    module = _importFile(path)
    parent = ModuleParent(str(path), path.stem)
    setattr(slicer.modules, path.stem.lower(), parent)
    setattr(slicer.modules, f"{path.stem}Instance", getattr(module, path.stem)(parent))
    slicer.app.startupCompleted.emit()
    panel = qMRMLWidget()
    panel.setLayout(qt.QVBoxLayout())
    panel.setMRMLScene(slicer.mrmlScene)
    widget = getattr(module, f"{path.stem}Widget")(panel)
    setattr(slicer.modules, f"{path.stem}Widget", widget)
    widget.setup()
    panel.show()
    widget.enter()
    return Loaded(module, parent, widget, panel)


def _importFile(path: pathlib.Path) -> ModuleType:
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
