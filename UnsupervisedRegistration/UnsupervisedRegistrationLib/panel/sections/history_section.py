"""Earlier outcomes: show one again, compare two, rename, delete, take the last one back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ...scene.history import result_history as history
from ...scene.history.result_comparison import compareResults
from ...scene.history.stored_result import StoredResult
from . import section
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel

_MASKS = ("mask", "moving mask")
_KEPT = ("prealignment", "similarity", "smoothnessWeight", "refineSeconds")  # As the parameters are called.


class HistorySection(Section):
    """A list of results, the newest first."""

    def __init__(self, panel: RegistrationPanel) -> None:
        super().__init__(panel)
        self._results: list[StoredResult] = []
        section.prepareTable(self.ui.resultTable, [_("Result"), _("TRE"), _("Alike")])
        connect(self.ui.resultTable, "itemSelectionChanged()", self.onSelection)
        connect(self.ui.resultTable, "cellChanged(int,int)", self.onRename)
        connect(self.ui.showResultButton, "clicked(bool)", self.onShow)
        connect(self.ui.restoreResultButton, "clicked(bool)", self.onRestore)
        connect(self.ui.compareResultsButton, "clicked(bool)", self.onCompare)
        connect(self.ui.deleteResultButton, "clicked(bool)", self.onDelete)
        connect(self.ui.undoButton, "clicked(bool)", self.onUndo)

    def update(self) -> None:
        """Lists what the scene keeps."""
        self._results = history.storedResults(slicer.mrmlScene)[::-1]
        rows, tips = [], []
        for result in self._results:
            error = "" if result.tre is None else f"{result.tre['after']['mean']:.1f}"
            mark = "▸ " if result.shown else ""
            rows.append([mark + result.name, error, f"{result.similarity[1]:.2f}"])
            tips.append(_describe(result))
        section.fillTable(self.ui.resultTable, rows, tips)
        self.ui.undoButton.enabled = any(not result.undone for result in self._results)
        self.onSelection()

    def onSelection(self) -> None:
        """Offers what can be done with the selected results, and says what they are."""
        chosen, ui = self._chosen(), self.ui
        for button in (ui.showResultButton, ui.restoreResultButton, ui.deleteResultButton):
            button.enabled = len(chosen) == 1
        ui.compareResultsButton.enabled = len(chosen) == 2
        ui.resultLabel.text = ""
        if len(chosen) == 1:
            ui.resultLabel.text = " ".join([_describe(chosen[0]), *history.storedResultProblems(chosen[0])])
        self.panel.longWork.holdButtons()

    def onShow(self, checked: bool = False) -> None:
        """Puts the moving volume under the selected result."""
        result = self._chosen()[0]
        with self.panel.attempt():
            self._beginWarped()
            history.showStoredResult(result)
            self.panel.say(_("'{name}' is shown.").format(name=result.name))
        self.panel.showScene()

    def onRestore(self, checked: bool = False) -> None:
        """Shows the selected result and takes over what it was made with, so that Apply goes on from there."""
        result = self._chosen()[0]
        with self.panel.attempt():
            self._beginWarped()
            history.showStoredResult(result)
            self._takeSettings(result)
            self.panel.say(_("'{name}' is shown, and its settings are back.").format(name=result.name))
        self.panel.showScene()

    def onCompare(self, checked: bool = False) -> None:
        """Says how far two results are apart."""
        first, second = self._chosen()
        with self.panel.attempt():
            apart = compareResults(first, second)
            sentence = _("The two are {mean:.1f} mm apart in the mean and {most:.1f} mm at most.").format(
                mean=apart.mean, most=apart.maximum
            )
            if None not in apart.tre:
                sentence += " " + _("Landmarks: {first:.1f} mm ({one}) and {second:.1f} mm ({two}).").format(
                    first=apart.tre[0], second=apart.tre[1], one=first.name, two=second.name
                )
            self.ui.resultLabel.text = sentence

    def onDelete(self, checked: bool = False) -> None:
        """Removes the selected result."""
        result = self._chosen()[0]
        name = result.name
        with self.panel.attempt():
            self._beginWarped()
            history.deleteResult(result)
            self.panel.say(_("'{name}' was deleted.").format(name=name))
        self.panel.showScene()

    def onRename(self, row: int, column: int) -> None:
        """Takes the name that was typed into the list."""
        result = self._results[row]
        with self.panel.attempt():
            if column == 0:
                history.renameResult(result, self.ui.resultTable.item(row, 0).text().removeprefix("▸ "))
        self.update()

    def onUndo(self, checked: bool = False) -> None:
        """Shows what was there before the last Apply."""
        with self.panel.attempt():
            self._beginWarped()
            self.panel.say(history.undoLastApply(slicer.mrmlScene))
        self.panel.showScene()

    def _beginWarped(self) -> None:
        """Ends Live, and the look at the unwarped image, which would later come back under the outcome it had."""
        self.panel.live.stop()
        self.ui.warpedCheckBox.checked = True

    def _takeSettings(self, result: StoredResult) -> None:
        """A model that is gone is not taken; the line below the list tells of it."""
        parameters, settings = self.parameters, result.settings
        parameters.movingVolume = result.movingVolume
        if result.fixedVolume is not None:
            parameters.fixedVolume = result.fixedVolume
        if not history.isModelMissing(result):
            parameters.model = result.model
        for name in _KEPT:
            if name in settings:
                setattr(parameters, name, settings[name])
        parameters.refine, parameters.steer = bool(settings.get("refined")), bool(settings.get("steered"))

    def _chosen(self) -> list[StoredResult]:
        return [self._results[row] for row in section.selectedRows(self.ui.resultTable) if row < len(self._results)]


def _describe(result: StoredResult) -> str:
    """A result in words."""
    parts = [
        result.name,
        f"{result.time:%Y-%m-%d %H:%M:%S}",
        _("model {model}").format(model=result.model),
        *_settingsInWords(result.settings),
        _("undone") if result.undone else "",
    ]
    return ", ".join(part for part in parts if part) + "."


def _settingsInWords(settings: dict[str, Any]) -> list[str]:
    """What was asked for beyond the network, each in a few words."""
    prealignment = settings.get("prealignment", "none")
    return [
        _("on {device}").format(device=settings["device"]) if settings.get("device") else "",
        _("{kind} pre-alignment").format(kind=prealignment) if prealignment in ("rigid", "affine") else "",
        _("refined") if settings.get("refined") else "",
        _("steered by landmarks") if settings.get("steered") else "",
        *(_("{what} '{name}'").format(what=what, name=settings[what]) for what in _MASKS if settings.get(what)),
    ]
