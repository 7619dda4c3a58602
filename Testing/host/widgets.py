"""The CTK and MRML widgets that a panel uses, and the loader that puts them where a ``.ui`` file names them."""

from __future__ import annotations

import re
from typing import Any

import vtk
from slicer.util import VTKObservationMixin

from .pythonqt import qt, withoutVtkTypes

_UNLIMITED = 16777215  # QWIDGETSIZE_MAX


class ctkCollapsibleButton(qt.QWidget):
    """A titled section; while collapsed its contents are clipped away below the title."""

    contentsCollapsed = qt.Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._title = qt.QToolButton(self)
        self._title.toolButtonStyle = qt.Qt.ToolButtonTextBesideIcon
        self._title.clicked.connect(lambda: self._setCollapsed(not self.collapsed))
        self._height = self.fontMetrics().height() + 8
        self.setContentsMargins(0, self._height, 0, 0)
        self._setCollapsed(False)

    def _setCollapsed(self, collapsed: bool) -> None:
        before = self.maximumHeight
        self._title.arrowType = qt.Qt.RightArrow if collapsed else qt.Qt.DownArrow
        self.setMaximumHeight(self._height if collapsed else _UNLIMITED)
        if self.maximumHeight != before:
            self.contentsCollapsed.emit(collapsed)

    collapsed = qt.Property(bool, lambda self: self.maximumHeight == self._height, _setCollapsed)
    text = qt.Property(str, lambda self: self._title.text, lambda self, text: self._title.setText(text))

    def resizeEvent(self, event: Any) -> None:
        self._title.resize(self.width, self._height)


def _ofBox(name: str, kind: type) -> Any:
    """A property of the box of a slider."""
    return qt.Property(kind, lambda self: getattr(self._box, name), lambda self, new: setattr(self._box, name, new))


class ctkSliderWidget(qt.QWidget):
    """A slider with a box for its number; ``valueChanged`` comes once for each change, as with ``tracking`` on."""

    valueChanged = qt.Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._slider = qt.QSlider(qt.Qt.Horizontal)
        self._box = qt.QDoubleSpinBox()
        row = qt.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider)
        row.addWidget(self._box)
        self._slider.valueChanged.connect(lambda step: self._box.setValue(self.minimum + step * self.singleStep))
        self._box.valueChanged.connect(self._follow)

    def _follow(self, value: float) -> None:
        self._slider.blockSignals(True)
        self._slider.setRange(0, round((self.maximum - self.minimum) / self.singleStep))
        self._slider.value = round((value - self.minimum) / self.singleStep)
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    decimals, suffix = _ofBox("decimals", int), _ofBox("suffix", str)
    minimum, maximum = _ofBox("minimum", float), _ofBox("maximum", float)
    value, singleStep = _ofBox("value", float), _ofBox("singleStep", float)
    pageStep = qt.Property(float, lambda self: self._slider.pageStep * self.singleStep, lambda self, step: None)


class qMRMLWidget(qt.QWidget):
    """A panel that hands the scene on."""

    mrmlSceneChanged = qt.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    @qt.Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


def _setting(name: str, default: Any) -> Any:
    """A property that a selector keeps, and that changes what it offers."""

    def write(self: qMRMLNodeComboBox, value: Any) -> None:
        self._settings[name] = value
        self._refresh()

    kind = "QStringList" if isinstance(default, list) else type(default)
    return qt.Property(kind, lambda self: self._settings.get(name, default), write)


class qMRMLSortFilterProxyModel(qt.QObject):
    """What a selector leaves out beyond its types."""

    def __init__(self, selector: qMRMLNodeComboBox) -> None:
        super().__init__(selector)
        self._selector, self._hidden = selector, []

    def _hide(self, nodeIDs: list[str]) -> None:
        if nodeIDs != self._hidden:
            self._hidden = list(nodeIDs)
            self._selector._refresh()

    hiddenNodeIDs = qt.Property("QStringList", lambda self: self._hidden, _hide)


class qMRMLNodeComboBox(qt.QWidget):
    """A combo box of the nodes of some types in the scene."""

    currentNodeChanged = qt.Signal(object)

    nodeTypes = _setting("nodeTypes", [])
    baseName = _setting("baseName", "")
    noneDisplay = _setting("noneDisplay", "None")
    noneEnabled = _setting("noneEnabled", False)
    addEnabled = _setting("addEnabled", True)
    removeEnabled = _setting("removeEnabled", True)
    renameEnabled = _setting("renameEnabled", False)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._settings: dict[str, Any] = {}
        self._scene: Any = None
        self._currentID = ""
        self._observer = observer = VTKObservationMixin()
        self._comboBox = qt.QComboBox()
        self._filter = qMRMLSortFilterProxyModel(self)
        row = qt.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._comboBox)
        self._comboBox.activated.connect(lambda row: self._select(self._comboBox.itemData(row)))
        self.destroyed.connect(lambda: observer.removeObservers())

    @qt.Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self._refresh()

    def sortFilterProxyModel(self) -> qMRMLSortFilterProxyModel:
        return self._filter

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._currentID) if self._currentID else None

    def setCurrentNode(self, node: Any) -> None:
        self._select(node.GetID() if node in self._nodes() else "")

    def _nodes(self) -> list[Any]:
        nodes = [self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes())] if self._scene else []
        shown = [node for node in nodes if not node.GetHideFromEditors() and node.GetID() not in self._filter._hidden]
        return [node for node in shown if any(map(node.IsA, self.nodeTypes))]

    def _refresh(self, *_: Any) -> None:
        """Offer the nodes that fit, and keep the chosen one if it is among them."""
        nodes, scene = self._nodes(), self._scene
        self._observer.removeObservers()
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent) if scene else ():
            self._observer.addObserver(scene, event, self._refresh)
        if scene:
            self._observer.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._onGoing)
        for node in nodes:
            self._observer.addObserver(node, "ModifiedEvent", self._onModified)
        self._comboBox.clear()
        if self.noneEnabled:
            self._comboBox.addItem(self.noneDisplay, "")
        for node in nodes:
            self._comboBox.addItem(node.GetName(), node.GetID())
        ids = [node.GetID() for node in nodes]
        first = "" if self.noneEnabled else next(iter(ids), "")
        self._select(self._currentID if self._currentID in ids else first)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onGoing(self, scene: Any, event: str, node: Any) -> None:
        """The row that takes the place of the current one becomes the current one, as in every combo box."""
        if node is self.currentNode():
            row = self._comboBox.currentIndex
            after = row + 1 if row + 1 < self._comboBox.count else row - 1
            self._select(self._comboBox.itemData(after) if after >= 0 else "")

    def _onModified(self, node: Any, event: str) -> None:
        """Most changes of a node do not concern the list; real data may change many times a second."""
        if node.GetHideFromEditors() or self._comboBox.findText(node.GetName()) < 0:
            self._refresh()

    def _select(self, nodeID: str) -> None:
        self._comboBox.currentIndex = self._comboBox.findData(nodeID)
        if nodeID != self._currentID:
            self._currentID = nodeID
            self.currentNodeChanged.emit(self.currentNode())


class QUiLoader(qt.QUiLoader):
    """Loads what Qt and this file have; any other class is an error rather than an empty widget."""

    def __init__(self) -> None:
        super().__init__()
        for cls in (ctkCollapsibleButton, ctkSliderWidget, qMRMLNodeComboBox, qMRMLWidget):
            self.registerCustomWidget(cls)

    def load(self, device: Any, parent: Any = None) -> Any:
        """Build the panel; its connections that pass MRML objects reach the stand-ins, too."""
        text = withoutVtkTypes(device.readAll().data().decode())
        unknown = set(re.findall(r'<widget class="(\w+)"', text)) - set(self.availableWidgets())
        if unknown:
            raise NotImplementedError(f"there is no stand-in for {', '.join(unknown)}")
        buffer = qt.QBuffer()
        buffer.setData(text.encode())
        return super().load(buffer, parent)
