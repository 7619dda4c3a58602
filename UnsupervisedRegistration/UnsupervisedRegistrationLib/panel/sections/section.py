"""What the sections of the panel share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt

_ROWS = 8  # A table shows so many rows before it scrolls.


class Section:
    """Some of the panel's controls.

    Args:
        panel: The module's widget, with ``ui``, ``logic``, ``parameters``, ``say`` and ``attempt``.
    """

    def __init__(self, panel: Any) -> None:
        self.panel, self.ui, self.logic = panel, panel.ui, panel.logic

    @property
    def parameters(self) -> Any:
        """What the panel shows now; ``None`` while it is left."""
        return self.panel.parameters

    def update(self) -> None:
        """Shows the parameters; called whenever one of them changed."""

    def release(self) -> None:
        """Lets go of nodes and timers; called when the panel is left or the scene is closed."""


def connect(sender: Any, signal: str, slot: Callable[..., Any]) -> None:
    """Connects, and is loud where Qt only prints.

    Raises:
        AttributeError: There is no such signal.
    """
    if not sender.connect(signal, slot):
        raise AttributeError(f"{sender.objectName} has no signal {signal}")


def singleShot(milliseconds: int, slot: Callable[[], None]) -> Any:
    """A timer that calls once after each start; a start while it runs puts it off."""
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    connect(timer, "timeout()", slot)
    return timer


def prepareTable(table: Any, headers: Sequence[str]) -> None:
    """Columns as wide as the panel, the first one taking what the others leave."""
    table.setColumnCount(len(headers))
    table.setHorizontalHeaderLabels(list(headers))
    table.verticalHeader().setVisible(False)
    header = table.horizontalHeader()
    header.setMinimumSectionSize(20)
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
    fillTable(table, [])


def fillTable(table: Any, rows: Sequence[Sequence[str]], tips: Sequence[str] = ()) -> None:
    """Writes texts into the cells, and one tooltip a row; signals of the table are quiet meanwhile."""
    quiet = table.blockSignals(True)
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = table.item(row, column)
            if item is None:
                item = qt.QTableWidgetItem()
                table.setItem(row, column, item)
            item.setText(text)
            item.setToolTip(tips[row] if tips else "")
    table.blockSignals(quiet)
    line = table.fontMetrics().height() + 8
    table.verticalHeader().setDefaultSectionSize(line)
    table.setFixedHeight(line * (min(max(len(rows), 1), _ROWS) + 1) + 8)


def selectedRows(table: Any) -> list[int]:
    """Rows with a selected cell, from the top."""
    return sorted({item.row() for item in table.selectedItems()})
