"""``slicer.app``, a Qt application over a real scene with real slice logics; its message boxes and sample data."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import slicer
import vtk

from .pythonqt import qt


class Message(NamedTuple):
    """What a message box said; the kind is the name of its icon."""

    kind: str
    text: str


messages: list[Message] = []


def messageBox(text: str, parent: Any = None, **details: Any) -> Any:
    """Take the place of ``slicer.util.messageBox``; keep what was said, since nobody is there to close it."""
    messages.append(Message(qt.QMessageBox.Icon(details["icon"]).name, text))
    if details["standardButtons"] != qt.QMessageBox.Ok:
        raise NotImplementedError(f"nobody is there to answer: {text}")
    return qt.QMessageBox.Ok


@dataclasses.dataclass(frozen=True)
class SampleDataSource:
    """A sample that its module makes itself; Slicer asks for an address and a file name even so."""

    sampleName: str
    uris: str | list[str]
    fileNames: str | list[str]
    customDownloader: Callable[[SampleDataSource], Any]
    nodeNames: str | list[str] | None = None
    thumbnailFileName: str | None = None


sources: dict[str, SampleDataSource] = {}


class SampleDataLogic:
    """What a module asks of the logic of Sample Data."""

    @staticmethod
    def registerCustomSampleDataSource(category: str, **details: Any) -> None:
        source = SampleDataSource(**details)
        sources[source.sampleName] = source


def clickSample(sampleName: str) -> Any:
    """Press the button of a sample: its custom downloader gets the source and returns the node or nodes."""
    return sources[sampleName].customDownloader(sources[sampleName])


class LayoutManager:
    """The slice views of the layouts, without their windows."""

    def __init__(self, scene: Any, applicationLogic: Any) -> None:
        # Slice nodes inherit the presets, so these come first; the layout logic then makes the nodes.
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
        self._layoutLogic = slicer.vtkMRMLLayoutLogic()
        self._layoutLogic.SetMRMLScene(scene)
        self._scene = scene
        self._sliceLogics: dict[str, Any] = {}
        self._all = applicationLogic.GetSliceLogics()
        self._addSliceLogics()
        scene.AddObserver(scene.NodeAddedEvent, self._addSliceLogics)

    def resetSliceViews(self) -> None:
        for logic in self._sliceLogics.values():
            logic.FitSliceToBackground()

    def sliceLogic(self, name: str) -> Any:
        """Of the view with that layout name; not a function of Slicer's."""
        return self._sliceLogics[name]

    def _addSliceLogics(self, *_: Any) -> None:
        """A view of a layout gets its logic, and with it the node of its layers, as soon as its node is there."""
        if self._scene.IsBatchProcessing():
            return
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode", self._scene):
            name = node.GetLayoutName()
            if name not in self._sliceLogics:
                self._sliceLogics[name] = logic = slicer.vtkMRMLSliceLogic()
                logic.SetMRMLScene(self._scene)
                logic.SetSliceNode(node)
                self._all.AddItem(logic)
                qt.QTimer.singleShot(0, lambda logic=logic: self._lay(logic))

    def _lay(self, logic: Any) -> None:
        """A new view gets its size when events are handled, and then shows the middle of the volume that it has."""
        if logic.GetMRMLScene() is not None and logic.GetBackgroundLayer().GetVolumeNode() is not None:
            logic.FitSliceToBackground()


_IN_HIERARCHY = (
    *("vtkMRMLVolumeNode", "vtkMRMLTransformNode", "vtkMRMLMarkupsNode", "vtkMRMLModelNode", "vtkMRMLTableNode"),
    *("vtkMRMLSegmentationNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLSequenceNode"),
)


class SubjectHierarchy:
    """Gives each node an item at the top of the subject hierarchy as it comes, if it is not hidden at that moment."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        scene.AddObserver(scene.NodeAddedEvent, self._onAdded)
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._onRemoved)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onAdded(self, scene: Any, event: str, node: Any) -> None:
        if scene.IsBatchProcessing() or node.GetHideFromEditors() or not any(map(node.IsA, _IN_HIERARCHY)):
            return
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onRemoved(self, scene: Any, event: str, node: Any) -> None:
        hierarchy = None if scene.IsBatchProcessing() else scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
        item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
        if item:
            hierarchy.RemoveItem(item, False, False)


def applicationLogic(scene: Any) -> tuple[Any, ...]:
    """The application's logic, and those of modules that look after nodes as they come; all must be kept."""
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    home = tempfile.TemporaryDirectory()
    pathlib.Path(home.name, "share", "ColorFiles").mkdir(parents=True)  # Where the colour logic looks for more tables.
    logic.SetHomeDirectory(home.name)
    logic.SetShareDirectory("share")
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    modules = {
        "Colors": slicer.vtkSlicerColorLogic(),  # Adds the colour tables, now and after the scene was closed.
        "Markups": slicer.vtkSlicerMarkupsLogic(),
        "Transforms": slicer.vtkSlicerTransformLogic(),
    }
    for name, module in modules.items():
        module.SetMRMLApplicationLogic(logic)
        module.SetMRMLScene(scene)
        logic.SetModuleLogic(name, module)
    return (logic, *modules.values(), SubjectHierarchy(scene), home)


class Application(qt.QApplication):
    """What a module asks of ``slicer.app``."""

    startupCompleted = qt.Signal()

    def __init__(self, scene: Any) -> None:
        super().__init__(["Slicer"])
        self._scene = scene
        self._logics = applicationLogic(scene)
        for kind in ("vtkMRMLSelectionNode", "vtkMRMLInteractionNode"):
            node = getattr(slicer, kind)()
            node.SetSingletonTag("Singleton")
            scene.AddNode(node)
        self.applicationName = "Slicer"
        self.setStyle("Fusion")
        self.setFont(_font())
        self._layoutManager = LayoutManager(scene, self._logics[0])
        self._mainWindow = qt.QMainWindow()
        self._mainWindow.name = "qSlicerMainWindow"

    def mrmlScene(self) -> Any:
        return self._scene

    def layoutManager(self) -> LayoutManager:
        return self._layoutManager

    def applicationLogic(self) -> Any:
        return self._logics[0]

    def testingEnabled(self) -> bool:
        return False

    def setDark(self, dark: bool) -> None:
        self.setPalette(_palette() if dark else self.style().standardPalette())


def _palette() -> Any:
    """The dark colours that Slicer's style sets."""
    palette, roles = qt.QPalette(), qt.QPalette
    grounds, inks = ("#323232", "#1e1e1e", "#2a2a2a", "#3c3c3c"), ("#ffffff", "#ffffff", "#ffffff", "#ffffff")
    for role, colour in zip((roles.Window, roles.Base, roles.AlternateBase, roles.Button), grounds, strict=True):
        palette.setColor(role, qt.QColor(colour))
    for role, colour in zip((roles.WindowText, roles.Text, roles.ButtonText, roles.ToolTipText), inks, strict=True):
        palette.setColor(role, qt.QColor(colour))
        palette.setColor(roles.Disabled, role, qt.QColor("#7f7f7f"))
    palette.setColor(roles.Highlight, qt.QColor("#2a82da"))
    return palette


def _font() -> Any:
    """Nine points of whatever the machine has; matplotlib ships a font for a machine that has none."""
    if not qt.QFontDatabase.families():
        package = importlib.util.find_spec("matplotlib")
        folder = pathlib.Path(str(package and package.origin)).parent / "mpl-data" / "fonts" / "ttf"
        qt.QFontDatabase.addApplicationFont(str(folder / "DejaVuSans.ttf"))
    return qt.QFont("DejaVu Sans", 9)


def saveScene(scene: Any, path: str | os.PathLike) -> None:
    """File > Save as a bundle."""
    if not scene.WriteToMRB(str(path)):
        raise OSError(f"cannot write {path}")


def openScene(scene: Any, path: str | os.PathLike) -> None:
    """Close the scene and open a bundle, as File > Add Data does after File > Close Scene."""
    scene.Clear(0)
    remote, data = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(slicer.app.applicationLogic())
    with tempfile.TemporaryDirectory() as cache:
        remote.GetCacheManager().SetRemoteCacheDirectory(cache)
        data.SetMRMLScene(scene)
        data.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        data.SetAndObserveDataIOManager(remote.GetDataIOManager())
        remote.AddDataIOToScene()
        if not scene.ReadFromMRB(str(path), False):
            raise OSError(f"cannot read {path}")
        remote.RemoveDataIOFromScene()
