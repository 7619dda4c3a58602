"""Panels from ``.ui`` files, with the stand-ins for Slicer's widgets."""

from __future__ import annotations

from typing import Any

from . import ctkwidgets, mrmlwidgets
from .pythonqt import qt, withoutVtkTypes


class QUiLoader(qt.QUiLoader):
    """Loads what Qt and this package have; any other class is an error rather than an empty widget."""

    def __init__(self) -> None:
        super().__init__()
        self._unknown: list[str] = []

    def createWidget(self, className: str, parent: Any = None, name: str = "") -> Any:
        standIn = getattr(ctkwidgets, className, None) or getattr(mrmlwidgets, className, None)
        if standIn is None:
            if not hasattr(qt, className):
                self._unknown.append(className)
            return super().createWidget(className, parent, name)
        widget = standIn(parent)
        widget.name = name
        return widget

    def load(self, device: Any, parent: Any = None) -> Any:
        """Build the panel; its connections that pass MRML objects reach the stand-ins, too."""
        buffer = qt.QBuffer()
        buffer.setData(withoutVtkTypes(device.readAll().data().decode()).encode())
        panel = super().load(buffer, parent)
        if self._unknown:
            raise NotImplementedError(f"there is no stand-in for {', '.join(self._unknown)}")
        return panel
