"""Which widget can show which parameter, and how; exact classes, as in Slicer."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import slicer

from .ctkwidgets import ctkPathLineEdit, ctkSliderWidget
from .mrmlwidgets import qMRMLNodeComboBox
from .pythonqt import qt
from .validators import Choice

# (widget class, parameter type) -> (property, signal)
_PROPERTIES = {
    (qt.QCheckBox, bool): ("checked", "toggled"),
    (qt.QPushButton, bool): ("checked", "toggled"),
    (qt.QSpinBox, int): ("value", "valueChanged"),
    (qt.QSlider, int): ("value", "valueChanged"),
    (qt.QDoubleSpinBox, float): ("value", "valueChanged"),
    (ctkSliderWidget, float): ("value", "valueChanged"),
    (qt.QLineEdit, str): ("text", "textChanged"),
    (ctkPathLineEdit, pathlib.Path): ("currentPath", "currentPathChanged"),
}


class GuiConnector:
    """One widget bound to one parameter through a property and the signal of its change."""

    def __init__(self, widget: Any, parameter: Any, name: str, signal: str) -> None:
        self.widget = widget
        self.parameter = parameter
        self._name = name
        self._signal = getattr(widget, signal)
        for bound in ("minimum", "maximum"):
            limits = [getattr(a, bound) for a in parameter.annotations if hasattr(a, bound)]
            if limits:
                setattr(widget, bound, limits[0])
            elif isinstance(widget, (ctkSliderWidget, qt.QSlider)):
                raise RuntimeError(f"Cannot have a connection to a slider where {parameter.name} is unbounded.")

    def connect(self, callback: Callable[[GuiConnector], None]) -> None:
        self._slot = lambda *_: callback(self)
        self._signal.connect(self._slot)

    def disconnect(self) -> None:
        self._signal.disconnect(self._slot)

    def read(self) -> Any:
        return self.parameter.kind(getattr(self.widget, self._name))

    def write(self, value: Any) -> None:
        setattr(self.widget, self._name, str(value) if isinstance(value, pathlib.Path) else value)


class ChoiceConnector(GuiConnector):
    """A combo box filled with the choices, whose text is the value."""

    def __init__(self, widget: Any, parameter: Any) -> None:
        super().__init__(widget, parameter, "currentText", "currentIndexChanged")
        widget.clear()
        widget.addItems([str(choice) for a in parameter.annotations if isinstance(a, Choice) for choice in a.choices])

    def write(self, value: Any) -> None:
        self.widget.setCurrentText(str(value))


class NodeConnector(GuiConnector):
    """A node selector, which the parameter's class restricts."""

    def __init__(self, widget: Any, parameter: Any) -> None:
        super().__init__(widget, parameter, "currentNode", "currentNodeChanged")
        widget.nodeTypes = [parameter.kind.__name__]

    def read(self) -> Any:
        return self.widget.currentNode()

    def write(self, value: Any) -> None:
        self.widget.setCurrentNode(value)


def connectorFor(widget: Any, parameter: Any) -> GuiConnector:
    """Bind ``widget`` to ``parameter``.

    Raises:
        RuntimeError: Slicer has no connector for this pair, e.g. a field typed ``vtkMRMLNode | None``.
    """
    if isinstance(parameter.type, type):
        if (type(widget), parameter.kind) in _PROPERTIES:
            return GuiConnector(widget, parameter, *_PROPERTIES[type(widget), parameter.kind])
        if type(widget) is qMRMLNodeComboBox and issubclass(parameter.kind, slicer.vtkMRMLNode):
            return NodeConnector(widget, parameter)
        if type(widget) is qt.QComboBox and any(isinstance(a, Choice) for a in parameter.annotations):
            return ChoiceConnector(widget, parameter)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{parameter.type}' to '{type(widget).__name__}'")
