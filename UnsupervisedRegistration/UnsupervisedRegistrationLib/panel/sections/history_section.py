"""Stored results: show one again, compare two, rename, delete, undo the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ...interaction import inputs
from ...scene.display.slice_views import showPlaneInNearestView, showPlaneInView
from ...scene.history import result_history as history
from ...scene.history.result_comparison import compareResults
from ...scene.history.stored_result import StoredResult
from . import section
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel

_MASKS = ("mask", "moving mask")
_RESTORED = ("preset", "transformType", "prealignment", "similarity", "smoothnessWeight")  # Parameters and settings.


class HistorySection(Section):
    """The list of results, newest first."""

    def __init__(self, panel: RegistrationPanel) -> None:
        super().__init__(panel)
        self._results: list[StoredResult] = []
        section.prepareTable(self.ui.resultTable, [_("Result"), _("TRE (mm)"), _("Similarity")])
        connect(self.ui.resultTable, "itemSelectionChanged()", self.onSelection)
        connect(self.ui.resultTable, "cellChanged(int,int)", self.onRename)
        connect(self.ui.showResultButton, "clicked(bool)", self.onShow)
        connect(self.ui.restoreResultButton, "clicked(bool)", self.onRestore)
        connect(self.ui.compareResultsButton, "clicked(bool)", self.onCompare)
        connect(self.ui.deleteResultButton, "clicked(bool)", self.onDelete)
        connect(self.ui.undoButton, "clicked(bool)", self.onUndo)

    def update(self) -> None:
        """Lists the results that the scene stores."""
        self._results = history.storedResults(slicer.mrmlScene)[::-1]
        rows, tips = [], []
        for result in self._results:
            error = "" if result.tre is None else f"{result.tre['after']['mean']:.1f}"
            mark = "▸ " if result.shown else ""
            rows.append([mark + result.name, error, f"{result.similarity[1]:.2f}"])
            tips.append(_describe(result))
        section.fillTable(self.ui.resultTable, rows, tips)
        self._leaveOutOfSelectors()
        self.ui.undoButton.enabled = any(not result.undone for result in self._results)
        self.onSelection()

    def release(self) -> None:
        """Forgets the results, so that those of a closed scene are not kept in memory."""
        self._results = []

    def onSelection(self) -> None:
        """Enables the actions for the selected results, and describes the result."""
        chosen, ui = self._chosen(), self.ui
        for button in (ui.showResultButton, ui.restoreResultButton, ui.deleteResultButton):
            button.enabled = len(chosen) == 1
        ui.compareResultsButton.enabled = len(chosen) == 2
        ui.resultLabel.text = ""
        if len(chosen) == 1:
            ui.resultLabel.text = " ".join([_describe(chosen[0]), *history.storedResultProblems(chosen[0])])
        self.panel.longWork.holdButtons()

    def onShow(self, checked: bool = False) -> None:
        """Sets the selected result as the parent transform of the moving volume."""
        result = self._chosen()[0]
        with self.panel.attempt():
            self._leaveLive()
            history.showStoredResult(result)
            self._showSlice(result)
            self.panel.say(_("'{name}' is shown.").format(name=result.name))
        self.panel.showScene()

    def onRestore(self, checked: bool = False) -> None:
        """Shows the selected result and restores its settings, so that Apply uses them."""
        result = self._chosen()[0]
        with self.panel.attempt():
            self._leaveLive()
            history.showStoredResult(result)
            self._takeSettings(result)
            self._showSlice(result)
            self.panel.say(_("'{name}' is shown, and its settings are restored.").format(name=result.name))
        self.panel.showScene()

    def onCompare(self, checked: bool = False) -> None:
        """Shows the distance between two results."""
        first, second = self._chosen()
        with self.panel.attempt():
            apart = compareResults(first, second)
            sentence = _("Distance between the two results: mean {mean:.1f} mm, maximum {most:.1f} mm.").format(
                mean=apart.mean, most=apart.maximum
            )
            if None not in apart.tre:
                sentence += " " + _("Mean TRE: {first:.1f} mm ({one}) and {second:.1f} mm ({two}).").format(
                    first=apart.tre[0], second=apart.tre[1], one=first.name, two=second.name
                )
            self.ui.resultLabel.text = sentence

    def onDelete(self, checked: bool = False) -> None:
        """Deletes the selected result."""
        result = self._chosen()[0]
        name = result.name
        with self.panel.attempt():
            self._leaveLive()
            history.deleteResult(result)
            self.panel.say(_("'{name}' was deleted.").format(name=name))
        self.panel.showScene()

    def onRename(self, row: int, column: int) -> None:
        """Renames a result as typed into the list."""
        result = self._results[row]
        with self.panel.attempt():
            if column == 0:
                history.renameResult(result, self.ui.resultTable.item(row, 0).text().removeprefix("▸ "))
        self.update()

    def onUndo(self, checked: bool = False) -> None:
        """Shows the state before the last Apply."""
        with self.panel.attempt():
            self._leaveLive()
            self.panel.say(history.undoLastApply(slicer.mrmlScene))
        self.panel.showScene()

    def _leaveOutOfSelectors(self) -> None:
        """Keeps the nodes of the results out of all selectors; whoever wants one again uses the list."""
        kept = [node.GetID() for node in history.keptNodes(slicer.mrmlScene)]
        for widget in vars(self.ui).values():
            if hasattr(widget, "sortFilterProxyModel"):
                widget.sortFilterProxyModel().hiddenNodeIDs = kept

    def _leaveLive(self) -> None:
        """Ends Live, and shows the image warped; hidden, the former result would come back later."""
        self.panel.live.stop()
        self.ui.warpedCheckBox.checked = True

    def _showSlice(self, result: StoredResult) -> None:
        """Moves the view, or the index, to the slice of a result."""
        if inputs.isInView(self.parameters) and self.parameters.sliceView:
            showPlaneInView(self.parameters.sliceView, result.plane)
            return
        inputs.chooseIndex(self.parameters, result.plane)
        showPlaneInNearestView(slicer.mrmlScene, result.plane)

    def _takeSettings(self, result: StoredResult) -> None:
        """Restores the settings of a result; a missing model is skipped, and the line below the list says so."""
        parameters, settings = self.parameters, result.settings
        parameters.movingVolume = result.movingVolume
        if result.fixedVolume is not None:
            parameters.fixedVolume = result.fixedVolume
        if not history.isModelMissing(result):
            parameters.model = result.model
        for name in _RESTORED:
            if name in settings:
                setattr(parameters, name, settings[name])
        if "refined" in settings:  # Stored before there were presets.
            parameters.preset = "standard" if settings["refined"] else "fast"
        parameters.steer = bool(settings.get("steered"))

    def _chosen(self) -> list[StoredResult]:
        return [self._results[row] for row in section.selectedRows(self.ui.resultTable) if row < len(self._results)]


def _describe(result: StoredResult) -> str:
    """A result in one sentence."""
    parts = [
        result.name,
        f"{result.time:%Y-%m-%d %H:%M:%S}",
        _("model {model}").format(model=result.model),
        *_settingsInWords(result.settings),
        _("undone") if result.undone else "",
    ]
    return ", ".join(part for part in parts if part) + "."


def _settingsInWords(settings: dict[str, Any]) -> list[str]:
    """The settings beyond the network, a few words each."""
    prealignment = settings.get("prealignment", "none")
    return [
        _("on {device}").format(device=settings["device"]) if settings.get("device") else "",
        _("{kind} pre-alignment").format(kind=prealignment) if prealignment in ("rigid", "affine") else "",
        _("preset {preset}").format(preset=settings["preset"]) if settings.get("preset") else "",
        _("refined") if settings.get("refined") else "",
        _("guided by landmarks") if settings.get("steered") else "",
        *(_("{what} '{name}'").format(what=what, name=settings[what]) for what in _MASKS if settings.get(what)),
    ]
