"""Dialogs that a test answers beforehand, and settings that are forgotten afterwards."""

from __future__ import annotations

from typing import Any, ClassVar

answers: list[str] = []
"""What the next file dialogs give back, in this order; an empty text is a press on Cancel."""


class QFileDialog:
    """The static functions; as in PythonQt each gives the path alone, and the arguments go by their place."""

    @staticmethod
    def _answer(parent: Any, caption: str, folder: str = "", filters: str = "") -> str:
        if not answers:
            raise NotImplementedError(f"nobody is there to answer: {caption}")
        return answers.pop(0)

    getSaveFileName = getOpenFileName = _answer

    @staticmethod
    def getExistingDirectory(parent: Any, caption: str, folder: str = "") -> str:
        return QFileDialog._answer(parent, caption, folder)


class QSettings:
    """The user's settings, in memory and shared by all instances."""

    values: ClassVar[dict[str, Any]] = {}

    def value(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def setValue(self, key: str, value: Any) -> None:
        self.values[key] = value
