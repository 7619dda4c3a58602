"""What the sections of the panel share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer.util

from ...interaction.parameters import RegistrationParameters

if TYPE_CHECKING:
    from ..panel import RegistrationPanel

_ROWS = 8  # Of a table; with more it scrolls.


class Section:
    """Some of the panel's controls.

    Args:
        panel: The behaviour of the module's widget.
    """

    def __init__(self, panel: RegistrationPanel) -> None:
        self.panel, self.ui, self.logic = panel, panel.ui, panel.logic

    @property
    def parameters(self) -> RegistrationParameters:
        """What the panel shows now.

        Raises:
            RuntimeError: The panel is not shown.
        """
        if self.panel.parameters is None:
            raise RuntimeError("The panel has no parameters while it is not shown.")
        return self.panel.parameters

    @property
    def isShown(self) -> bool:
        """Whether the panel is shown, so that it has parameters."""
        return self.panel.parameters is not None

    def update(self) -> None:
        """Shows the parameters; called whenever one of them changed."""

    def release(self) -> None:
        """Releases nodes and timers; called when the panel is left or the scene is closed."""


def connect(sender: Any, signal: str, slot: Callable[..., Any]) -> None:
    """Connects a slot to a signal.

    Raises:
        AttributeError: There is no such signal.
    """
    if not sender.connect(signal, slot):
        raise AttributeError(f"{sender.objectName} has no signal {signal}")


def makeShortcut(keys: str, slot: Callable[[], object]) -> Any:
    """A key combination in the main window."""
    shortcut = qt.QShortcut(slicer.util.mainWindow())
    shortcut.setKey(qt.QKeySequence(keys))
    connect(shortcut, "activated()", slot)
    return shortcut


def prepareTable(table: Any, headers: Sequence[str]) -> None:
    """Sets the headings; the first column takes the width that the others leave."""
    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(list(headers))
    table.verticalHeader().setVisible(False)
    header = table.horizontalHeader()
    header.setMinimumSectionSize(20)
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
    fillTable(table, [])


def fillTable(table: Any, rows: Sequence[Sequence[str]], tips: Sequence[str] = ()) -> None:
    """Writes texts into the cells, and one tooltip per row, without signals of the table."""
    blocked = table.blockSignals(True)
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = table.item(row, column)
            if item is None:
                item = qt.QTableWidgetItem()
                table.setItem(row, column, item)
            item.setText(text)
            item.setToolTip(tips[row] if tips else "")
    table.blockSignals(blocked)
    line = table.fontMetrics().height() + 8
    table.verticalHeader().setDefaultSectionSize(line)
    table.setFixedHeight(line * (min(max(len(rows), 1), _ROWS) + 1) + 8)


def selectedRows(table: Any) -> list[int]:
    """Rows with a selected cell, from the top."""
    return sorted({item.row() for item in table.selectedItems()})


def setCheckedQuietly(control: Any, checked: bool) -> None:
    """Checks or unchecks a control without a signal, because the scene is in that state already."""
    blocked = control.blockSignals(True)
    control.checked = checked
    control.blockSignals(blocked)
