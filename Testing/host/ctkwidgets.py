"""The CTK widgets that a panel uses, installed as the module ``ctk``."""

from __future__ import annotations

from typing import Any

from .pythonqt import qt

_UNLIMITED = 16777215  # QWIDGETSIZE_MAX


class ctkComboBox(qt.QComboBox):
    pass


class ctkCollapsibleButton(qt.QAbstractButton):
    """A titled section; while collapsed its contents are clipped away below the title."""

    contentsCollapsed = qt.Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._header = self.fontMetrics().height() + 8
        self.setContentsMargins(0, self._header, 0, 0)
        self.checkable = True
        self.checked = True
        self.toggled.connect(self._onToggled)

    def _setCollapsed(self, collapsed: bool) -> None:
        self.checked = not collapsed

    collapsed = qt.Property(bool, lambda self: not self.checked, _setCollapsed)

    def _onToggled(self, checked: bool) -> None:
        self.setMaximumHeight(_UNLIMITED if checked else self._header)
        self.contentsCollapsed.emit(not checked)

    def sizeHint(self) -> Any:
        contents = self.layout().totalSizeHint() if self.layout() else qt.QSize(0, self._header)
        return contents.boundedTo(self.maximumSize)

    def hitButton(self, position: Any) -> bool:
        return position.y() < self._header

    def paintEvent(self, event: Any) -> None:
        painter = qt.QStylePainter(self)
        option = qt.QStyleOptionButton()
        option.initFrom(self)
        option.rect = qt.QRect(0, 0, self.width, self._header)
        painter.drawControl(qt.QStyle.CE_PushButtonBevel, option)
        text = option.rect.adjusted(self._header, 0, 0, 0)
        painter.drawItemText(text, qt.Qt.AlignVCenter, self.palette, self.enabled, self.text, qt.QPalette.ButtonText)
        option.rect = qt.QRect(6, (self._header - 10) // 2, 10, 10)
        arrow = qt.QStyle.PE_IndicatorArrowDown if self.checked else qt.QStyle.PE_IndicatorArrowRight
        painter.drawPrimitive(arrow, option)


class ctkCollapsibleGroupBox(qt.QGroupBox):
    """A group box whose check mark opens and closes it."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.checkable = True
        self.toggled.connect(self._onToggled)

    def _setCollapsed(self, collapsed: bool) -> None:
        self.checked = not collapsed

    collapsed = qt.Property(bool, lambda self: not self.checked, _setCollapsed)

    def _onToggled(self, checked: bool) -> None:
        self.setMaximumHeight(_UNLIMITED if checked else self.fontMetrics().height() + 8)


def _ofSpinBox(kind: type, name: str) -> Any:
    def write(self: ctkSliderWidget, value: float) -> None:
        setattr(self._spinBox, name, value)
        self._onSpinBoxChanged()

    return qt.Property(kind, lambda self: getattr(self._spinBox, name), write)


class ctkSliderWidget(qt.QWidget):
    """A slider beside a spin box; the spin box holds the state, the slider counts its single steps."""

    valueChanged = qt.Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._slider = qt.QSlider(qt.Qt.Horizontal)
        self._spinBox = qt.QDoubleSpinBox()
        row = qt.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider)
        row.addWidget(self._spinBox)
        self._slider.valueChanged.connect(self._onSliderChanged)
        self._spinBox.valueChanged.connect(self._onSpinBoxChanged)
        self._spinBox.valueChanged.connect(self.valueChanged)
        self._onSpinBoxChanged()

    decimals = _ofSpinBox(int, "decimals")
    singleStep = _ofSpinBox(float, "singleStep")
    minimum = _ofSpinBox(float, "minimum")
    maximum = _ofSpinBox(float, "maximum")
    value = _ofSpinBox(float, "value")
    prefix = _ofSpinBox(str, "prefix")
    suffix = _ofSpinBox(str, "suffix")

    @qt.Slot(float)
    def setValue(self, value: float) -> None:
        self.value = value

    def _onSliderChanged(self, step: int) -> None:
        self._spinBox.value = self._spinBox.minimum + step * self._spinBox.singleStep

    def _onSpinBoxChanged(self, *_: float) -> None:
        box = self._spinBox
        with qt.QSignalBlocker(self._slider):
            self._slider.maximum = round((box.maximum - box.minimum) / box.singleStep)
            self._slider.value = round((box.value - box.minimum) / box.singleStep)


class ctkPathLineEdit(qt.QWidget):
    """A line for a path with a button that browses for it."""

    currentPathChanged = qt.Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._line = qt.QLineEdit()
        self._button = qt.QToolButton()
        self._button.text = "..."
        row = qt.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._line)
        row.addWidget(self._button)
        self._line.textChanged.connect(self.currentPathChanged)
        self._button.clicked.connect(self.browse)

    @qt.Slot(str)
    def setCurrentPath(self, path: str) -> None:
        self._line.text = path

    currentPath = qt.Property(str, lambda self: self._line.text, setCurrentPath)

    @qt.Slot()
    def browse(self) -> None:
        self.currentPath = qt.QFileDialog.getOpenFileName(self)[0] or self.currentPath
