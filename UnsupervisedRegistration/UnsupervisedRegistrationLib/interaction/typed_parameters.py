"""Typed access to a parameter node outside the Slicer application, which has ``slicer.parameterNodeWrapper``.

It stores values as Slicer does, so that a scene goes from one to the other and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import slicer


@dataclass(frozen=True)
class Choice:
    """Stands in ``typing.Annotated`` beside the type of a parameter that takes only some values."""

    choices: Sequence[str]

    def check(self, value: Any) -> None:
        """Refuses a value that is none of them.

        Raises:
            ValueError: It is.
        """
        if value not in self.choices:
            raise ValueError(f"'{value}' is none of {', '.join(self.choices)}; choose one of them.")


@dataclass(frozen=True)
class WithinRange:
    """Stands in ``typing.Annotated`` beside a number that has limits."""

    minimum: float
    maximum: float

    def check(self, value: Any) -> None:
        """Refuses a number beyond the limits.

        Raises:
            ValueError: It is.
        """
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not from {self.minimum} to {self.maximum}; choose a number in between.")


class _Parameter:
    """One value in a parameter node."""

    def __init__(self, name: str, hint: Any, default: Any) -> None:
        checks = getattr(hint, "__metadata__", ())
        self._name, self._checks = name, checks
        self._type = get_args(hint)[0] if checks else hint
        self._isNode = issubclass(self._type, slicer.vtkMRMLNode)
        self._default = None if self._isNode else (self._type() if default is None else default)

    def __set__(self, owner: Any, value: Any) -> None:
        if not isinstance(value, self._type) and not (self._isNode and value is None):
            raise ValueError(f"{self._name} is {value!r}; needed is a {self._type.__name__}.")
        for check in self._checks:
            check.check(value)
        if self._isNode:
            owner.parameterNode.SetParameter(self._name, "")  # Tells "set to None" from "never set".
            owner.parameterNode.SetNodeReferenceID(self._name, value.GetID() if value else None)
        else:
            owner.parameterNode.SetParameter(self._name, str(value))

    def __get__(self, owner: Any, _type: type | None = None) -> Any:
        if not owner.parameterNode.HasParameter(self._name):
            self.__set__(owner, self._default)
        if self._isNode:
            return owner.parameterNode.GetNodeReference(self._name)
        text = owner.parameterNode.GetParameter(self._name)
        return text == "True" if self._type is bool else self._type(text)


def parameterNodeWrapper(fields: type) -> type:
    """A class of annotated fields as a view of a ``vtkMRMLScriptedModuleNode``."""
    hints = get_type_hints(fields, include_extras=True)
    members = {name: _Parameter(name, hint, getattr(fields, name, None)) for name, hint in hints.items()}

    def initialise(self: Any, parameterNode: slicer.vtkMRMLScriptedModuleNode) -> None:
        self.parameterNode = parameterNode
        for name in members:
            getattr(self, name)  # Keeps the default, if the node has no value yet.

    return type(fields.__name__, (fields,), {**members, "__init__": initialise, "__module__": fields.__module__})
