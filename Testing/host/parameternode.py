"""Typed access to a scripted module node, installed as ``slicer.parameterNodeWrapper``."""

from __future__ import annotations

import dataclasses
import pathlib
import types
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

import slicer
import vtk

from .guiconnectors import GuiConnector, connectorFor
from .pythonqt import qt
from .validators import Choice, Default, Maximum, Minimum, Validator, WithinRange

__all__ = ["Choice", "Default", "Maximum", "Minimum", "WithinRange", "parameterNodeWrapper"]

_EMPTY = {bool: False, int: 0, float: 0.0, str: "", pathlib.Path: pathlib.Path()}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One field of a parameter node: how its value is checked and kept in the MRML node."""

    name: str
    type: Any
    kind: type
    annotations: tuple
    default: Any

    @staticmethod
    def of(name: str, hint: Any, value: Any) -> Parameter:
        annotations = getattr(hint, "__metadata__", ())
        kind = annotated = get_args(hint)[0] if annotations else hint
        if get_origin(annotated) in (Union, types.UnionType):
            kind = next(part for part in get_args(annotated) if part is not type(None))
        if kind not in _EMPTY and not issubclass(kind, slicer.vtkMRMLNode):
            raise TypeError(f"Unable to create serializer for type {hint} of {name}")
        defaults = [value, *(a.value for a in annotations if isinstance(a, Default)), _EMPTY.get(kind)]
        return Parameter(name, annotated, kind, annotations, next((d for d in defaults if d is not None), None))

    def validate(self, value: Any) -> None:
        wanted = (int, float) if self.kind is float else self.kind
        optional = issubclass(self.kind, slicer.vtkMRMLNode) and value is None
        if not optional and not isinstance(value, wanted):
            raise TypeError(f"Value must be of type '{wanted}', is type '{type(value)}' value '{value}'")
        for annotation in self.annotations:
            if isinstance(annotation, Validator):
                annotation.validate(value)

    def write(self, node: Any, value: Any) -> None:
        self.validate(value)
        if issubclass(self.kind, slicer.vtkMRMLNode):
            node.SetParameter(self.name, "")  # tells "set to None" from "never set"
            node.SetNodeReferenceID(self.name, value.GetID() if value else None)
        else:
            node.SetParameter(self.name, str(value))

    def read(self, node: Any) -> Any:
        if not node.HasParameter(self.name):
            self.write(node, self.default)
        if issubclass(self.kind, slicer.vtkMRMLNode):
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text == "True" if self.kind is bool else self.kind(text)


class ParameterNode:
    """What the decorator adds to a class of fields."""

    allParameters: ClassVar[dict[str, Parameter]] = {}

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._connectors: dict[int, list[GuiConnector]] = {}
        self._updatingGui = False
        for parameter in self.allParameters.values():
            parameter.read(parameterNode)

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModifying: int) -> int:
        return self.parameterNode.EndModify(wasModifying)

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def connectGui(self, gui: Any) -> int:
        """Bind the widgets that carry ``SlicerParameterName`` both ways; the node's values go to them first."""
        widgets = gui.findChildren(qt.QWidget) if isinstance(gui, qt.QWidget) else vars(gui).values()
        bound = [w for w in widgets if w.property("SlicerParameterName")]
        connectors = [connectorFor(w, self._named(w.property("SlicerParameterName"))) for w in bound]
        tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, self._updateGui)
        self._connectors[tag] = connectors
        self._updateGui()
        for connector in connectors:
            connector.connect(self._onGuiChanged)
        return tag

    def disconnectGui(self, tag: int) -> None:
        self.RemoveObserver(tag)
        for connector in self._connectors.pop(tag, []):
            connector.disconnect()

    def _named(self, name: str) -> Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        return self.allParameters[name]

    def _onGuiChanged(self, connector: GuiConnector) -> None:
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


def _field(parameter: Parameter) -> property:
    return property(
        lambda self: parameter.read(self.parameterNode),
        lambda self, value: parameter.write(self.parameterNode, value),
    )


def parameterNodeWrapper(cls: type) -> type:
    """Make a class of annotated fields a view of a ``vtkMRMLScriptedModuleNode``."""
    hints = get_type_hints(cls, include_extras=True)
    parameters = {name: Parameter.of(name, hint, getattr(cls, name, None)) for name, hint in hints.items()}
    for parameter in parameters.values():
        setattr(cls, parameter.name, _field(parameter))
    return type(cls.__name__, (cls, ParameterNode), {"allParameters": parameters, "__module__": cls.__module__})
