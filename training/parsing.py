"""Reads YAML, and converts its values to the types that frozen dataclasses declare."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from typing import Any, Literal

import yaml

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "nothing"}


def coerce(declared: Any, value: Any, name: str = "") -> Any:
    """Convert a plain value to the type that a field declares.

    Lists become tuples, and whole numbers become floating-point numbers, if that is declared. Names that a dataclass
    does not have are kept; ``read_configuration`` refuses them.

    Args:
        declared: Dataclass, ``bool``, ``int``, ``float``, ``str``, ``Literal``, ``tuple``, or one of them or ``None``.
        value: As YAML gives it.
        name: Of the setting, for the error.

    Raises:
        ValueError: The value is of another type; the message names the setting, the value and what is needed.
    """
    if dataclasses.is_dataclass(declared):
        return _part(declared, value, name)
    if typing.get_origin(declared) is tuple:
        return _tuple(declared, value, name)
    if isinstance(declared, types.UnionType):
        return None if value is None else coerce(typing.get_args(declared)[0], value, name)
    if typing.get_origin(declared) is Literal:
        return _checked(value in typing.get_args(declared), value, name, declared)
    if declared is float and _is_number(value):
        return float(value)
    if declared is int and _is_number(value) and value == int(value):
        return int(value)
    return _checked(type(value) is declared and declared not in (int, float), value, name, declared)


def _part(declared: Any, value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name or 'The configuration'} is {value!r}; it needs settings by their names.")
    hints = typing.get_type_hints(declared)
    return {key: coerce(hints[key], v, f"{name}.{key}".lstrip(".")) if key in hints else v for key, v in value.items()}


def _tuple(declared: Any, value: Any, name: str) -> tuple[Any, ...]:
    entries = typing.get_args(declared)
    _checked(isinstance(value, (list, tuple)), value, name, declared)
    if entries[-1] is Ellipsis:
        entries = entries[:1] * len(value)
    _checked(len(entries) == len(value), value, name, declared)
    return tuple(coerce(entries[i], entry, f"{name}[{i}]") for i, entry in enumerate(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _checked(fits: bool, value: Any, name: str, declared: Any) -> Any:
    if not fits:
        hint = ", so put it in quotes" if declared is str and _is_number(value) else ""
        raise ValueError(f"{name} is {value!r}; it needs {_in_words(declared)}{hint}.")
    return value


def _in_words(declared: Any) -> str:
    if typing.get_origin(declared) is Literal:
        return " or ".join(repr(choice) for choice in typing.get_args(declared))
    if typing.get_origin(declared) is tuple:
        entries = typing.get_args(declared)
        count = "a list, each entry" if entries[-1] is Ellipsis else f"a list of {len(entries)}, each"
        return f"{count} {_in_words(entries[0])}"
    return _WORDS[declared]


class _Loader(yaml.SafeLoader):
    """Reads ``8e-4`` as a number, as YAML 1.2 does; PyYAML itself implements YAML 1.1 and requires ``8.0e-4``."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("+-.0123456789")
)


def read_yaml(text: str, place: str) -> Any:
    """Read YAML.

    Args:
        text: YAML.
        place: Where it comes from, for the error.

    Raises:
        ValueError: It is not YAML.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"'{place}' is not YAML: {error}") from error
