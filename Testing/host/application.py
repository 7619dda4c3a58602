"""``slicer.app``: a Qt application over a real scene, real slice logics and a real application logic."""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib
import tempfile
from typing import Any

import slicer
import vtk

from .pythonqt import qt


@dataclasses.dataclass(frozen=True)
class SliceWidget:
    """One slice view, without its window."""

    logic: Any

    def sliceLogic(self) -> Any:
        return self.logic

    def mrmlSliceNode(self) -> Any:
        return self.logic.GetSliceNode()


class LayoutManager:
    """The slice views of the conventional layout."""

    def __init__(self, scene: Any, applicationLogic: Any) -> None:
        # Slice nodes inherit the presets, so these come first; the layout logic then makes the nodes.
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
        self._layoutLogic = slicer.vtkMRMLLayoutLogic()
        self._layoutLogic.SetMRMLScene(scene)
        self._logics = vtk.vtkCollection()
        for name in ("Red", "Green", "Yellow"):
            self._logics.AddItem(self._sliceLogic(scene, applicationLogic, name))
        applicationLogic.SetSliceLogics(self._logics)

    @staticmethod
    def _sliceLogic(scene: Any, applicationLogic: Any, name: str) -> Any:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(applicationLogic)
        logic.SetMRMLScene(scene)
        logic.SetSliceNode(scene.GetSingletonNode(name, "vtkMRMLSliceNode"))
        return logic

    def mrmlSliceLogics(self) -> Any:
        return self._logics

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(logic.GetSliceNode().GetLayoutName() for logic in self._logics)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return next((SliceWidget(x) for x in self._logics if x.GetSliceNode().GetLayoutName() == name), None)

    def resetSliceViews(self) -> None:
        for logic in self._logics:
            logic.FitSliceToBackground()


class Application(qt.QApplication):
    """What a module asks of ``slicer.app``."""

    startupCompleted = qt.Signal()

    def __init__(self) -> None:
        super().__init__(["Slicer"])
        self._temporary = tempfile.TemporaryDirectory(prefix="host")
        # Settings of the person who runs the tests must not reach the module.
        qt.QSettings.setPath(qt.QSettings.NativeFormat, qt.QSettings.UserScope, self._temporary.name)
        self.organizationName = "host"
        self.applicationName = "Slicer"
        self.setStyle("Fusion")
        self.setFont(_font())
        self._scene = slicer.vtkMRMLScene()
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._logic.SetMRMLScene(self._scene)
        self._layoutManager = LayoutManager(self._scene, self._logic)
        self._mainWindow = qt.QMainWindow()
        self._mainWindow.name = "qSlicerMainWindow"

    temporaryPath = qt.Property(str, lambda self: self._temporary.name)

    def mrmlScene(self) -> Any:
        return self._scene

    def applicationLogic(self) -> Any:
        return self._logic

    def layoutManager(self) -> LayoutManager:
        return self._layoutManager

    def testingEnabled(self) -> bool:
        return False

    def settings(self) -> Any:
        return qt.QSettings()

    userSettings = settings


def _font() -> Any:
    """Nine points of whatever the machine has; matplotlib ships a font for a machine that has none."""
    if not qt.QFontDatabase.families():
        package = importlib.util.find_spec("matplotlib")
        folder = pathlib.Path(str(package and package.origin)).parent / "mpl-data" / "fonts" / "ttf"
        qt.QFontDatabase.addApplicationFont(str(folder / "DejaVuSans.ttf"))
    return qt.QFont("DejaVu Sans", 9)
