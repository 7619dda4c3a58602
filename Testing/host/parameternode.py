"""Typed access to a scripted module node, installed as ``slicer.parameterNodeWrapper``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, get_args, get_type_hints

import slicer
import vtk

from .pythonqt import qt
from .widgets import ctkSliderWidget, qMRMLNodeComboBox

__all__ = ["Choice", "WithinRange", "parameterNodeWrapper"]

_EMPTY = {bool: False, int: 0, float: 0.0, str: ""}

# (widget class, parameter type) -> (name of the value, signal of its change); exact classes, as in Slicer
_CONNECTIONS = {
    (qt.QCheckBox, bool): ("checked", "toggled"),
    (qt.QSpinBox, int): ("value", "valueChanged"),
    (ctkSliderWidget, float): ("value", "valueChanged"),
    (qt.QComboBox, str): ("currentText", "currentIndexChanged"),
    (qMRMLNodeComboBox, slicer.vtkMRMLNode): ("currentNode", "currentNodeChanged"),
}


@dataclasses.dataclass(frozen=True)
class Choice:
    """Stands in ``typing.Annotated`` beside the type of a parameter that takes only some values."""

    choices: Sequence[str]

    def validate(self, value: str) -> None:
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


@dataclasses.dataclass(frozen=True)
class WithinRange:
    """Stands in ``typing.Annotated`` beside a number that has limits."""

    minimum: float
    maximum: float

    def validate(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One field of a parameter node: how its value is checked and kept in the MRML node."""

    name: str
    type: type
    annotations: tuple[Choice | WithinRange, ...]
    default: Any

    @staticmethod
    def of(name: str, hint: Any, default: Any) -> Parameter:
        annotations = getattr(hint, "__metadata__", ())
        kind = get_args(hint)[0] if annotations else hint
        isSupported = isinstance(kind, type) and (kind in _EMPTY or issubclass(kind, slicer.vtkMRMLNode))
        if not isSupported or not all(isinstance(a, Choice | WithinRange) for a in annotations):
            raise TypeError(f"Unable to create serializer for type {hint} of {name}")
        return Parameter(name, kind, annotations, _EMPTY.get(kind) if default is None else default)

    @property
    def isNode(self) -> bool:
        return issubclass(self.type, slicer.vtkMRMLNode)

    def __set__(self, owner: ParameterNode, value: Any) -> None:
        if not isinstance(value, self.type) and not (self.isNode and value is None):
            raise TypeError(f"Value must be of type '{self.type}', is type '{type(value)}' value '{value}'")
        for annotation in self.annotations:
            annotation.validate(value)
        if self.isNode:
            owner.parameterNode.SetParameter(self.name, "")  # tells "set to None" from "never set"
            owner.parameterNode.SetNodeReferenceID(self.name, value.GetID() if value else None)
        else:
            owner.parameterNode.SetParameter(self.name, str(value))

    def __get__(self, owner: ParameterNode, _: type | None = None) -> Any:
        if not owner.parameterNode.HasParameter(self.name):
            self.__set__(owner, self.default)
        if self.isNode:
            return owner.parameterNode.GetNodeReference(self.name)
        text = owner.parameterNode.GetParameter(self.name)
        return text == "True" if self.type is bool else self.type(text)


class Connector:
    """One widget bound to one parameter, if Slicer can bind this pair; ``onChanged`` hears of changes in the widget."""

    def __init__(self, widget: Any, parameter: Parameter, onChanged: Callable[[Connector], None]) -> None:
        self.parameter = parameter
        choices = [choice for a in parameter.annotations if isinstance(a, Choice) for choice in a.choices]
        pair = (type(widget), slicer.vtkMRMLNode if parameter.isNode else parameter.type)
        if pair not in _CONNECTIONS or (type(widget) is qt.QComboBox and not choices):
            raise RuntimeError(f"Unable to create GUI connector from '{parameter.type}' to '{type(widget).__name__}'")
        if choices:
            widget.clear()
            widget.addItems(choices)
        if parameter.isNode:
            widget.nodeTypes = [parameter.type.__name__]
        for limits in (a for a in parameter.annotations if isinstance(a, WithinRange)):
            widget.minimum, widget.maximum = limits.minimum, limits.maximum
        name, signal = _CONNECTIONS[pair]
        self._widget, self._name, self._signal = widget, name, getattr(widget, signal)
        self.write: Callable[[Any], None] = getattr(widget, f"set{name[0].upper()}{name[1:]}")
        self._slot = lambda *_: onChanged(self)
        self._signal.connect(self._slot)

    def read(self) -> Any:
        value = getattr(self._widget, self._name)
        return value() if self.parameter.isNode else value

    def disconnect(self) -> None:
        self._signal.disconnect(self._slot)


class ParameterNode:
    """What the decorator adds to a class of fields."""

    allParameters: ClassVar[dict[str, Parameter]] = {}

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._connectors: dict[int, list[Connector]] = {}
        self._updatingGui = False
        for name in self.allParameters:
            getattr(self, name)  # keeps the default, if the node has no value yet

    def connectGui(self, gui: Any) -> None:
        """Bind the widgets that carry ``SlicerParameterName``; like Slicer's it keeps the tag to itself."""
        named = {widget.property("SlicerParameterName"): widget for widget in vars(gui).values()}
        self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, widgets: dict[str, Any]) -> int:
        """Bind parameters to widgets both ways; the node's values go to the widgets first."""
        bound = [Connector(widget, self.allParameters[name], self._onGuiChanged) for name, widget in widgets.items()]
        tag = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._updateGui)
        self._connectors[tag] = bound
        self._updateGui()
        return tag

    def disconnectGui(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)
        for connector in self._connectors.pop(tag, []):
            connector.disconnect()

    def _onGuiChanged(self, connector: Connector) -> None:
        if not self._updatingGui:
            setattr(self, connector.parameter.name, connector.read())

    def _updateGui(self, *_: Any) -> None:
        if self._updatingGui:
            return
        self._updatingGui = True
        try:
            for connector in [c for group in self._connectors.values() for c in group]:
                connector.write(getattr(self, connector.parameter.name))
        finally:
            self._updatingGui = False


def parameterNodeWrapper(cls: type) -> type:
    """Make a class of annotated fields a view of a ``vtkMRMLScriptedModuleNode``."""
    hints = get_type_hints(cls, include_extras=True)
    fields = {name: Parameter.of(name, hint, getattr(cls, name, None)) for name, hint in hints.items()}
    return type(cls.__name__, (cls, ParameterNode), {**fields, "allParameters": fields, "__module__": cls.__module__})
