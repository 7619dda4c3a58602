"""Message boxes that nobody has to close: what they said is kept, what they are answered is set."""

from __future__ import annotations

from typing import Any, NamedTuple

from .pythonqt import qt

_KINDS = {
    qt.QMessageBox.Critical: "error",
    qt.QMessageBox.Warning: "warning",
    qt.QMessageBox.Information: "info",
    qt.QMessageBox.Question: "question",
}


class Message(NamedTuple):
    kind: str
    text: str


messages: list[Message] = []
_answer = {"accepted": True}


def answerDialogs(accepted: bool) -> None:
    """Let every later question be answered with OK or Yes, or else with Cancel or No."""
    _answer["accepted"] = accepted


def messageBox(text: str, parent: Any = None, **kwargs: Any) -> Any:
    """Take the place of ``slicer.util.messageBox``, which all displays and confirmations end in."""
    messages.append(Message(_KINDS.get(kwargs.get("icon"), "message"), text))
    isYesNo = kwargs.get("standardButtons", qt.QMessageBox.Ok) & qt.QMessageBox.Yes
    if _answer["accepted"]:
        return qt.QMessageBox.Yes if isYesNo else qt.QMessageBox.Ok
    return qt.QMessageBox.No if isYesNo else qt.QMessageBox.Cancel
