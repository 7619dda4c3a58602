"""Values as they stand in files become those that frozen dataclasses declare, or an error that names the setting."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any, Literal

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "nothing"}


def fitted(kind: Any, value: Any, name: str = "") -> Any:
    """A plain value as the kind that a field declares.

    Lists become tuples and whole numbers numbers with a fraction where those are declared. Names that a dataclass does
    not have are left for ``read_configuration`` to refuse.

    Args:
        kind: Dataclass, ``bool``, ``int``, ``float``, ``str``, ``Literal``, ``tuple``, or one of them or ``None``.
        value: As YAML gives it.
        name: Of the setting, for the error.

    Raises:
        ValueError: It is of another kind; setting, value and what is needed are said.
    """
    if dataclasses.is_dataclass(kind):
        return _part(kind, value, name)
    if typing.get_origin(kind) is tuple:
        return _tuple(kind, value, name)
    if isinstance(kind, types.UnionType):
        return None if value is None else fitted(typing.get_args(kind)[0], value, name)
    if typing.get_origin(kind) is Literal:
        return _checked(value in typing.get_args(kind), value, name, kind)
    if kind is float and _is_number(value):
        return float(value)
    if kind is int and _is_number(value) and value == int(value):
        return int(value)
    return _checked(type(value) is kind and kind not in (int, float), value, name, kind)


def _part(kind: Any, value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name or 'The configuration'} is {value!r}; it needs settings by their names.")
    hints = typing.get_type_hints(kind)
    return {key: fitted(hints[key], v, f"{name}.{key}".lstrip(".")) if key in hints else v for key, v in value.items()}


def _tuple(kind: Any, value: Any, name: str) -> tuple[Any, ...]:
    kinds = typing.get_args(kind)
    _checked(isinstance(value, (list, tuple)), value, name, kind)
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    _checked(len(kinds) == len(value), value, name, kind)
    return tuple(fitted(kinds[i], entry, f"{name}[{i}]") for i, entry in enumerate(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _checked(fits: bool, value: Any, name: str, kind: Any) -> Any:
    if not fits:
        hint = ", so put it in quotes" if kind is str and _is_number(value) else ""
        raise ValueError(f"{name} is {value!r}; it needs {_in_words(kind)}{hint}.")
    return value


def _in_words(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return " or ".join(repr(choice) for choice in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        kinds = typing.get_args(kind)
        count = "a list, each entry" if kinds[-1] is Ellipsis else f"a list of {len(kinds)}, each"
        return f"{count} {_in_words(kinds[0])}"
    return _WORDS[kind]
