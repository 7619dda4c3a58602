"""The MRML widgets that a panel uses, installed in ``slicer``."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.util import VTKObservationMixin

from .ctkwidgets import ctkSliderWidget
from .pythonqt import qt


class qMRMLWidget(qt.QWidget):
    mrmlSceneChanged = qt.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    @qt.Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return self._scene


class qMRMLSliderWidget(ctkSliderWidget):
    @qt.Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        """Accept the scene, which only tells the real slider the unit to show."""


def _stored(kind: type | str, name: str) -> Any:
    def write(self: qMRMLNodeComboBox, value: Any) -> None:
        self._settings[name] = value
        self._refresh()

    return qt.Property(kind, lambda self: self._settings[name], write)


class qMRMLNodeComboBox(qt.QWidget):
    """A combo box of the nodes of some types in the scene."""

    currentNodeChanged = qt.Signal((object,), (bool,))
    currentNodeIDChanged = qt.Signal(str)
    nodeActivated = qt.Signal(object)
    nodeAdded = qt.Signal(object)
    nodeAddedByUser = qt.Signal(object)

    nodeTypes = _stored("QStringList", "nodeTypes")
    baseName = _stored(str, "baseName")
    noneDisplay = _stored(str, "noneDisplay")
    noneEnabled = _stored(bool, "noneEnabled")
    addEnabled = _stored(bool, "addEnabled")
    removeEnabled = _stored(bool, "removeEnabled")
    renameEnabled = _stored(bool, "renameEnabled")
    showHidden = _stored(bool, "showHidden")
    showChildNodeTypes = _stored(bool, "showChildNodeTypes")
    selectNodeUponCreation = _stored(bool, "selectNodeUponCreation")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._settings: dict[str, Any] = {"nodeTypes": [], "baseName": "", "noneDisplay": "None"}
        for name in ("noneEnabled", "renameEnabled", "showHidden"):
            self._settings[name] = False
        for name in ("addEnabled", "removeEnabled", "showChildNodeTypes", "selectNodeUponCreation"):
            self._settings[name] = True
        self._scene: Any = None
        self._currentID = ""
        self._observer = observer = VTKObservationMixin()
        self._comboBox = qt.QComboBox()
        row = qt.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._comboBox)
        self._comboBox.activated.connect(self._onActivated)
        self.destroyed.connect(lambda: observer.removeObservers())

    @qt.Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self._refresh()

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._currentID) if self._currentID else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node.GetID() if node else "")

    def setCurrentNodeID(self, nodeID: str) -> None:
        self._select(nodeID if nodeID in [node.GetID() for node in self._nodes()] else "")

    currentNodeID = qt.Property(str, lambda self: self._currentID, setCurrentNodeID)

    def addNode(self) -> Any:
        """Do what *Create new* does."""
        node = self._scene.CreateNodeByClass(self.nodeTypes[0])
        node.UnRegister(None)
        node.SetName(self._scene.GenerateUniqueName(self.baseName or node.GetTypeDisplayName()))
        node = self._scene.AddNode(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAdded.emit(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self.currentNode():
            self._scene.RemoveNode(self.currentNode())

    def _nodes(self) -> list[Any]:
        nodes = [self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes())] if self._scene else []
        return [node for node in nodes if self._fits(node)]

    def _fits(self, node: Any) -> bool:
        isType = node.IsA if self.showChildNodeTypes else node.GetClassName().__eq__
        return any(map(isType, self.nodeTypes)) and (self.showHidden or not node.GetHideFromEditors())

    def _refresh(self, *_: Any) -> None:
        nodes = self._nodes()
        self._observe(nodes)
        self._fill(nodes)
        if self._currentID not in [node.GetID() for node in nodes]:
            self._select(nodes[0].GetID() if nodes and not self.noneEnabled else "")

    def _observe(self, nodes: list[Any]) -> None:
        self._observer.removeObservers()
        events = ("NodeAddedEvent", "NodeRemovedEvent", "EndImportEvent", "EndBatchProcessEvent", "EndCloseEvent")
        for event in events if self._scene else ():
            self._observer.addObserver(self._scene, getattr(slicer.vtkMRMLScene, event), self._refresh)
        for node in nodes:
            self._observer.addObserver(node, "ModifiedEvent", self._onNodeModified)

    def _onNodeModified(self, node: Any, _: str) -> None:
        self._comboBox.setItemText(self._comboBox.findData(node.GetID()), node.GetName())

    def _fill(self, nodes: list[Any]) -> None:
        self._comboBox.clear()
        if self.noneEnabled:
            self._comboBox.addItem(self.noneDisplay, "")
        for node in nodes:
            self._comboBox.addItem(node.GetName(), node.GetID())
        self._comboBox.insertSeparator(self._comboBox.count)
        if self.addEnabled and self.nodeTypes:
            self._comboBox.addItem(f"Create new {self.baseName or self.nodeTypes[0]}", self.addNode)
        if self.removeEnabled:
            self._comboBox.addItem("Delete current", self.removeCurrentNode)
        self._showCurrent()

    def _showCurrent(self) -> None:
        self._comboBox.currentIndex = self._comboBox.findData(self._currentID)

    def _onActivated(self, row: int) -> None:
        data = self._comboBox.itemData(row)
        self._showCurrent()
        if callable(data):
            data()
        else:
            self._select(data)
            self.nodeActivated.emit(self.currentNode())

    def _select(self, nodeID: str) -> None:
        if nodeID == self._currentID:
            return
        self._currentID = nodeID
        self._showCurrent()
        node = self.currentNode()
        self.currentNodeChanged.emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(nodeID)
