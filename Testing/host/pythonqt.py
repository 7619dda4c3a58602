"""PySide6 taught the habits of PythonQt, and the module ``qt`` made of it.

The classes themselves are changed, so that objects made by Qt, by a ``.ui`` file, by a module or by a test all behave
alike: properties are attributes, a wrong name is loud, and ``connect`` takes a signature and says whether it worked.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

# PythonQt enumerations are integers (qt.Qt.Checked == 2); PySide6 reads this once, when it is first imported.
os.environ.setdefault("PYSIDE6_OPTION_PYTHON_ENUM", "3")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtGui, QtPrintSupport, QtUiTools, QtWidgets

# Qt asks Python for an override of these virtual methods, so an attribute in their place would call itself forever.
_VIRTUAL = {"sizeHint", "minimumSizeHint", "spacing", "duration"}
_VTK_POINTER = re.compile(r"vtk\w+\s*\*")

# PySide6 6.12 takes a reference from None in each call that gives nothing back, and at times one from True or False.
# Until Python 3.12 made them immortal, the interpreter ends when none is left.
if sys.version_info < (3, 12):
    for _constant in (None, True, False):
        ctypes.c_ssize_t.from_address(id(_constant)).value += 1 << 40

_QObject: Any = QtCore.QObject
_connect = _QObject.connect
_getattribute = _QObject.__getattribute__
_setattr = _QObject.__base__.__setattr__


class QtProperty:
    """A Qt property as an attribute of instances; the class keeps its method of the same name, if it had one."""

    def __init__(self, name: str, method: Any = None) -> None:
        self._name = name
        self._method = method

    def __get__(self, instance: QtCore.QObject | None, owner: type | None = None) -> Any:
        if instance is None:
            return self._method or self
        return QtCore.QObject.property(instance, self._name)

    def __set__(self, instance: QtCore.QObject, value: Any) -> None:
        if not instance.setProperty(self._name, value):
            raise AttributeError(f"property '{self._name}' of {type(instance).__name__} does not take {value!r}")


def withoutVtkTypes(signature: str) -> str:
    """Name VTK pointers as PySide6 names them in the signals and slots of a Python class."""
    return _VTK_POINTER.sub("PyObject", signature)


def _connectSignature(sender: QtCore.QObject, signature: str, receiver: Callable) -> bool:
    signal = QtCore.QMetaObject.normalizedSignature(withoutVtkTypes(signature)).data().decode()
    if sender.metaObject().indexOfSignal(signal) < 0:
        print(f"signal {signature} does not exist on {type(sender).__name__}")
        return False
    return bool(_connect(sender, QtCore.SIGNAL(signal), receiver))


def _lookUp(self: QtCore.QObject, name: str) -> Any:
    # The class attribute cannot be replaced: PySide6 finds the instance's connect before it.
    return functools.partial(_connectSignature, self) if name == "connect" else _getattribute(self, name)


def _assign(self: QtCore.QObject, name: str, value: Any) -> None:
    """Refuse new attributes on Qt's own classes and their stand-ins; a subclass of a module may have them."""
    cls = type(self)
    known = next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)
    if isinstance(known, QtCore.Property):
        known.fset(self, value)
    elif known is not None or name.startswith("_") or cls.__module__.partition(".")[0] not in ("PySide6", __package__):
        _setattr(self, name, value)
    elif not (isinstance(value, QtCore.QObject) and value.objectName == name):  # QUiLoader's, absent in PythonQt
        raise AttributeError(f"'{name}' does not exist on {cls.__name__} and creating new attributes is not allowed")


def _teach(cls: Any) -> None:
    meta = cls.staticMetaObject
    for name in (meta.property(index).name() for index in range(meta.propertyOffset(), meta.propertyCount())):
        if name not in _VIRTUAL:
            setattr(cls, name, QtProperty(name, getattr(cls, name, None)))
    cls.__setattr__ = _assign


def _qtModule() -> ModuleType:
    module = ModuleType("qt")
    for part in (QtCore, QtGui, QtWidgets, QtUiTools, QtPrintSupport):
        module.__dict__.update({name: getattr(part, name) for name in dir(part) if not name.startswith("_")})
    for cls in {c for c in vars(module).values() if isinstance(c, type) and issubclass(c, QtCore.QObject)}:
        _teach(cls)
    _QObject.name = QtProperty("objectName")
    _QObject.__getattribute__ = _lookUp
    return module


qt: Any = _qtModule()
